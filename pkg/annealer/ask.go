package annealer

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// askLimit is how long one dry run may take.
const askLimit = time.Minute

// askLines is how much of a role's complaint a plan shows.
const askLines = 20

// Ask has roles say what their runs would change: node by node one after the other, many nodes at once. Neither the state
// nor a node is changed: a role that writes in a dry run is stopped, and its answer is that. The answers are in the order of
// the questions.
func (a *Annealer) Ask(ctx context.Context, asked []crowbar.DryRun) []crowbar.Answer {
	answers := make([]crowbar.Answer, len(asked))
	perNode := map[crowbar.ID][]int{}
	for i, q := range asked {
		perNode[q.Work.Node.ID] = append(perNode[q.Work.Node.ID], i)
	}
	kept := newConns(a.Linger) // not those of runs, which go on beside this
	defer kept.closeAll()
	places := make(chan struct{}, a.Parallel)
	var all sync.WaitGroup
	for _, list := range perNode {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			dark := "" // why the node does not answer
			for _, i := range list {
				if dark != "" {
					answers[i].Failure = dark
					continue
				}
				var err error
				answers[i], err = a.ask(ctx, kept, asked[i])
				if err != nil {
					dark = line(err.Error())
					answers[i].Failure = dark
				}
			}
		})
	}
	all.Wait()
	return answers
}

// ask does one dry run. err: the node cannot be reached.
func (a *Annealer) ask(ctx context.Context, kept *conns, q crowbar.DryRun) (ans crowbar.Answer, err error) {
	w := q.Work
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("its dry run took longer than %s", askLimit))
	defer cancel()
	r, err := a.Roles(w.Role.Name)
	if err != nil {
		return crowbar.Answer{Failure: line(fmt.Sprintf("role %s: %s", w.Role.Name, err))}, nil
	}
	name, j, err := a.jig(w)
	if err != nil {
		return crowbar.Answer{}, err
	}
	d, err := kept.take(ctx, name, j, &w.Node)
	if err != nil {
		return crowbar.Answer{}, fmt.Errorf("reach node %s: %w", w.Node.Short(), err)
	}
	out := newTranscript(w)
	a.Hush.begin(out)
	defer a.Hush.end(out)
	look := &onlooker{}
	changes, wall, err := rehearse(ctx, r, a.dryTarget(ctx, w, d.conn, look), q.Check)
	out.learnWall(wall)
	broken := err != nil && crowbar.KindOf(err) == crowbar.Unavailable
	kept.put(d, broken)
	for _, c := range changes {
		ans.Differences = append(ans.Differences, crowbar.Difference{What: c.What, Name: out.mask(c.Name), Do: c.Do, Diff: out.mask(c.Diff), Unified: out.mask(c.Unified), More: c.More})
	}
	switch tried := look.caught(); {
	case len(tried) > 0:
		ans = crowbar.Answer{Failure: out.mask(fmt.Sprintf("role %s %s, in its dry run, which was refused: the role has to be mended, its answer is worth nothing", w.Role.Name, strings.Join(tried, " and ")))}
	case err != nil && ctx.Err() != nil:
		ans = crowbar.Answer{Failure: line(context.Cause(ctx).Error())}
	case err != nil:
		ans = crowbar.Answer{Failure: clip(strings.TrimSpace(out.mask(err.Error())), askLines)}
	}
	return ans, nil
}

// clip is a text's first lines.
func clip(text string, most int) string {
	if l := strings.Split(text, "\n"); len(l) > most {
		return strings.Join(l[:most], "\n") + "\n[...]"
	}
	return text
}

// rehearse calls the role; a panic is a failure like any other.
func rehearse(ctx context.Context, r role.Role, on role.Target, check bool) (changes []role.Change, wall crowbar.Data, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the role panicked: %v", p)
		}
	}()
	if c, ok := r.(role.Checker); ok && check {
		drift, err := c.Check(ctx, on)
		return drift.Changes, nil, err
	}
	res, err := r.Apply(ctx, on)
	return res.Changes, res.Wall, err
}

func (a *Annealer) dryTarget(ctx context.Context, w *crowbar.Work, conn jig.Conn, look *onlooker) role.Target {
	n, dry := w.Node, newDryConn(conn, look)
	on := role.Target{Node: n.Short(), Address: n.Address, Deployment: w.Deployment.Name, Arch: n.Arch, Attribs: w.Attribs, Tree: w.Tree, Maps: w.Maps, Peers: w.Peers,
		First: w.First, Again: w.Again, Conn: dry, DryRun: true}
	if on.Arch == "" && !n.System && w.NodeRole.RunCount == 0 { // nobody has found it out yet
		if machine, err := jig.Run(ctx, dry, jig.Cmd{Argv: []string{"uname", "-m"}, Reads: true}); err == nil {
			on.Arch = goarch(strings.TrimSpace(machine))
		}
	}
	on.Artifacts = &dryArtifacts{artifacts{from: a.Artifacts, arch: on.Arch}, look.refuse, look}
	return on
}

// dryEnv is in the environment of every command of a dry run, for a script that does more in a run.
const dryEnv = "KUBECLAMP_DRY_RUN"

// onlooker keeps what a role tried to change in a dry run.
type onlooker struct {
	mu    sync.Mutex
	tried []string
}

// refuse is the answer to what would change the node.
func (o *onlooker) refuse(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.tried, what) && len(o.tried) < 3 {
		o.tried = append(o.tried, what)
	}
	return crowbar.Errorf(crowbar.Conflict, "this is a dry run, in which nothing is changed: it %s", what)
}

// at is refuse for what comes from a place in the role's code.
func (o *onlooker) at(place string) func(what string) error {
	return func(what string) error { return o.refuse(what + ", at " + place) }
}

// caught is what was tried, in words.
func (o *onlooker) caught() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.tried)
}

// dryConn is a role's connection in a dry run: what would change the node is refused, and known.
type dryConn struct {
	jig.Conn // a jig.Onlook
	on       jig.Conn
	look     *onlooker
}

func newDryConn(on jig.Conn, look *onlooker) *dryConn {
	return &dryConn{jig.Onlook(on, look.refuse), on, look}
}

// Exec runs a command that only reads; it finds in its environment that this is a dry run.
func (d *dryConn) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	env := maps.Clone(c.Env)
	if env == nil {
		env = map[string]string{}
	}
	env[dryEnv] = "1"
	c.Env = env
	return d.Conn.Exec(ctx, c)
}

// At is told from where in the role's code the next calls come.
func (d *dryConn) At(place string) jig.Conn {
	return &dryConn{jig.Onlook(d.on, d.look.at(place)), d.on, d.look}
}

// dryArtifacts tells of artifacts, and puts none.
type dryArtifacts struct {
	artifacts
	refuse func(what string) error
	look   *onlooker
}

// Put is refused.
func (d *dryArtifacts) Put(_ context.Context, name, path string, _ fs.FileMode) error {
	return d.refuse("puts artifact " + name + " to " + path)
}

// At is told from where in the role's code the next calls come.
func (d *dryArtifacts) At(place string) role.Artifacts {
	return &dryArtifacts{d.artifacts, d.look.at(place), d.look}
}
