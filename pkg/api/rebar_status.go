package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// statusDeployments is the state of all node-roles.
func (a *API) statusDeployments(*http.Request) (form, any, error) {
	s := a.Engine.View()
	roles := map[string]any{}
	for nr := range s.NodeRoles() {
		roles[nr.ID.String()] = map[string]any{"status": nr.State.String(), "state": int(nr.State)}
	}
	return "deployment.array", map[string]any{"id": -1, "state": -1, "md5": "", "status": "unknown", "nodes": s.Count(crowbar.KindNode), "node_roles": roles}, nil
}

// matrix is a deployment as a table: a row a node, a column a role, in the order in which they run, and the services beside it.
func (a *API) matrix(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	o, err := find(s, crowbar.KindDeployment, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	d := o.(*crowbar.Deployment)
	m := newMasker(s, rebars)
	services := []any{}
	isService := map[crowbar.ID]bool{}
	for _, nr := range s.NodeRolesOn(d.Phantom) {
		name, icon := m.roleLooks(nr.Role)
		services = append(services, map[string]any{"id": nr.ID, "role_id": nr.Role, "state": int(nr.State), "name": name, "icon": icon})
		isService[nr.Role] = true
	}
	var columns []*crowbar.Role
	ids := map[crowbar.ID]crowbar.ID{} // of deployment-roles, by role
	for dr := range s.DeploymentRoles() {
		if role := s.Role(dr.Role); dr.Deployment == d.ID && role != nil && !isService[role.ID] {
			columns, ids[role.ID] = append(columns, role), dr.ID
		}
	}
	slices.SortStableFunc(columns, func(x, y *crowbar.Role) int { return cmp.Compare(x.Cohort, y.Cohort) })
	heads, at := map[string]any{}, map[crowbar.ID]string{}
	for i, role := range columns {
		at[role.ID] = fmt.Sprintf("%04d", i)
		heads[at[role.ID]] = map[string]any{"id": ids[role.ID], "role_id": role.ID, "name": role.Name, "cohort": role.Cohort, "icon": m.icon(role)}
	}
	rows := map[string]any{}
	only := r.URL.Query().Get("node_id")
	for n := range s.Nodes() {
		if n.Deployment != d.ID || n.System || only != "" && only != n.ID.String() {
			continue
		}
		cells := map[string]any{}
		for nr := range s.EachOn(n.ID) {
			if column, is := at[nr.Role]; is && nr.Deployment == d.ID {
				cells[column] = map[string]any{"id": nr.ID, "role_id": nr.Role, "state": int(nr.State)}
			}
		}
		t := traitsOf(n)
		rows[n.ID.String()] = map[string]any{"id": n.ID, "name": n.Name, "description": orNull(n.Description), "state": int(nodeState(s, n.ID)), "available": n.Available,
			"alive": n.Alive, "provider_id": metalProvider, "icon": t.Icon, "roles": cells}
	}
	return "deployment.array", map[string]any{"id": d.ID, "name": d.Name, "description": orNull(d.Description), "tenant_id": systemTenant, "state": deploymentStates[deploymentState(s, d)],
		"parent_id": ref(d.Parent), "services": services, "deployment_roles": heads, "nodes": rows}, nil
}

// lately is what has changed in the last ?age= seconds (300), and all that is in error; with PUT also which of the nodes and
// deployments that the caller knows are gone.
func (a *API) lately(r *http.Request) (form, any, error) {
	var f struct {
		Age         *int         `json:"age"`
		Nodes       []crowbar.ID `json:"nodes"`
		Deployments []crowbar.ID `json:"deployments"`
	}
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	age := 300
	set(&age, f.Age)
	since := time.Now().Add(-time.Duration(age) * time.Second)
	s := a.Engine.View()
	nodes, deployments, roles := map[crowbar.ID]bool{}, map[crowbar.ID]bool{}, []crowbar.ID{}
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Error || nr.UpdatedAt.After(since) {
			roles = append(roles, nr.ID)
			nodes[nr.Node], deployments[nr.Deployment] = true, true
		}
	}
	gone := func(k crowbar.Kind, known []crowbar.ID) []crowbar.ID {
		return nonNil(slices.DeleteFunc(known, func(id crowbar.ID) bool { return s.Get(k, id) != nil }))
	}
	return "node_role.array", map[string]any{
		"changed": map[string]any{"nodes": inOrder(nodes), "node_roles": roles, "deployments": inOrder(deployments), "providers": []int{}},
		"deleted": map[string]any{"nodes": gone(crowbar.KindNode, f.Nodes), "deployments": gone(crowbar.KindDeployment, f.Deployments), "providers": []int{}}}, nil
}

func inOrder(m map[crowbar.ID]bool) []crowbar.ID {
	out := make([]crowbar.ID, 0, len(m))
	for id := range m {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
