package graph

import "github.com/kubeclamp/kubeclamp/pkg/crowbar"

// rehearsal is what makes a draft cheap that is never committed, as a plan's: nobody asks what has changed in it. A node-role that
// it has copied once it then changes in place.
type rehearsal struct {
	own   marks
	moved []*crowbar.NodeRole // put, changed or dropped since the frontier was told; some more than once
	spare []crowbar.NodeRole  // copies are made by the hundred
}

// rehearsed is a draft on a copy of a state that nobody else sees.
func rehearsed(s *crowbar.Snapshot) *draft {
	return &draft{s: s.Fork(), rehearsal: &rehearsal{own: marked(s)}}
}

// copied is a copy of a node-role.
func (h *rehearsal) copied(nr *crowbar.NodeRole) *crowbar.NodeRole {
	if len(h.spare) == 0 {
		h.spare = make([]crowbar.NodeRole, 128)
	}
	c := &h.spare[0]
	h.spare = h.spare[1:]
	*c = *nr
	return c
}

// note is told of what is put or dropped.
func (h *rehearsal) note(c crowbar.Change) {
	if nr, is := c.Put.(*crowbar.NodeRole); is {
		h.own.set(nr.ID)
		h.moved = append(h.moved, nr)
	}
	if nr, is := c.Drop.(*crowbar.NodeRole); is {
		h.moved = append(h.moved, nr)
	}
}

// news is what has moved since the last call; it holds until the next change.
func (h *rehearsal) news() []*crowbar.NodeRole {
	list := h.moved
	h.moved = h.moved[:0]
	return list
}

// marks is a set of the ids of one state.
type marks []uint64

func marked(s *crowbar.Snapshot) marks { return make(marks, s.Next()/64+1) }

func (m marks) has(id crowbar.ID) bool { return m[id/64]&(1<<(id%64)) != 0 }
func (m marks) set(id crowbar.ID)      { m[id/64] |= 1 << (id % 64) }
