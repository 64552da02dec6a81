package api

import (
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// vertex is a node-role in the graph of a deployment, as the library draws it that OpenCrowbar's page used.
type vertex struct {
	ID          ref            `json:"id"`
	Name        string         `json:"name"`
	Data        map[string]any `json:"data"`
	Adjacencies []edge         `json:"adjacencies"`
}

type edge struct {
	To   ref            `json:"nodeTo"`
	From ref            `json:"nodeFrom"`
	Data map[string]any `json:"data"`
}

var colours = map[crowbar.State]string{crowbar.Error: "#FF0000", crowbar.Active: "#00FF00", crowbar.Todo: "#0000FF", crowbar.Transition: "#00FFFF",
	crowbar.Blocked: "#FF9900", crowbar.Proposed: "#CCCCCC"}

// graphOf is the node-roles of a deployment, and which come after each.
func (a *API) graphOf(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	out := []vertex{}
	for nr := range s.NodeRoles() {
		n, role := s.Node(nr.Node), s.Role(nr.Role)
		if nr.Deployment != id || n == nil || role == nil {
			continue
		}
		v := vertex{ref(nr.ID), n.Short() + ": " + role.Name, map[string]any{"$color": colours[nr.State], "$type": "circle", "$dim": 15}, []edge{}}
		for _, c := range s.Children(nr.ID) {
			v.Adjacencies = append(v.Adjacencies, edge{ref(c.ID), ref(nr.ID), map[string]any{"$color": colours[c.State]}})
		}
		out = append(out, v)
	}
	return "deployment.array", out, nil
}

// putNodeRoleOn replaces what is proposed for a role on a node.
func (a *API) putNodeRoleOn(r *http.Request) (form, any, error) {
	_, v, err := a.nodeRoleOn(r)
	if err != nil {
		return "", nil, err
	}
	r.SetPathValue("id", v.(*crowbar.NodeRole).ID.String())
	return a.put(crowbar.KindNodeRole, a.dataEditor(crowbar.KindNodeRole))(r)
}
