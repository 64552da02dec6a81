package annealer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

const (
	linkLosses   = 1 // in a row that are forgiven
	pluginLosses = 3
	breather     = time.Second // before what was lost, or could not begin, is tried again
	finishGrace  = 5 * time.Second
)

// run is one run of a node-role from Begin to Finish.
func (a *Annealer) run(ctx context.Context, nr *crowbar.NodeRole) {
	id := nr.ID
	// gofail: var beforeBegin struct{}
	w, err := a.Engine.Begin(ctx, id)
	if err != nil {
		a.notBegun(ctx, nr, err)
		return
	}
	// gofail: var begun struct{}
	out := newTranscript(w)
	a.Hush.begin(out)
	defer a.Hush.end(out)
	log, err := a.logs.open(id, w.Attempt, out)
	if err != nil {
		a.finish(ctx, w, crowbar.Outcome{Failure: fmt.Sprintf("write the run log: %s", err)})
		return
	}
	// gofail: var logOpen struct{}
	attended, ended := a.begun(ctx, w)
	log.told("given", w.Attribs, w.SecretNames)
	o := a.work(attended, w, log)
	ended()
	// gofail: var worked struct{}
	out.learnWall(o.Wall)
	log.told("gave back", o.Wall, w.SecretNames)
	o.Failure, o.Status = out.mask(o.Failure), out.mask(o.Status)
	for i, c := range o.Changes {
		o.Changes[i] = out.mask(c)
	}
	log.end(o)
	// gofail: var beforeFinish struct{}
	a.finish(ctx, w, o)
	// gofail: var finished struct{}
	log.close()
	if o.Lost {
		pause(ctx, breather)
	}
}

// notBegun sees to a Begin that failed. Where the state did not answer, the run may be on record all the same, maybe not
// before the next try finds it there: nobody does it, so it is lost. A run of another daemon is none of our business.
func (a *Annealer) notBegun(ctx context.Context, nr *crowbar.NodeRole, err error) {
	if k := crowbar.KindOf(err); k == crowbar.Conflict || k == crowbar.NotFound {
		a.Log.Debug("begin", "error", err)
	} else {
		a.Log.Warn("begin", "error", err)
		pause(ctx, breather)
	}
	now := a.Engine.View().NodeRole(nr.ID)
	if now != nil && now.State == crowbar.Transition && now.Owner == a.Owner {
		a.finish(ctx, &crowbar.Work{NodeRole: *now, Attempt: now.Attempt}, crowbar.Outcome{Lost: true, Status: "it was never started"})
	}
}

