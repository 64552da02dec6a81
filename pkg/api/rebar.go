package api

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// routeRebar is what Digital Rebar's clients ask for beyond OpenCrowbar's. It is there whoever the API speaks to: it takes nothing
// from OpenCrowbar's clients.
func (a *API) routeRebar() {
	k := crowbar.KindNodeRole
	a.handle("GET /api/v2/node_roles/{id}/parents", a.besides(func(s *crowbar.Snapshot, nr *crowbar.NodeRole) (out []crowbar.Object) {
		for _, l := range nr.Parents {
			if p := s.NodeRole(l.ID); p != nil {
				out = append(out, p)
			}
		}
		slices.SortFunc(out, func(x, y crowbar.Object) int { return cmp.Compare(x.Key(), y.Key()) })
		return out
	}))
	a.handle("GET /api/v2/node_roles/{id}/children", a.besides(func(s *crowbar.Snapshot, nr *crowbar.NodeRole) (out []crowbar.Object) {
		for _, c := range s.Children(nr.ID) {
			out = append(out, c)
		}
		return out
	}))
	a.raw("GET /api/v2/"+string(k)+"/graph", a.nodeRoleGraph)
	a.raw("GET /api/v2/roles/graph", a.roleGraph)
	for _, verb := range []string{"activate", "flush"} { // nothing here keeps what could be flushed
		a.handle("PUT /api/v2/jigs/{id}/"+verb, a.verbOf(crowbar.KindJig, func(r *http.Request, id crowbar.ID) error {
			_, err := a.Engine.UpdateJig(r.Context(), id, func(j *crowbar.Jig) { j.Active = j.Active || verb == "activate" })
			return err
		}))
	}
	a.handle("POST /api/v2/nodes/whoami", a.whoami)
	a.handle("PUT /api/v2/nodes/{id}/scrub", a.verbOf(crowbar.KindNode, a.scrub))
	a.handle("PUT /api/v2/deployments/{id}/batch", a.batch)
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		a.handle(method+" /api/v2/attribs/{id}", a.changeAttrib)
	}
	a.raw("POST /api/v2/digest", a.digest)
	a.raw("DELETE /api/v2/digest", a.endSession)
	a.handle("GET /api/status/deployments", a.statusDeployments)
	a.handle("GET /api/status/matrix/{id}", a.matrix)
	a.handle("GET /api/status/active", a.lately)
	a.handle("PUT /api/status/active", a.lately)
	a.routeFixed()
}

// besides lists the node-roles that one is linked to.
func (a *API) besides(which func(*crowbar.Snapshot, *crowbar.NodeRole) []crowbar.Object) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		o, err := find(s, crowbar.KindNodeRole, r.PathValue("id"))
		if err != nil {
			return "", nil, err
		}
		return "node_role.list", nonNil(which(s, o.(*crowbar.NodeRole))), nil
	}
}

// nodeRoleGraph is the node-roles of ?node_id=, ?deployment_id= and ?role_id= with what they are linked to, in the language of dot.
func (a *API) nodeRoleGraph(w http.ResponseWriter, r *http.Request) {
	s, q := a.Engine.View(), r.URL.Query()
	var node, dep, role crowbar.ID
	for key, to := range map[string]*crowbar.ID{"node": &node, "deployment": &dep, "role": &role} {
		if v := q.Get(key + "_id"); v != "" {
			if err := refer(s, crowbar.Kind(key+"s"), to, &v); err != nil {
				a.fail(w, r, err)
				return
			}
		}
	}
	var b strings.Builder
	shown := map[crowbar.ID]bool{}
	vertex := func(nr *crowbar.NodeRole) {
		n, ro := s.Node(nr.Node), s.Role(nr.Role)
		if !shown[nr.ID] && n != nil && ro != nil {
			shown[nr.ID] = true
			fmt.Fprintf(&b, " %d[label=%q];", nr.ID, n.Short()+" "+ro.Name)
		}
	}
	b.WriteString("digraph {")
	for nr := range s.NodeRoles() {
		if node != 0 && nr.Node != node || dep != 0 && nr.Deployment != dep || role != 0 && nr.Role != role {
			continue
		}
		vertex(nr)
		for _, l := range nr.Parents {
			if p := s.NodeRole(l.ID); p != nil {
				vertex(p)
				fmt.Fprintf(&b, " %d -> %d;", nr.ID, p.ID)
			}
		}
	}
	b.WriteString(" }")
	plainJSON(w, http.StatusOK, map[string]string{"string": b.String()})
}

