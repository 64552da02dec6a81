package api

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Stopping is what the API needs of the engine to stop what runs, and to say why something does not run.
type Stopping interface {
	Cancel(ctx context.Context, nodeRole crowbar.ID, by string) error
	CancelAll(ctx context.Context, deployment crowbar.ID, by string) error
	Why(id crowbar.ID) string
	WhyIn(s *crowbar.Snapshot) func(id crowbar.ID) string
	WhyAll(deployment crowbar.ID) (crowbar.Reasons, error)
}

// cancel has a run stopped; the answer is the node-role, which runs until its run has ended.
func (a *API) cancel(r *http.Request) (form, any, error) {
	by := caller(r).Name
	return a.verb(crowbar.KindNodeRole, func(ctx context.Context, id crowbar.ID) error { return a.Engine.Cancel(ctx, id, by) })(r)
}

func (a *API) why(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		return "", nil, err
	}
	return "node_role.why", map[string]string{"why": a.Engine.Why(id)}, nil
}

// whyAll is every node-role of a deployment that is not active, by root cause.
func (a *API) whyAll(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	all, err := a.Engine.WhyAll(id)
	return "deployment.why", all, err
}