// finish tries until the state has the outcome, or does not want it any more; after ctx has ended, for a little while.
func (a *Annealer) finish(ctx context.Context, w *crowbar.Work, o crowbar.Outcome) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(finishGrace, cancel) })()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, finishGrace) {
		err := a.Engine.Finish(late, w.NodeRole.ID, w.Attempt, o)
		switch {
		case err == nil:
			return
		case crowbar.KindOf(err) == crowbar.Conflict || crowbar.KindOf(err) == crowbar.NotFound:
			a.Log.Warn("a run's outcome came too late", "error", err)
			return
		case crowbar.KindOf(err) == crowbar.Invalid && o.Failure == "":
			o = crowbar.Outcome{Failure: fmt.Sprintf("what role %s gave back cannot be stored: %s", w.Role.Name, err)}
			continue
		case late.Err() != nil:
			a.Log.Warn("a run's outcome was not stored; the next start takes it for lost", "error", err)
			return
		}
		a.Log.Warn("finish", "error", err)
		pause(late, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// work does the run and says how it ended.
func (a *Annealer) work(ctx context.Context, w *crowbar.Work, log *runLog) (o crowbar.Outcome) {
	limit := time.Duration(w.Role.Timeout)
	if limit == 0 {
		limit = a.Timeout
	}
	tooLong := fmt.Errorf("role %s ran longer than its timeout of %s", w.Role.Name, limit)
	run, cancel := context.WithTimeoutCause(ctx, limit, tooLong)
	defer cancel()
	if w.Role.Flags.Destructive && w.Again && !w.Remove {
		log.line("the role is destructive and has run here before: nothing is done")
		return crowbar.Outcome{Status: "destructive: not run again", Wall: w.NodeRole.Wall}
	}
	if w.Remove && w.Node.Forgotten {
		if err := a.inStead(run, w, log); err != nil {
			return a.judge(ctx, w, nil, err)
		}
		return wellDone(w, role.Result{})
	}
	name, j, err := a.jig(w)
	if err != nil {
		return crowbar.Outcome{Failure: err.Error()}
	}
	fence := newFence(w, name)
	var in sum
	if fence != nil {
		var same bool
		if in, same = a.unchanged(run, w, name, j, log); same {
			a.forgive(w.NodeRole.ID)
			return crowbar.Outcome{Status: nothingToDo, Wall: w.NodeRole.Wall}
		}
	}
	a.backup(run, w, log)
	rec := &recorder{log: log, fence: fence}
	res, err := a.call(run, w, name, j, rec)
	if fence != nil {
		a.memos.remember(w, in, rec.seen.looked(), res, err)
	}
	if err != nil {
		if why := stopped(ctx, run, tooLong); why != nil {
			return crowbar.Outcome{Failure: rec.ended(why, err), Status: line(why.Error())}
		}
		return a.judge(ctx, w, rec.broken(), err)
	}
	a.forgive(w.NodeRole.ID)
	o = wellDone(w, res)
	if fence != nil {
		o.Given = inputs(w, rec.version, rec.seen.looked())
	}
	return o
}

// backup makes a copy of what a run could cost, where it is such a run.
func (a *Annealer) backup(ctx context.Context, w *crowbar.Work, log *runLog) {
	if a.Before == nil {
		return
	}
	switch b, err := a.Before(ctx, w); {
	case err != nil:
		log.line("there is no backup of the time before this run: %s", err)
	case b.Name != "":
		log.line("backup %s, revision %d of etcd", b.Name, b.Revision)
	}
}

// call has the role do the run over a connection to the node.
func (a *Annealer) call(ctx context.Context, w *crowbar.Work, name string, j jig.Jig, rec *recorder) (role.Result, error) {
	r, err := a.Roles(w.Role.Name)
	if err != nil {
		return role.Result{}, err
	}
	dialled, node, err := a.reach(ctx, w, name, j, rec.log)
	if err != nil {
		return role.Result{}, err
	}
	// gofail: var reached struct{}
	rec.conn, rec.redial, rec.version = dialled.conn, dialled.redial, r.Describe().Version
	status := newStatus(ctx, a.Engine, w.NodeRole.ID)
	res, err := apply(ctx, r, a.target(w, node, rec, status), w.Remove, rec)
	// gofail: var applied struct{}
	status.stop()
	rec.log.lines(res)
	a.conns.put(dialled, rec.broken() != nil)
	return res, err
}

const nothingToDo = "nothing to do"

func wellDone(w *crowbar.Work, res role.Result) crowbar.Outcome {
	o := crowbar.Outcome{Wall: res.Wall}
	for _, c := range res.Changes {
		o.Changes = append(o.Changes, c.String())
	}
	switch {
	case w.Remove:
		o.Status = "removed"
	case len(o.Changes) == 0:
		o.Status = nothingToDo
	case len(o.Changes) == 1:
		o.Status = "1 change"
	default:
		o.Status = fmt.Sprintf("%d changes", len(o.Changes))
	}
	return o
}

// apply calls the role; a panic is a failure like any other. A removal is fenced from its first step on: it has no first
// look that changes nothing.
func apply(ctx context.Context, r role.Role, on role.Target, remove bool, rec *recorder) (res role.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the role panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if !remove {
		return r.Apply(ctx, on)
	}
	rem, ok := r.(role.Remover)
	if !ok {
		on.Logf("the role has no removal: it leaves the node as it is")
		return res, nil
	}
	rec.looked = true
	if err := rec.pass(ctx); err != nil {
		return res, err
	}
	// gofail: var beforeRemove struct{}
	return res, rem.Remove(ctx, on)
}

func (a *Annealer) target(w *crowbar.Work, node *crowbar.Node, rec *recorder, status *statusLine) role.Target {
	return role.Target{
		Node: node.Short(), Address: node.Address, Deployment: w.Deployment.Name, Arch: node.Arch,
		Attribs: w.Attribs, Tree: w.Tree, Maps: w.Maps, Peers: w.Peers, First: w.First, Again: w.Again, Last: w.Last, Conn: rec,
		Artifacts: &artifacts{from: a.Artifacts, arch: node.Arch, to: rec, log: rec.log},
		Hold:      a.holder(w, rec.log),
		Log: func(format string, args ...any) {
			text := rec.log.out.mask(fmt.Sprintf(format, args...))
			rec.log.line("%s", text)
			status.set(text)
		},
	}
}

// judge says what a failed run counts as. A link that broke is forgiven once in a row, a plugin that went away three times:
// the run goes back to todo.
func (a *Annealer) judge(ctx context.Context, w *crowbar.Work, broken, err error) crowbar.Outcome {
	if ctx.Err() != nil {
		return crowbar.Outcome{Lost: true, Status: "the daemon stopped"}
	}
	o := crowbar.Outcome{Failure: err.Error(), Status: line(err.Error()), Final: crowbar.KindOf(err) == crowbar.Invalid} // an attrib, a node that is not fit
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.lost[w.NodeRole.ID]
	switch {
	case broken != nil:
		n.link++
		o.Lost = n.link <= linkLosses
	case errors.Is(err, role.ErrDied):
		n.plugin++
		o.Lost = n.plugin <= pluginLosses
	}
	if o.Lost {
		a.lost[w.NodeRole.ID] = n
	} else {
		delete(a.lost, w.NodeRole.ID)
	}
	return o
}

func (a *Annealer) forgive(id crowbar.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.lost, id)
}

// jig finds the way to the node: the node's own, else the role's. A phantom has its role's alone.
func (a *Annealer) jig(w *crowbar.Work) (string, jig.Jig, error) {
	name := w.Node.Jig
	if name == "" || w.Node.System {
		name = w.Role.Jig
	}
	j, ok := a.Jigs[name]
	if !ok {
		return name, nil, crowbar.Errorf(crowbar.Invalid, "this daemon has no jig %q, by which role %s reaches node %s: start it with that jig, or give the node another", name, w.Role.Name, w.Node.Name)
	}
	return name, j, nil
}

func line(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return text
}
