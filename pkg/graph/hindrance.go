package graph

import (
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// hindrance is what keeps a TODO node-role from beginning; its words are made only when somebody asks for them.
type hindrance struct {
	what  obstacle
	by    *crowbar.NodeRole // the node-role that is in the way, where it is one
	under string            // the exclusive
}

// obstacle is a kind of hindrance.
type obstacle int

const (
	free obstacle = iota
	lost          // its deployment, node or role is gone
	proposed
	paused
	unplanned
	untargeted
	jigless
	addressless
	dead
	unavailable
	crowded // its node runs something else
	stuck   // its node has something in error
	above   // a removal: what needs it is still there
	unaware // a removal: what used it has not let go of it yet
	taken   // the exclusive is
	gated   // a peer is in error
	later   // another one founds the cluster
)

// obstacles is every kind of hindrance, for tests.
const obstacles = int(later)

// words say what the hindrance of a node-role is, and what to do about it.
func (h hindrance) words(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	by := ""
	if h.by != nil {
		by = place(s, h.by)
	}
	switch h.what {
	case lost:
		return "its deployment, node or role is gone: unbind it"
	case proposed:
		return fmt.Sprintf("deployment %s is proposed: commit it", deploymentName(s, nr.Deployment))
	case paused:
		return fmt.Sprintf("deployment %s is paused: resume it", deploymentName(s, nr.Deployment))
	case unplanned:
		return notForeseen(s.Deployment(nr.Deployment))
	case untargeted:
		return "it is not available: clear the node's target role"
	case jigless:
		return fmt.Sprintf("there is no jig %s: import the barclamp that has it", s.Role(nr.Role).Jig)
	case addressless:
		return fmt.Sprintf("node %s has no address yet: give it one", nodeName(s, nr.Node))
	case dead:
		return fmt.Sprintf("node %s is not alive", nodeName(s, nr.Node))
	case unavailable:
		return fmt.Sprintf("node %s is not available", nodeName(s, nr.Node))
	case crowded:
		return by + " runs first"
	case stuck:
		return by + " is in error" + colon(h.by.Status)
	case above:
		return by + " goes first"
	case unaware:
		return by + " lets go of it first"
	case taken:
		return fmt.Sprintf("%s holds %s", by, h.under)
	case gated:
		return fmt.Sprintf("%s is in error%s, and %s waits until all peers are well", by, colon(h.by.Status), h.under)
	case later:
		return by + " founds the cluster first"
	}
	return ""
}
