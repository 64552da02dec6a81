package annealer

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
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
	look := &onlooker{conn: d.conn}
	changes, wall, err := rehearse(ctx, r, a.dryTarget(ctx, w, look), q.Check)
	out.learnWall(wall)
	broken := err != nil && crowbar.KindOf(err) == crowbar.Unavailable
	kept.put(d, broken)
	for _, c := range changes {
		ans.Differences = append(ans.Differences, crowbar.Difference{What: c.What, Name: out.mask(c.Name), Do: c.Do, Diff: out.mask(c.Diff)})
	}
	switch tried := look.caught(); {
	case len(tried) > 0:
		ans = crowbar.Answer{Failure: fmt.Sprintf("role %s %s in its dry run, which was refused: the role has to be mended, its answer is worth nothing", w.Role.Name, strings.Join(tried, " and "))}
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

func (a *Annealer) dryTarget(ctx context.Context, w *crowbar.Work, look *onlooker) role.Target {
	n := w.Node
	on := role.Target{Node: n.Short(), Address: n.Address, Deployment: w.Deployment.Name, Arch: n.Arch, Attribs: w.Attribs, Peers: w.Peers,
		First: w.First, Again: w.Again, Conn: look, DryRun: true}
	if on.Arch == "" && !n.System && w.NodeRole.RunCount == 0 { // nobody has found it out yet
		if machine, err := jig.Run(ctx, look, jig.Cmd{Argv: []string{"uname", "-m"}}); err == nil {
			on.Arch = goarch(strings.TrimSpace(machine))
		}
	}
	on.Artifacts = &dryArtifacts{artifacts{from: a.Artifacts, arch: on.Arch}, look}
	return on
}

// dryEnv is in the environment of every command of a dry run: a script that honours it changes nothing.
const dryEnv = "KUBECLAMP_DRY_RUN"

// onlooker is a role's connection in a dry run: it looks, and what would write is refused.
type onlooker struct {
	conn  jig.Conn
	mu    sync.Mutex
	tried []string
}

func (o *onlooker) refuse(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Contains(o.tried, what) && len(o.tried) < 3 {
		o.tried = append(o.tried, what)
	}
	return crowbar.Errorf(crowbar.Conflict, "this is a dry run, in which nothing is changed: it %s", what)
}

// caught is what was tried, in words.
func (o *onlooker) caught() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.tried)
}

// Exec runs a command, which knows from its environment that it may only look.
func (o *onlooker) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	env := maps.Clone(c.Env)
	if env == nil {
		env = map[string]string{}
	}
	env[dryEnv] = "1"
	c.Env = env
	return o.conn.Exec(ctx, c)
}

// Put is refused.
func (o *onlooker) Put(_ context.Context, path string, _ fs.FileMode, _ io.Reader) error {
	return o.refuse("writes " + path)
}

// Get reads a file.
func (o *onlooker) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	return o.conn.Get(ctx, path)
}

// Dial opens a stream from the node.
func (o *onlooker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return o.conn.Dial(ctx, network, addr)
}

// Close does nothing: the connection serves the next dry run as well.
func (o *onlooker) Close() error { return nil }

// dryArtifacts tells of artifacts, and puts none.
type dryArtifacts struct {
	artifacts
	look *onlooker
}

// Put is refused.
func (d *dryArtifacts) Put(_ context.Context, name, path string, _ fs.FileMode) error {
	return d.look.refuse("puts artifact " + name + " to " + path)
}
