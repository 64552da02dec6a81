package graph

import (
	"iter"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Frontier knows what may begin now, and keeps that in step with the state at the price of what has changed in it, however
// large the rest is. It is for one goroutine.
type Frontier struct {
	s     *crowbar.Snapshot
	ready []*crowbar.NodeRole                // soonest first: of each node those that only an exclusive may keep, and the first that nothing keeps
	of    map[crowbar.ID][]*crowbar.NodeRole // the same by node
	live  map[crowbar.ID][]*crowbar.NodeRole // by node: what waits, runs or is in error; of a long chain it is one or two
}

// whole are the kinds of which one change may concern every node.
var whole = []crowbar.Kind{crowbar.KindDeployment, crowbar.KindRole, crowbar.KindJig}

// Move looks at what has changed between the state that it knows and this one.
func (f *Frontier) Move(s *crowbar.Snapshot) {
	switch {
	case f.s == s:
		return
	case f.s == nil || f.concernsAll(s):
		f.s = s
		f.anew()
		return
	}
	moved := map[crowbar.ID]bool{}
	for id := range s.Changed(f.s, crowbar.KindNode) {
		moved[id] = true
	}
	for id := range s.Changed(f.s, crowbar.KindNodeRole) {
		was, is := f.s.NodeRole(id), s.NodeRole(id)
		if was != nil {
			moved[was.Node] = true
			f.forget(was)
		}
		if is != nil {
			moved[is.Node] = true
			f.note(is)
		}
	}
	f.s = s
	f.look(moved)
}

func (f *Frontier) concernsAll(s *crowbar.Snapshot) bool {
	for _, k := range whole {
		for range s.Changed(f.s, k) {
			return true
		}
	}
	return false
}

// anew looks at every node.
func (f *Frontier) anew() {
	f.ready, f.of, f.live = nil, map[crowbar.ID][]*crowbar.NodeRole{}, map[crowbar.ID][]*crowbar.NodeRole{}
	for nr := range f.s.NodeRoles() {
		f.note(nr)
	}
	v := viewOf(f.s)
	for n, live := range f.live {
		if list := v.candidates(live); len(list) > 0 {
			f.of[n] = list
			f.ready = append(f.ready, list...)
		}
	}
	slices.SortFunc(f.ready, soonest)
}

// note takes a node-role up that decides what may begin on its node.
func (f *Frontier) note(nr *crowbar.NodeRole) {
	switch nr.State {
	case crowbar.Todo, crowbar.Transition, crowbar.Error:
		f.live[nr.Node] = append(f.live[nr.Node], nr)
	}
}

func (f *Frontier) forget(was *crowbar.NodeRole) {
	live, had := f.live[was.Node]
	if !had {
		return
	}
	if live = slices.DeleteFunc(live, func(nr *crowbar.NodeRole) bool { return nr.ID == was.ID }); len(live) == 0 {
		delete(f.live, was.Node)
	} else {
		f.live[was.Node] = live
	}
}

// look looks at some nodes again. Where they are many, sorting everything is cheaper than one place after the other.
func (f *Frontier) look(moved map[crowbar.ID]bool) {
	v := viewOf(f.s)
	var gone map[*crowbar.NodeRole]bool
	many := len(moved) > 64
	if many {
		gone = map[*crowbar.NodeRole]bool{}
	}
	var fresh []*crowbar.NodeRole
	for n := range moved {
		for _, nr := range f.of[n] {
			if many {
				gone[nr] = true
			} else if i, is := slices.BinarySearchFunc(f.ready, nr, soonest); is {
				f.ready = slices.Delete(f.ready, i, i+1)
			}
		}
		list := v.candidates(f.live[n])
		if len(list) == 0 {
			delete(f.of, n)
			continue
		}
		f.of[n] = list
		fresh = append(fresh, list...)
	}
	if many {
		f.ready = append(slices.DeleteFunc(f.ready, func(nr *crowbar.NodeRole) bool { return gone[nr] }), fresh...)
		slices.SortFunc(f.ready, soonest)
		return
	}
	for _, nr := range fresh {
		i, _ := slices.BinarySearchFunc(f.ready, nr, soonest)
		f.ready = slices.Insert(f.ready, i, nr)
	}
}

// candidates is what of the live ones of a node waits and could begin there, soonest first, up to the first that no exclusive
// can keep.
func (v *view) candidates(live []*crowbar.NodeRole) []*crowbar.NodeRole {
	var out []*crowbar.NodeRole
	var u use
	for _, nr := range live {
		switch nr.State {
		case crowbar.Transition:
			return nil
		case crowbar.Todo:
			out = append(out, nr)
		default:
			u.see(nr)
		}
	}
	if len(out) == 0 {
		return nil
	}
	slices.SortFunc(out, soonest)
	keep := out[:0]
	for _, nr := range out {
		if r, h := v.unfit(nr, u); h.what == free {
			keep = append(keep, nr)
			if len(r.Exclusive) == 0 {
				break
			}
		}
	}
	return keep
}

// Runnable yields what may begin now: at most one node-role a node, removals first, then lowest cohort first.
func (f *Frontier) Runnable() iter.Seq[*crowbar.NodeRole] {
	return func(yield func(*crowbar.NodeRole) bool) {
		v := viewOf(f.s)
		taken := map[crowbar.ID]bool{} // nodes of which more than one waits here
		for _, nr := range f.ready {
			r := f.s.Role(nr.Role)
			if taken[nr.Node] || r == nil || len(r.Exclusive) > 0 && v.exclusion(nr, r).what != free {
				continue
			}
			if len(f.of[nr.Node]) > 1 {
				taken[nr.Node] = true
			}
			v.hold(nr, r)
			if !yield(nr) {
				return
			}
		}
	}
}
