package etcd

import "github.com/kubeclamp/kubeclamp/pkg/crowbar"

// seat is how the node comes to its place in the cluster.
type seat struct {
	Found  bool   // begin a new cluster
	Aside  bool   // the data on the node belongs to no member of the cluster: move it out of the way
	Remove uint64 // member of this node whose data is gone: take it out first
	Join   bool   // ask for a new place, as a learner
}

// stays says that the data on the node is a member's own: there is only to start it.
func (s seat) stays() bool { return s == seat{} }

// view is all that the choice rests on.
type view struct {
	First, Again bool
	Settled      []string // other nodes of the deployment whose etcd serves or did
	Reached      bool     // some other member answered with a quorum behind it
	Unreached    error    // why not
	Members      []member // its list
	Local        local
	PeerURL      string
	Node, Data   string
}

// choose decides from what was seen; it changes nothing.
func choose(v view) (seat, error) {
	if v.Reached {
		return chooseAmong(v), nil
	}
	switch {
	case v.Local.Data:
		return seat{}, nil
	case len(v.Settled) > 0 || !v.First:
		return seat{}, crowbar.Errorf(crowbar.Unavailable, "etcd on %s cannot join: %w: bring a majority of the members back first", v.Node, v.Unreached)
	case v.Again:
		return seat{}, crowbar.Errorf(crowbar.Conflict, "etcd has been applied to %s before, its data in %s is gone and no other member has a copy: "+
			"put the data back, or unbind etcd from %[1]s and bind it again to begin with an empty cluster", v.Node, v.Data)
	}
	return seat{Found: true}, nil
}

func chooseAmong(v view) seat {
	m, known := own(v.Members, v.PeerURL)
	mine := v.Local.Data && known && (v.Local.Stamp == 0 || v.Local.Stamp == m.ID) && (!v.Local.Running || v.Local.ID == m.ID)
	if mine {
		return seat{}
	}
	s := seat{Aside: v.Local.Data, Join: true}
	if known {
		s.Remove = m.ID
	}
	return s
}
