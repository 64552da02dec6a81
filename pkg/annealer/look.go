package annealer

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// lookLimit is how long a look may take: somebody waits for it, and a node that does not answer is told as such.
const lookLimit = 12 * time.Second

// Knows says that a role has an action; one that cannot be asked has none.
func (a *Annealer) Knows(name, action string) bool {
	r, err := a.Roles(name)
	if err != nil {
		return false
	}
	_, acts := r.(role.Actor)
	return acts && slices.Contains(r.Describe().Actions, action)
}

// Do is Act without a stream.
func (a *Annealer) Do(ctx context.Context, w *crowbar.Work, action string, args crowbar.Data) (crowbar.Data, error) {
	return a.Act(ctx, w, role.Action{Name: action, Args: args, Out: io.Discard})
}

// Look has a role do an action that only reads, as in a dry run: what writes is refused, and neither the state nor a log is
// changed.
func (a *Annealer) Look(ctx context.Context, w *crowbar.Work, action string, args crowbar.Data) (out crowbar.Data, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the role panicked: %v\n%s", p, debug.Stack())
		}
	}()
	actor, err := a.actor(w)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, fmt.Errorf("it took longer than %s", lookLimit))
	defer cancel()
	_, j, err := a.jig(w)
	if err != nil {
		return nil, err
	}
	conn, err := j.Dial(ctx, &w.Node)
	if err != nil {
		return nil, fmt.Errorf("reach node %s: %w", w.Node.Short(), err)
	}
	defer conn.Close()
	script := newTranscript(w)
	a.Hush.begin(script)
	defer a.Hush.end(script)
	look := &onlooker{}
	out, err = actor.Act(ctx, a.dryTarget(ctx, w, conn, look), role.Action{Name: action, Args: args, Out: io.Discard})
	switch tried := look.caught(); {
	case len(tried) > 0:
		return nil, crowbar.Errorf(crowbar.Internal, "role %s %s in action %s, which is only to look: it was refused", w.Role.Name, strings.Join(tried, " and "), action)
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("%s on node %s: %w", w.Role.Name, w.Node.Short(), context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("%s on node %s: %s", w.Role.Name, w.Node.Short(), clip(strings.TrimSpace(script.mask(err.Error())), askLines))
	}
	return out, nil
}
