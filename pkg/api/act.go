package api

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// act has a node-role's role do one of its actions on the node. What comes out of it as a stream, such as a copy of all that
// etcd has, does not go over the API.
func (a *API) act(r *http.Request) (form, any, error) {
	var f struct {
		Action string       `json:"action"`
		Args   crowbar.Data `json:"args"`
	}
	if a.Act == nil {
		return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon does no actions")
	}
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		return "", nil, err
	}
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	if f.Action == "" {
		return "", nil, crowbar.Errorf(crowbar.Invalid, "action: it is missing; want the name of one that the role has")
	}
	// One that has begun is done to its end, also where nobody waits for it any more.
	out, err := a.Act(context.WithoutCancel(r.Context()), id, f.Action, f.Args)
	if out == nil {
		out = crowbar.Data{}
	}
	return "node_role.act", out, err
}
