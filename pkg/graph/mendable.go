package graph

import (
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Held says what keeps a whole deployment from being mended; "" = nothing does.
type Held struct {
	Why  string
	Busy bool // it is something that runs, or is about to
}

// Mendable is the node-roles of a deployment that may be applied once more though nobody asks for it, parents first; held says
// what keeps all of them from it. What a person holds is not among them: what is paused, proposed, bound to a plan, not
// available, of a node that is so or that has something in error, or what has been changed and waits to be committed. What is
// above something in error is left as well, as that would begin again with it.
func Mendable(s *crowbar.Snapshot, deployment crowbar.ID) (list []*crowbar.NodeRole, held Held, err error) {
	dep, err := deploymentOf(s, deployment, "mend")
	if err != nil {
		return nil, held, err
	}
	switch {
	case dep.Stored != crowbar.DeploymentCommitted:
		return nil, Held{Why: "it is proposed"}, nil
	case dep.Paused:
		return nil, Held{Why: "it is paused"}, nil
	case dep.Plan != nil:
		return nil, Held{Why: fmt.Sprintf("it is bound to the plan of %s: 'kubeclamp deployments release %s' ends that", planTime(dep), dep.Name)}, nil
	}
	v := viewOf(s)
	for _, nr := range in(s, deployment) {
		if nr.State == crowbar.Transition || nr.State == crowbar.Todo && v.hindrance(nr).what == free {
			return nil, Held{Why: "it is not at rest: " + place(s, nr) + " runs or is about to", Busy: true}, nil
		}
		if mendable(s, v, nr) {
			list = append(list, nr)
		}
	}
	return byCohort(list), held, nil
}

func mendable(s *crowbar.Snapshot, v *view, nr *crowbar.NodeRole) bool {
	n, r := s.Node(nr.Node), s.Role(nr.Role)
	if nr.State != crowbar.Active || nr.RunCount == 0 || nr.Removing || nr.Stale || n == nil || n.Removing || r == nil || r.Flags.Destructive {
		return false
	}
	for _, c := range s.Children(nr.ID) {
		if c.State == crowbar.Error {
			return false
		}
	}
	return ready(s, nr) && v.hindrance(nr).what == free
}
