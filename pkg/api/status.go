package api

import (
	"crypto/md5" //nolint:gosec // a mark by which OpenCrowbar's pages see that something moved, no secret
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// plainJSON answers as Rails does where it renders a bare object.
func plainJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the caller went away
}

// anneal says how far the committed deployments are: 200 when nothing is left to do, 202 while something is, 409 when
// something failed.
func (a *API) anneal(w http.ResponseWriter, _ *http.Request) {
	s := a.Engine.View()
	var failed, working, scheduled bool
	for nr := range s.NodeRoles() {
		if d := s.Deployment(nr.Deployment); d == nil || d.Stored != crowbar.DeploymentCommitted {
			continue
		}
		switch nr.State {
		case crowbar.Error:
			if _, again := nr.RetryAt(); again {
				scheduled = true
			} else {
				failed = true
			}
		case crowbar.Transition:
			working = true
		case crowbar.Todo:
			scheduled = true
		}
	}
	code, word := http.StatusOK, "finished"
	switch {
	case failed:
		code, word = http.StatusConflict, "failed"
	case working:
		code, word = http.StatusAccepted, "working"
	case scheduled:
		code, word = http.StatusAccepted, "scheduled"
	}
	plainJSON(w, code, map[string]string{"message": word})
}

func (a *API) statusNodes(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	var only crowbar.ID
	if key := r.PathValue("id"); key != "" {
		o, err := find(s, crowbar.KindNode, key)
		if err != nil {
			return "", nil, err
		}
		only = o.Key()
	}
	out := map[string]any{}
	for n := range s.Nodes() {
		if only != 0 && n.ID != only {
			continue
		}
		st := nodeState(s, n.ID)
		out[n.ID.String()] = map[string]any{"name": n.Name, "state": int(st), "status": st.String(),
			"strStatus": strings.Join([]string{word(n.Alive, "Alive", "Not Alive"), word(n.Available, "Available", "Not Available"), title(st.String())}, "\n")}
	}
	return "node.array", out, nil
}

func word(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (a *API) statusDeployment(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	o, err := find(s, crowbar.KindDeployment, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	d := o.(*crowbar.Deployment)
	state := deploymentState(s, d)
	ids, roles := []string{}, map[string]any{}
	for nr := range s.NodeRoles() {
		if nr.Deployment == d.ID {
			ids = append(ids, nr.ID.String())
			roles[nr.ID.String()] = map[string]any{"status": nr.State.String(), "state": int(nr.State)}
		}
	}
	mark := ""
	if len(ids) > 0 {
		sum := md5.Sum([]byte(strings.Join(ids, "_"))) //nolint:gosec // as above
		mark = hex.EncodeToString(sum[:])
	}
	out := map[string]any{"id": d.ID, "state": deploymentStates[state], "status": state, "md5": mark, "node_roles": roles}
	if m := newMasker(s, a.tongue(r)); m.as == rebars {
		nodes := []any{}
		for n := range s.Nodes() {
			if n.Deployment == d.ID {
				nodes = append(nodes, m.shape(n))
			}
		}
		out["nodes"] = nodes
	}
	return "deployment.array", out, nil
}

// heartbeat counts all node-roles. elapsed is since the caller's marker was first seen.
func (a *API) heartbeat(w http.ResponseWriter, r *http.Request) {
	s := a.Engine.View()
	n := s.AllStates()
	out := map[string]any{"active": n.Active, "error": n.Error, "todo": n.Total() - int(n.Active+n.Error),
		"elapsed": int(a.markers.since(r.URL.Query().Get("marker"), time.Now()).Seconds())}
	if a.tongue(r) == rebars {
		out["nodes"] = s.Count(crowbar.KindNode)
	}
	plainJSON(w, http.StatusOK, out)
}

// inventory is Ansible's dynamic inventory of a deployment, or of all.
func (a *API) inventory(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	host := r.URL.Query().Get("hostvar")
	if host != "" && host != "none" {
		o, err := find(s, crowbar.KindNode, host)
		if err != nil {
			return "", nil, err
		}
		return "inventory", hostVars(s, o.(*crowbar.Node)), nil
	}
	only := r.PathValue("id")
	if only != "" {
		if _, err := find(s, crowbar.KindDeployment, only); err != nil {
			return "", nil, err
		}
	}
	out := map[string]any{"all": map[string]any{"vars": map[string]any{"ansible_ssh_user": "root", "ansible_ssh_port": 22, "available_os": []string{}}}}
	vars := map[string]any{}
	for d := range s.Deployments() {
		if only != "" && d.Name != only && d.ID.String() != only {
			continue
		}
		out[d.Name] = inventoryOf(s, d)
		for n := range s.Nodes() {
			if isHost(n, d) {
				vars[n.Name] = hostVars(s, n)
			}
		}
	}
	for g := range s.Groups() {
		members := []string{}
		for n := range s.Nodes() {
			if vars[n.Name] != nil && slices.Contains(n.Groups, g.ID) {
				members = append(members, n.Name)
			}
		}
		out[g.Category+"_"+g.Name] = members
	}
	if host != "none" {
		out["_meta"] = map[string]any{"hostvars": vars}
	}
	return "inventory", out, nil
}

func isHost(n *crowbar.Node, d *crowbar.Deployment) bool {
	return n.Deployment == d.ID && !n.Admin && !n.System
}

// inventoryOf is a deployment as a group of Ansible's.
func inventoryOf(s *crowbar.Snapshot, d *crowbar.Deployment) map[string]any {
	hosts, children, roles, networks := []string{}, []string{}, []string{}, []string{}
	for n := range s.Nodes() {
		if isHost(n, d) {
			hosts = append(hosts, n.Name)
		}
	}
	for c := range s.Deployments() {
		if c.Parent == d.ID && c.ID != d.ID {
			children = append(children, c.Name)
		}
	}
	for role := range s.Roles() {
		if s.DeploymentRoleOf(d.ID, role.ID) != nil {
			roles = append(roles, role.Name)
		}
	}
	for n := range s.Networks() {
		if n.Deployment == d.ID {
			networks = append(networks, n.Name)
		}
	}
	slices.Sort(roles)
	g := map[string]any{"hosts": hosts, "vars": map[string]any{"networks": networks, "roles": roles}}
	if len(children) > 0 {
		g["children"] = children
	}
	return g
}

func hostVars(s *crowbar.Snapshot, n *crowbar.Node) map[string]any {
	v := map[string]any{"alive": n.Alive, "available": n.Available, "state": nodeState(s, n.ID).String(), "os": n.BootEnv,
		"cpu_count": -1, "memory": 1, "number_of_drives": -1}
	if n.Address != "" {
		v["ansible_host"] = n.Address
	}
	if n.SSH.Port != 0 {
		v["ansible_port"] = n.SSH.Port
	}
	if n.SSH.User != "" {
		v["ansible_user"] = n.SSH.User
	}
	for _, a := range s.AllocationsOf(n.ID) {
		if net, r := s.Network(a.Network), s.Range(a.Range); net != nil && r != nil {
			v["network."+net.Name+"."+r.Name] = a.IP().String()
		}
	}
	return v
}