// roleGraph is the roles, of ?barclamp_id= alone where that is said, with what they require (and in red what they come after).
func (a *API) roleGraph(w http.ResponseWriter, r *http.Request) {
	s := a.Engine.View()
	var of crowbar.ID
	if v := r.URL.Query().Get("barclamp_id"); v != "" {
		if err := refer(s, crowbar.KindBarclamp, &of, &v); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	var b strings.Builder
	b.WriteString("digraph {")
	for ro := range s.Roles() {
		if of != 0 && ro.Barclamp != of {
			continue
		}
		fmt.Fprintf(&b, " %d[label=%q];", ro.ID, ro.Name)
		for _, name := range ro.Requires {
			if p := s.RoleNamed(name); p != nil {
				fmt.Fprintf(&b, " %d -> %d;", ro.ID, p.ID)
			}
		}
		for _, name := range ro.Preceeds {
			if c := s.RoleNamed(name); c != nil {
				fmt.Fprintf(&b, " %d -> %d[color=red];", c.ID, ro.ID)
			}
		}
	}
	b.WriteString(" }")
	plainJSON(w, http.StatusOK, map[string]string{"string": b.String()})
}

// whoami is the node that asks: by the addresses that it says it has, else by the one that it asks from.
func (a *API) whoami(r *http.Request) (form, any, error) {
	var f struct {
		Addrs []string `json:"addrs"`
	}
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	s := a.Engine.View()
	for _, address := range append(f.Addrs, remote(r)) {
		address, _, _ = strings.Cut(address, "/")
		if net.ParseIP(address) == nil {
			continue
		}
		if l := s.NodesLike("", address); len(l) == 1 {
			return "node.obj", l[0], nil
		}
		if at := s.AllocationAt(address); at != nil {
			if n := s.Node(at.Node); n != nil {
				return "node.obj", n, nil
			}
		}
	}
	return "", nil, &absent{"node", remote(r), "no node has one of the addresses that were sent"}
}

// scrub unbinds what is on a node of deployments that are neither its own nor above that.
func (a *API) scrub(r *http.Request, id crowbar.ID) error {
	s := a.Engine.View()
	n := s.Node(id)
	if n == nil {
		return missing(s, crowbar.KindNode, id.String())
	}
	above := map[crowbar.ID]bool{}
	for d := s.Deployment(n.Deployment); d != nil && !above[d.ID]; d = s.Deployment(d.Parent) {
		above[d.ID] = true
	}
	l := s.NodeRolesOn(id)
	slices.SortStableFunc(l, func(x, y *crowbar.NodeRole) int { return cmp.Compare(y.Cohort, x.Cohort) })
	for _, nr := range l {
		if above[nr.Deployment] || nr.Removing || a.Engine.View().NodeRole(nr.ID) == nil { // it went with another one
			continue
		}
		if err := beyond(s, r, nr.Deployment); err != nil {
			return err
		}
		if err := a.Engine.Unbind(r.Context(), nr.ID); err != nil {
			return err
		}
	}
	return nil
}

// changeAttrib changes an attrib itself. OpenCrowbar had no such thing: there an attrib is only set for an object.
func (a *API) changeAttrib(r *http.Request) (form, any, error) {
	if a.tongue(r) == crowbars {
		return "", nil, &coded{crowbar.Errorf(crowbar.Invalid, "Requested action %s is not supported on attribs/:id: set its value for an object, as in nodes/:id/attribs/:id", r.Method), http.StatusMethodNotAllowed}
	}
	e := a.attribEditor()
	if r.Method == http.MethodPatch {
		return a.patch(crowbar.KindAttrib, e)(r)
	}
	return a.put(crowbar.KindAttrib, e)(r)
}

// endSession ends the session of the one who asks, if it is one.
func (a *API) endSession(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if t, ok := a.ticket(r, now); ok {
		if err := a.Users.SignOut(r.Context(), t.Name, t.ID, now.Add(sessionLife+clockSkew)); err != nil {
			a.fail(w, r, err)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
}
