// Package event tells what happened between two states. It does not know who wants to hear of it.
package event

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// kinds is what there are events of, in the order in which they are told; the rest changes without telling.
var kinds = []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindJig, crowbar.KindRole, crowbar.KindAttrib, crowbar.KindDeployment, crowbar.KindNode,
	crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindRun, crowbar.KindGroup, crowbar.KindAvailableHammer, crowbar.KindHammer, crowbar.KindNetwork,
	crowbar.KindRange, crowbar.KindRouter, crowbar.KindAllocation, crowbar.KindDNSNameFilter, crowbar.KindUser, crowbar.KindToken}

// secretive is what only administrators hear of.
var secretive = []crowbar.Kind{crowbar.KindUser, crowbar.KindToken, crowbar.KindHammer}

// Of is everything that happened in one revision, in a fixed order: any two daemons tell the same.
func Of(m crowbar.Moved) []crowbar.Event {
	t := teller{was: m.Was, now: m.Now, reasons: graph.ReasonsIn(m.Now)}
	if m.Lost {
		t.tell("events.lost", nil, nil, crowbar.Data{"after": m.Was.Rev(), "advice": "what happened in between is not known any more: read the lists anew"})
	}
	for _, k := range kinds {
		for id := range m.Now.Changed(m.Was, k) {
			t.object(k, m.Was.Get(k, id), m.Now.Get(k, id))
		}
	}
	return t.out
}

type teller struct {
	was, now *crowbar.Snapshot
	reasons  *graph.Reasons // what it finds for one helps with the next, and there may be ten thousand
	out      []crowbar.Event
}

// tell adds an event; o is what it is of, nil for none, and at where it is looked up.
func (t *teller) tell(what string, o crowbar.Object, at *crowbar.Snapshot, data crowbar.Data) {
	e := crowbar.Event{SpecVersion: "1.0", ID: crowbar.EventID{Rev: t.now.Rev(), Index: len(t.out) + 1}, Source: crowbar.EventSource,
		Type: crowbar.EventTypes + what, ContentType: "application/json", Data: data, Right: crowbar.RightViewer}
	if o != nil {
		e.Subject = string(o.Kind()) + "/" + o.Key().String()
		data["id"] = o.Key()
		e.Deployment, e.Node = home(at, o)
		if slices.Contains(secretive, o.Kind()) {
			e.Right = crowbar.RightAdmin
		}
		if at == t.now { // nobody noted when something went
			e.Time = when(o)
		}
	}
	t.out = append(t.out, e)
}

func when(o crowbar.Object) time.Time {
	switch o := o.(type) {
	case *crowbar.NodeRole:
		return o.Since
	case *crowbar.Run:
		if o.Finished.IsZero() {
			return o.Started
		}
		return o.Finished
	}
	if st, ok := o.(interface{ Times() *crowbar.Stamps }); ok {
		return st.Times().UpdatedAt
	}
	return time.Time{}
}

// object tells what became of one; was or now is nil where it came or went.
func (t *teller) object(k crowbar.Kind, was, now crowbar.Object) {
	noun := strings.TrimSuffix(string(k), "s")
	switch {
	case k == crowbar.KindNodeRole:
		t.nodeRole(was, now)
	case k == crowbar.KindRun:
		t.run(was, now)
	case now == nil:
		t.tell(noun+".removed", was, t.was, named(t.was, was))
	case was == nil:
		t.tell(noun+".created", now, t.now, named(t.now, now))
	case k == crowbar.KindToken: // that it was used is all that changes of one
	default:
		data := named(t.now, now)
		if c := changes(summary(was), data); len(c) > 0 {
			data["changes"] = c
		}
		t.tell(noun+".changed", now, t.now, data)
	}
}

// named is an object's summary; a deployment-role is known by its role.
func named(s *crowbar.Snapshot, o crowbar.Object) crowbar.Data {
	data := summary(o)
	if dr, ok := o.(*crowbar.DeploymentRole); ok {
		data["role"] = roleName(s, dr.Role)
	}
	return data
}

func (t *teller) nodeRole(was, now crowbar.Object) {
	w, had := was.(*crowbar.NodeRole)
	n, has := now.(*crowbar.NodeRole)
	if !has {
		t.tell("node_role.removed", w, t.was, crowbar.Data{"role": roleName(t.was, w.Role), "was": w.State.String()})
		return
	}
	if had && w.State == n.State {
		return
	}
	data := crowbar.Data{"role": roleName(t.now, n.Role), "state": n.State.String(), "was": nil, "status": n.Status, "attempt": n.Attempt}
	if had {
		data["was"] = w.State.String()
	}
	if n.Run != 0 {
		data["run_id"] = n.Run
	}
	if n.State != crowbar.Active {
		data["why"] = t.reasons.Why(n.ID)
	}
	if at, is := n.RetryAt(); is {
		data["retry_at"] = at
	}
	t.tell("node_role."+n.State.String(), n, t.now, data)
}

func (t *teller) run(was, now crowbar.Object) {
	w, had := was.(*crowbar.Run)
	n, has := now.(*crowbar.Run)
	if !has { // the record is dropped, what happened stays true
		return
	}
	data := crowbar.Data{"node_role_id": n.NodeRole, "role": roleName(t.now, n.Role), "attempt": n.Attempt, "remove": n.Remove}
	if !had {
		t.tell("run.begun", n, t.now, data)
	}
	if n.Finished.IsZero() || had && !w.Finished.IsZero() {
		return
	}
	ended := maps.Clone(data)
	ended["outcome"], ended["changes"], ended["seconds"] = n.Outcome, n.Changes, n.Finished.Sub(n.Started).Seconds()
	t.tell("run.ended", n, t.now, ended)
}

func roleName(s *crowbar.Snapshot, id crowbar.ID) string {
	if r := s.Role(id); r != nil {
		return r.Name
	}
	return ""
}

// home is the names of the deployment and the node that an object belongs to, "" for none.
func home(s *crowbar.Snapshot, o crowbar.Object) (deployment, node string) {
	var d, n crowbar.ID
	switch o := o.(type) {
	case *crowbar.Deployment:
		return o.Name, ""
	case *crowbar.Node:
		d, node = o.Deployment, o.Name
	case *crowbar.DeploymentRole:
		d = o.Deployment
	case *crowbar.NodeRole:
		d, n = o.Deployment, o.Node
	case *crowbar.Run:
		d, n = o.Deployment, o.Node
	case *crowbar.Network:
		d = o.Deployment
	case *crowbar.Allocation:
		n = o.Node
	case *crowbar.Hammer:
		n = o.Node
	}
	if at := s.Node(n); at != nil {
		node = at.Name
	}
	if at := s.Deployment(d); at != nil {
		deployment = at.Name
	}
	return deployment, node
}
