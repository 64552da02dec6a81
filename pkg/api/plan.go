package api

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// maxPlan is the size of the biggest plan that can be given back.
const maxPlan = 64 << 20

const planPattern = "PUT /api/v2/deployments/{id}/plan"

// plan answers what is left to do, or with ?rerun=true everything once more; ?diff=true asks the roles what they would
// change, ?seal=true makes a plan that can be given back.
func (a *API) plan(r *http.Request) (form, any, error) {
	d, err := find(a.Engine.View(), crowbar.KindDeployment, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	return a.foresee(r, crowbar.PlanFor{Deployment: d.(*crowbar.Deployment).Name, Rerun: yes(r, "rerun")})
}

func (a *API) planCluster(r *http.Request) (form, any, error) {
	c, err := cluster(r)
	if err != nil {
		return "", nil, err
	}
	return a.foresee(r, crowbar.PlanFor{Deployment: c.Deployment, Document: &c})
}

func (a *API) foresee(r *http.Request, want crowbar.PlanFor) (form, any, error) {
	want.Force, want.Seal = yes(r, "force"), yes(r, "seal")
	var ask engine.Asker
	if yes(r, "diff") {
		if ask = a.Ask; ask == nil {
			return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon does no dry runs: plan without diff=true")
		}
	}
	p, err := a.Engine.Foresee(r.Context(), want, ask)
	return "deployment.plan", p, err
}

// carryOut does what a plan says that was given back: {"plan": ..., "document": ...}.
func (a *API) carryOut(r *http.Request) (form, any, error) {
	var f struct {
		Plan     *crowbar.Plan    `json:"plan"`
		Document *crowbar.Cluster `json:"document"`
	}
	if err := body(r, &f, true); err != nil {
		return "", nil, err
	}
	if f.Plan == nil {
		return "", nil, crowbar.Errorf(crowbar.Invalid, "plan: it is missing")
	}
	name := r.PathValue("id")
	if d, err := find(a.Engine.View(), crowbar.KindDeployment, name); err == nil {
		name = d.(*crowbar.Deployment).Name
	}
	if f.Plan.Deployment != name {
		return "", nil, crowbar.Errorf(crowbar.Invalid, "the plan is of deployment %q, the address says %q", f.Plan.Deployment, name)
	}
	if err := a.Engine.CarryOut(r.Context(), f.Plan, f.Document); err != nil {
		return "", nil, err
	}
	return "deployment.apply", map[string]string{"message": "Deployment " + name + " carries out its plan."}, nil
}

func (a *API) drift(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	if a.Ask == nil {
		return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon does no dry runs")
	}
	d, err := a.Engine.Drift(r.Context(), id, a.Ask)
	return "deployment.drift", d, err
}

// mend has what was changed by hand applied again, but what a person holds.
func (a *API) mend(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	if a.Ask == nil {
		return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon does no dry runs")
	}
	m, err := a.Engine.Mend(r.Context(), id, a.Ask)
	return "deployment.mend", m, err
}

// strays compares what a cluster itself says with the node-roles; PUT mends what can be mended.
func (a *API) strays(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	if a.Actors == nil {
		return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon does no actions")
	}
	ctx, mend := r.Context(), r.Method == http.MethodPut
	if mend {
		ctx = context.WithoutCancel(ctx) // what has begun is done to its end
	}
	found, err := a.Engine.Strays(ctx, id, mend, a.Actors)
	return "deployment.strays", found, err
}
