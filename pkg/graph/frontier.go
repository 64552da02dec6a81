package graph

import (
	"iter"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Frontier knows what may begin now, and keeps that in step with the state at the price of what has changed in it, however
// large the rest is. It is for one goroutine.
type Frontier struct {
	s      *crowbar.Snapshot
	ready  []berthed // soonest first
	berths map[crowbar.ID]*berth
	moved  []*berth // to be looked at again
}

// berth is what the frontier knows of a node.
type berth struct {
	node  crowbar.ID
	live  []*crowbar.NodeRole // what waits, runs or is in error there; of a long chain it is one or two
	ready []*crowbar.NodeRole // of those what only an exclusive may keep, and the first that nothing keeps
	moved bool
}

type berthed struct {
	*crowbar.NodeRole
	at *berth
}

func sooner(a, b berthed) int { return soonest(a.NodeRole, b.NodeRole) }

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
	for id := range s.Changed(f.s, crowbar.KindNode) {
		f.berth(id)
	}
	for id := range s.Changed(f.s, crowbar.KindNodeRole) {
		if was := f.s.NodeRole(id); was != nil {
			f.berth(was.Node).forget(id)
		}
		if is := s.NodeRole(id); is != nil {
			f.berth(is.Node).note(is)
		}
	}
	f.s = s
	f.look()
}

// follow is Move for one who has changed the state that it knows in place, and names what.
func (f *Frontier) follow(changed []*crowbar.NodeRole) {
	for i, nr := range changed {
		if i > 0 && changed[i-1] == nr {
			continue
		}
		b := f.berth(nr.Node)
		b.forget(nr.ID)
		if is := f.s.NodeRole(nr.ID); is != nil {
			b.note(is)
		}
	}
	f.look()
}

func (f *Frontier) concernsAll(s *crowbar.Snapshot) bool {
	for _, k := range whole {
		for range s.Changed(f.s, k) {
			return true
		}
	}
	return false
}

// berth is that of a node, which is looked at again.
func (f *Frontier) berth(node crowbar.ID) *berth {
	b := f.berths[node]
	if b == nil {
		b = &berth{node: node}
		f.berths[node] = b
	}
	if !b.moved {
		b.moved = true
		f.moved = append(f.moved, b)
	}
	return b
}

// anew looks at every node.
func (f *Frontier) anew() {
	f.ready, f.berths, f.moved = nil, map[crowbar.ID]*berth{}, nil
	for nr := range f.s.NodeRoles() {
		if lives(nr) {
			f.berth(nr.Node).note(nr)
		}
	}
	f.look()
}

// lives says that a node-role decides what may begin on its node.
func lives(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Todo || nr.State == crowbar.Transition || nr.State == crowbar.Error
}

func (b *berth) note(nr *crowbar.NodeRole) {
	if lives(nr) {
		b.live = append(b.live, nr)
	}
}

func (b *berth) forget(id crowbar.ID) {
	b.live = slices.DeleteFunc(b.live, func(nr *crowbar.NodeRole) bool { return nr.ID == id })
}

// look looks at what has moved. Where that is much, sorting everything is cheaper than one place after the other.
func (f *Frontier) look() {
	few := len(f.moved) <= 64
	if !few {
		f.ready = slices.DeleteFunc(f.ready, func(x berthed) bool { return x.at.moved })
	}
	v := viewOf(f.s)
	var fresh []berthed
	for _, b := range f.moved {
		if few {
			f.clear(b)
		}
		b.moved, b.ready = false, v.candidates(b.ready[:0], b.live)
		for _, nr := range b.ready {
			fresh = append(fresh, berthed{nr, b})
		}
		if len(b.live) == 0 {
			delete(f.berths, b.node)
		}
	}
	f.moved = f.moved[:0]
	f.join(fresh, few)
}

// clear takes what is ready on a node out of the list.
func (f *Frontier) clear(b *berth) {
	for _, nr := range b.ready {
		if i, is := slices.BinarySearchFunc(f.ready, berthed{nr, b}, sooner); is {
			f.ready = slices.Delete(f.ready, i, i+1)
		}
	}
}

// join puts what is fresh among what is ready.
func (f *Frontier) join(fresh []berthed, few bool) {
	if few {
		for _, x := range fresh {
			i, _ := slices.BinarySearchFunc(f.ready, x, sooner)
			f.ready = slices.Insert(f.ready, i, x)
		}
		return
	}
	slices.SortFunc(fresh, sooner)
	old := f.ready
	f.ready = make([]berthed, 0, len(old)+len(fresh))
	for len(old) > 0 && len(fresh) > 0 {
		if sooner(old[0], fresh[0]) < 0 {
			f.ready, old = append(f.ready, old[0]), old[1:]
		} else {
			f.ready, fresh = append(f.ready, fresh[0]), fresh[1:]
		}
	}
	f.ready = append(append(f.ready, old...), fresh...)
}

// candidates appends what of the live ones of a node waits and could begin there, soonest first, up to the first that no
// exclusive can keep.
func (v *view) candidates(out, live []*crowbar.NodeRole) []*crowbar.NodeRole {
	var u use
	for _, nr := range live {
		switch nr.State {
		case crowbar.Transition:
			return out[:0]
		case crowbar.Todo:
			out = append(out, nr)
		default:
			u.see(nr)
		}
	}
	slices.SortFunc(out, soonest)
	keep := out[:0]
	for _, nr := range out {
		if r, h := v.unfit(nr, u); h.what == free {
			keep = append(keep, nr)
			if alone(nr, r) {
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
		for _, x := range f.ready {
			nr, several := x.NodeRole, len(x.at.ready) > 1
			r := f.s.Role(nr.Role)
			if several && taken[nr.Node] || r == nil || !alone(nr, r) && v.exclusion(nr, r).what != free {
				continue
			}
			if several {
				taken[nr.Node] = true
			}
			v.hold(nr, r)
			if !yield(nr) {
				return
			}
		}
	}
}
