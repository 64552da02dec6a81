package graph

import (
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Hold binds a deployment to a plan made at a time: until Release, nothing of it begins but the node-roles that the plan
// foresees. Those of other deployments are left out.
func Hold(s *crowbar.Snapshot, deployment crowbar.ID, foreseen []crowbar.ID, made time.Time) ([]crowbar.Change, error) {
	dep, err := deploymentOf(s, deployment, "carry out a plan")
	if err != nil {
		return nil, err
	}
	d := drafted(s)
	hold := &crowbar.PlanHold{Rev: s.Rev(), Made: made}
	for _, id := range foreseen {
		nr := s.NodeRole(id)
		if nr == nil || nr.Deployment != deployment {
			continue
		}
		hold.Runs++
		d.edit(id, func(nr *crowbar.NodeRole) { nr.Plan = hold.Rev })
	}
	c := *dep
	c.Plan = hold
	d.put(&c)
	return d.changes(), nil
}

// Release ends the binding to a plan, if there is one. One that is still being carried out is a Conflict, unless even so.
func Release(s *crowbar.Snapshot, deployment crowbar.ID, even bool) ([]crowbar.Change, error) {
	dep, err := deploymentOf(s, deployment, "release")
	if err != nil || dep.Plan == nil {
		return nil, err
	}
	if left, busy := underWay(s, dep); busy && !even {
		return nil, crowbar.Errorf(crowbar.Conflict, "deployment %s carries out the plan of %s, and %d of its %d runs are left: wait for its end (kubeclamp converge %s --wait-only), or end it: kubeclamp deployments release %s",
			dep.Name, planTime(dep), left, dep.Plan.Runs, dep.Name, dep.Name)
	}
	c := *dep
	c.Plan = nil
	return []crowbar.Change{{Put: &c}}, nil
}

// underWay counts what is left of the plan to which a deployment is bound; busy says that some of it runs or can begin.
func underWay(s *crowbar.Snapshot, dep *crowbar.Deployment) (left int, busy bool) {
	v := viewOf(s)
	for nr := range s.NodeRoles() {
		if nr.Deployment != dep.ID || outside(dep, nr) || nr.State == crowbar.Active {
			continue
		}
		left++
		busy = busy || nr.State == crowbar.Transition || nr.State == crowbar.Todo && v.hindrance(nr).what == free || nr.RetryIn > 0
	}
	return left, busy
}

// outside says that the plan to which its deployment is bound does not foresee a node-role.
func outside(dep *crowbar.Deployment, nr *crowbar.NodeRole) bool {
	return dep.Plan != nil && nr.Plan != dep.Plan.Rev
}

func notForeseen(dep *crowbar.Deployment) string {
	return fmt.Sprintf("it is not in the plan of %s that deployment %s carries out: see 'kubeclamp plan' for what is left, and 'kubeclamp deployments release %s' lets it begin",
		planTime(dep), dep.Name, dep.Name)
}

func planTime(dep *crowbar.Deployment) string {
	return dep.Plan.Made.UTC().Format("2006-01-02 15:04 UTC")
}
