package crowbar

// States is how many node-roles are in each state.
type States struct{ Error, Active, Todo, Transition, Blocked, Proposed int32 }

// Total is how many node-roles there are.
func (n States) Total() int {
	return int(n.Error + n.Active + n.Todo + n.Transition + n.Blocked + n.Proposed)
}

func (n *States) of(s State) *int32 {
	switch s {
	case Error:
		return &n.Error
	case Active:
		return &n.Active
	case Todo:
		return &n.Todo
	case Transition:
		return &n.Transition
	case Blocked:
		return &n.Blocked
	}
	return &n.Proposed
}

// States counts the node-roles of a deployment, at the price of one look; of deployments in it they are not.
func (s *Snapshot) States(deployment ID) States {
	n, _ := s.states.get(uint64(deployment))
	return n
}

// AllStates counts the node-roles of all deployments.
func (s *Snapshot) AllStates() (all States) {
	for _, n := range s.states.all() {
		for st := Error; st <= Proposed; st++ {
			*all.of(st) += *n.of(st)
		}
	}
	return all
}

// count keeps the counts in step when a node-role comes, goes (nil) or changes.
func (s *Snapshot) count(old, new Object) {
	was, _ := old.(*NodeRole)
	is, _ := new.(*NodeRole)
	if was == is || was != nil && is != nil && was.State == is.State && was.Deployment == is.Deployment {
		return
	}
	add := func(nr *NodeRole, by int32) {
		if nr != nil {
			n, _ := s.states.get(uint64(nr.Deployment))
			*n.of(nr.State) += by
			s.states = s.states.set(s.by, uint64(nr.Deployment), n)
		}
	}
	add(was, -1)
	add(is, 1)
}
