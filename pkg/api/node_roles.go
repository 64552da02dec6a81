package api

import (
	"net/http"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (a *API) bind(r *http.Request) (form, any, error) {
	var f struct {
		Role         string       `json:"role"`
		RoleID       string       `json:"role_id"`
		Node         string       `json:"node"`
		NodeID       string       `json:"node_id"`
		Deployment   string       `json:"deployment"`
		DeploymentID string       `json:"deployment_id"`
		Data         crowbar.Data `json:"data"`
	}
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	s := a.Engine.View()
	role, err := either(s, crowbar.KindRole, f.Role, f.RoleID)
	if err != nil {
		return "", nil, err
	}
	node, err := either(s, crowbar.KindNode, f.Node, f.NodeID)
	if err != nil {
		return "", nil, err
	}
	dep := s.Node(node).Deployment
	if f.Deployment != "" || f.DeploymentID != "" {
		if dep, err = either(s, crowbar.KindDeployment, f.Deployment, f.DeploymentID); err != nil {
			return "", nil, err
		}
	}
	nr, err := a.Engine.Bind(r.Context(), role, node, dep)
	if err != nil {
		return "", nil, err
	}
	if f.Data != nil && nr.State == crowbar.Proposed {
		if err := a.Engine.SetData(r.Context(), crowbar.KindNodeRole, nr.ID, f.Data); err != nil {
			return "", nil, err
		}
		nr = a.Engine.View().NodeRole(nr.ID)
	}
	return "node_role.obj", shown(a.Engine.View(), nr), nil
}

func either(s *crowbar.Snapshot, k crowbar.Kind, name, id string) (crowbar.ID, error) {
	switch {
	case name == "" && id == "":
		return 0, legacy(crowbar.Errorf(crowbar.Invalid, "%s: it is missing; want its name, or %s_id", singular(k), singular(k)), http.StatusInternalServerError)
	case name == "":
		name = id
	}
	o, err := find(s, k, name)
	if err != nil {
		return 0, err
	}
	return o.Key(), nil
}

func (a *API) unbind(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		return "", nil, err
	}
	if err := a.Engine.Unbind(r.Context(), id); err != nil {
		return "", nil, err
	}
	return deleted(crowbar.KindNodeRole, id)
}

func (a *API) retry(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		return "", nil, err
	}
	if err := a.Engine.Retry(r.Context(), id); err != nil {
		return "", nil, legacy(err, http.StatusInternalServerError)
	}
	s := a.Engine.View()
	nr := s.NodeRole(id)
	if nr == nil {
		return "", nil, missing(s, crowbar.KindNodeRole, id.String())
	}
	return "node_role.obj", shown(s, nr), nil
}

// log streams a run log as plain text.
func (a *API) log(w http.ResponseWriter, r *http.Request) {
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	attempt, err := number(r, "attempt")
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := &flushing{w: w, flush: http.NewResponseController(w)}
	err = a.Logs.Follow(r.Context(), id, attempt, r.URL.Query().Get("follow") == "true", out)
	switch {
	case err == nil:
	case !out.wrote:
		a.fail(w, r, err)
	default:
		// Part of it is sent: the connection is cut, so that the caller does not take it for the whole.
		panic(http.ErrAbortHandler)
	}
}

// number is a query parameter, 0 where it is not given.
func number(r *http.Request, name string) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, crowbar.Errorf(crowbar.Invalid, "%s=%s: want a number", name, text)
	}
	return n, nil
}

// flushing sends each write at once, so that a follower sees lines as they come.
type flushing struct {
	w     http.ResponseWriter
	flush *http.ResponseController
	wrote bool
}

// Write sends b.
func (f *flushing) Write(b []byte) (int, error) {
	f.wrote = true
	n, err := f.w.Write(b)
	if err == nil {
		err = f.flush.Flush()
	}
	return n, err
}
