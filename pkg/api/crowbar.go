package api

import (
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// routeCrowbar is what OpenCrowbar's clients ask for beyond the lists and objects themselves.
func (a *API) routeCrowbar() {
	for _, k := range listed {
		a.handle("GET /api/v2/"+string(k)+"/sample", a.sample(k))
		a.handle("POST /api/v2/"+string(k)+"/match", a.match(k))
	}
	for carrier, kinds := range within {
		for _, k := range kinds {
			a.handle("GET /api/v2/"+string(carrier)+"/{id}/"+string(k), a.of(carrier, k))
		}
	}
	a.handle("GET /api/v2/nodes/{id}/node_roles/{role}", a.nodeRoleOn)
	a.handle("GET /api/v2/runs/{id}", a.runs)
	a.raw("GET /api/v2/anneal", a.anneal)
	a.handle("GET /api/status/nodes", a.statusNodes)
	a.handle("GET /api/status/nodes/{id}", a.statusNodes)
	a.handle("GET /api/status/deployments/{id}", a.statusDeployment)
	a.handle("GET /api/status/queue", func(*http.Request) (form, any, error) { return "queue.array", map[string]any{}, nil })
	a.raw("GET /api/status/heartbeat", a.heartbeat)
	a.handle("GET /api/status/inventory", a.inventory)
	a.handle("GET /api/status/inventory/{id}", a.inventory)
	a.raw("GET /api/v2/digest", a.digest)
	a.raw("GET /utils/digest", a.digest)
}

// listed are the kinds that have a sample and can be matched.
var listed = []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindRole, crowbar.KindJig, crowbar.KindAttrib, crowbar.KindNode,
	crowbar.KindDeployment, crowbar.KindDeploymentRole, crowbar.KindNodeRole}

// within is what is found below what.
var within = map[crowbar.Kind][]crowbar.Kind{
	crowbar.KindDeployment:     {crowbar.KindNode, crowbar.KindRole, crowbar.KindNodeRole, crowbar.KindDeploymentRole},
	crowbar.KindNode:           {crowbar.KindNodeRole, crowbar.KindRole, crowbar.KindDeploymentRole},
	crowbar.KindRole:           {crowbar.KindNode, crowbar.KindNodeRole, crowbar.KindDeploymentRole},
	crowbar.KindDeploymentRole: {crowbar.KindNode, crowbar.KindRole, crowbar.KindNodeRole},
}

// of lists the objects of a kind that belong to another one.
func (a *API) of(carrier, k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		o, err := find(s, carrier, r.PathValue("id"))
		if err != nil {
			return "", nil, err
		}
		out := []crowbar.Object{}
		if n, ok := o.(*crowbar.Node); ok && k == crowbar.KindNodeRole { // found by index: a fleet has far more
			for nr := range s.EachOn(n.ID) {
				out = append(out, nr)
			}
			return form(singular(k) + ".list"), out, nil
		}
		for each := range s.All(k) {
			if belongs(s, each, o) {
				out = append(out, each)
			}
		}
		return form(singular(k) + ".list"), out, nil
	}
}

// belongs says whether one object is listed below another.
func belongs(s *crowbar.Snapshot, o, to crowbar.Object) bool {
	switch to := to.(type) {
	case *crowbar.Deployment:
		switch o := o.(type) {
		case *crowbar.Node:
			return o.Deployment == to.ID || o.ID == to.Phantom
		case *crowbar.Role:
			return s.DeploymentRoleOf(to.ID, o.ID) != nil
		case *crowbar.NodeRole:
			return o.Deployment == to.ID
		case *crowbar.DeploymentRole:
			return o.Deployment == to.ID
		case *crowbar.Network:
			return o.Deployment == to.ID
		}
	case *crowbar.Node:
		switch o := o.(type) {
		case *crowbar.Role:
			return s.NodeRoleOn(to.ID, o.ID) != nil
		case *crowbar.NodeRole:
			return o.Node == to.ID
		case *crowbar.DeploymentRole:
			nr := s.NodeRoleOn(to.ID, o.Role)
			return nr != nil && nr.Deployment == o.Deployment
		default:
			return aroundNode(s, o, to)
		}
	case *crowbar.Role:
		switch o := o.(type) {
		case *crowbar.Node:
			return s.NodeRoleOn(o.ID, to.ID) != nil
		case *crowbar.NodeRole:
			return o.Role == to.ID
		case *crowbar.DeploymentRole:
			return o.Role == to.ID
		}
	case *crowbar.DeploymentRole:
		switch o := o.(type) {
		case *crowbar.Node:
			nr := s.NodeRoleOn(o.ID, to.Role)
			return nr != nil && nr.Deployment == to.Deployment
		case *crowbar.Role:
			return o.ID == to.Role
		case *crowbar.NodeRole:
			return o.Role == to.Role && o.Deployment == to.Deployment
		}
	}
	return partOf(o, to)
}

func (a *API) nodeRoleOn(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	n, err := find(s, crowbar.KindNode, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	role, err := find(s, crowbar.KindRole, r.PathValue("role"))
	if err != nil {
		return "", nil, err
	}
	if nr := s.NodeRoleOn(n.Key(), role.Key()); nr != nil {
		return "node_role.obj", nr, nil
	}
	return "", nil, missing(s, crowbar.KindNodeRole, r.PathValue("id")+"/"+r.PathValue("role"))
}

// runs are what runs on a node now; for our own clients, and where there is no such node, the id is a run's.
func (a *API) runs(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	if own(r) {
		return a.show(crowbar.KindRun)(r)
	}
	n, err := find(s, crowbar.KindNode, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	out := []crowbar.Object{}
	for _, nr := range s.NodeRolesOn(n.Key()) {
		if nr.State != crowbar.Transition {
			continue
		}
		if run := s.Run(nr.Run); run != nil && run.Finished.IsZero() {
			out = append(out, run)
		}
	}
	return "run.list", out, nil
}
