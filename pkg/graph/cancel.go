package graph

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Cancel has the run of a node-role stopped, and a retry that is due forgotten. Whoever holds the run sees that; however it
// ends, the node-role is in ERROR then, and stays so until somebody retries it. What neither runs nor is to be retried stays as
// it is, but for one that is TODO: that is a Conflict, since it would begin all the same.
func Cancel(s *crowbar.Snapshot, id crowbar.ID, by string) ([]crowbar.Change, error) {
	nr := s.NodeRole(id)
	if nr == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "cancel: there is no node-role %s: list them with 'kubeclamp noderoles list'", id)
	}
	if nr.State == crowbar.Todo {
		return nil, crowbar.Errorf(crowbar.Conflict, "%s does not run, it waits for its turn: pause the deployment (kubeclamp deployments pause %s), or propose it",
			place(s, nr), deploymentName(s, nr.Deployment))
	}
	d := drafted(s)
	d.cancel(nr, by)
	return d.changes(), nil
}

// CancelAll pauses a deployment and has everything stopped that runs in it.
func CancelAll(s *crowbar.Snapshot, deployment crowbar.ID, by string) ([]crowbar.Change, error) {
	dep, err := deploymentOf(s, deployment, "cancel")
	if err != nil {
		return nil, err
	}
	d := drafted(s)
	if !dep.Paused {
		c := *dep
		c.Paused = true
		d.put(&c)
	}
	for nr := range s.NodeRoles() {
		if nr.Deployment == deployment {
			d.cancel(nr, by)
		}
	}
	return d.changes(), nil
}

func (d *draft) cancel(nr *crowbar.NodeRole, by string) {
	if _, again := nr.RetryAt(); again {
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.RetryIn = 0 })
	}
	if nr.State == crowbar.Transition && nr.Cancel == "" {
		d.edit(nr.ID, func(nr *crowbar.NodeRole) { nr.Cancel = by })
	}
}

// cancelled is the end of a run that somebody wanted to stop.
func (d *draft) cancelled(nr *crowbar.NodeRole, more string) {
	status := "cancelled by " + nr.Cancel
	failure := more
	if !strings.HasPrefix(more, status) {
		failure = strings.TrimSpace(status + "\n" + more)
	}
	d.fail(nr.ID, status, failure)
}
