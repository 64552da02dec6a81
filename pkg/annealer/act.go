package annealer

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// keepActions is how many logs of actions are kept.
const keepActions = 50

// Act has the role of an applied node-role do one of its actions, beside runs; the state does not change by it. What it did is in a log of its own: LogDir/actions/TIME-NODE-ROLE-ACTION.log.
func (a *Annealer) Act(ctx context.Context, w *crowbar.Work, do role.Action) (out crowbar.Data, err error) {
	actor, err := a.actor(w)
	if err != nil {
		return nil, err
	}
	script := newTranscript(w)
	script.what = "action " + do.Name
	a.Hush.begin(script)
	defer a.Hush.end(script)
	log, err := a.logs.action(do.Name, script)
	if err != nil {
		return nil, fmt.Errorf("write the log of action %s: %w", do.Name, err)
	}
	defer log.close()
	out, err = a.act(ctx, actor, w, log, do)
	o := crowbar.Outcome{Status: "done"}
	if err != nil {
		err = fmt.Errorf("action %s of role %s on node %s: %w", do.Name, w.Role.Name, w.Node.Short(), err)
		o.Failure = script.mask(err.Error())
	}
	log.end(o)
	return out, err
}

// actor is a run's role, if it has actions.
func (a *Annealer) actor(w *crowbar.Work) (role.Actor, error) {
	r, err := a.Roles(w.Role.Name)
	if err != nil {
		return nil, err
	}
	actor, ok := r.(role.Actor)
	if !ok {
		return nil, crowbar.Errorf(crowbar.Invalid, "role %s has no actions", w.Role.Name)
	}
	return actor, nil
}

// inStead has a peer take out what is on a node that is forgotten; where there is none, nothing is left to be taken out of.
func (a *Annealer) inStead(ctx context.Context, w *crowbar.Work, log *runLog) error {
	if w.Via == nil {
		log.line("nobody is left who has to take it out")
		return nil
	}
	r, err := a.Roles(w.Role.Name)
	if err != nil {
		return err
	}
	actor, ok := r.(role.Actor)
	if !ok || !slices.Contains(r.Describe().Actions, role.Forget) {
		return crowbar.Errorf(crowbar.Invalid, "barclamp.yaml says that role %s forgets, and it has no action %s", w.Role.Name, role.Forget)
	}
	log.line("%s takes out what %s was", w.Via.Node.Short(), w.Node.Short())
	gone := crowbar.Data{"node": w.Node.Short(), "address": w.Node.Address}
	if _, err := a.act(ctx, actor, w.Via, log, role.Action{Name: role.Forget, Args: gone, Out: io.Discard}); err != nil {
		return fmt.Errorf("take out %s, by %s: %w", w.Node.Short(), w.Via.Node.Short(), err)
	}
	return nil
}

// act calls the role, with a connection of its own; a panic is a failure like any other.
func (a *Annealer) act(ctx context.Context, r role.Actor, w *crowbar.Work, log *runLog, do role.Action) (out crowbar.Data, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the role panicked: %v\n%s", p, debug.Stack())
		}
	}()
	limit := time.Duration(w.Role.Timeout)
	if limit == 0 {
		limit = a.Timeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	defer cancel()
	name, j, err := a.jig(w)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	conn, err := j.Dial(ctx, &w.Node)
	log.step(began, err, "connect by jig %s", name)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	node, rec := w.Node, &recorder{log: log, conn: conn}
	on := role.Target{Node: node.Short(), Address: node.Address, Deployment: w.Deployment.Name, Arch: node.Arch, Attribs: w.Attribs, Peers: w.Peers,
		First: w.First, Again: w.Again, Conn: rec, Artifacts: &artifacts{from: a.Artifacts, arch: node.Arch, to: rec, log: log},
		Log: func(format string, args ...any) { log.line(format, args...) }}
	return r.Act(ctx, on, do)
}

// action begins the log of an action, and drops old ones.
func (l *logs) action(name string, out *transcript) (*runLog, error) {
	dir := filepath.Join(l.dir, "actions")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	now := time.Now()
	f, err := os.OpenFile(filepath.Join(dir, now.UTC().Format("20060102T150405.000000Z")+"-"+out.node+"-"+out.role+"-"+name+".log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	r := &runLog{f: f, out: out, began: now, more: make(chan struct{}), closed: func() {}}
	r.line("%s of role %s on node %s, %s", out.what, out.role, out.node, now.UTC().Format(time.RFC3339))
	had, err := filepath.Glob(filepath.Join(dir, "*.log"))
	slices.Sort(had) // by time
	for len(had) > keepActions {
		_, had = os.Remove(had[0]), had[1:]
	}
	return r, err
}
