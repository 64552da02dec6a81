package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// statusWait is how long a reader of a status waits for news before it is answered with the old.
const statusWait = 30 * time.Second

func (a *API) createDeployment(r *http.Request) (form, any, error) {
	var f struct {
		Name        *string `json:"name"`
		Description string  `json:"description"`
		Parent      string  `json:"parent"`
		ParentID    string  `json:"parent_id"`
	}
	p, err := read(r)
	if err == nil {
		err = p.into(&f)
	}
	batch := a.tongue(r) == rebars && p["nodes"] != nil
	if err == nil && a.tongue(r) == rebars {
		err = deploymentSaid(p)
	}
	if err != nil {
		return "", nil, err
	}
	if f.Name == nil {
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "name: it is missing"), http.StatusInternalServerError)
	}
	s := a.Engine.View()
	f.Parent = cmp.Or(f.Parent, f.ParentID, "system")
	parent, err := find(s, crowbar.KindDeployment, f.Parent)
	if err != nil {
		return "", nil, err
	}
	d, err := a.Engine.CreateDeployment(r.Context(), *f.Name, f.Description, parent.Key())
	if err == nil && batch {
		err = a.filled(r, d.ID, p)
	} else if err == nil && a.tongue(r) == rebars && text(p["commit"]) == "true" {
		err = a.Engine.Commit(r.Context(), d.ID)
	}
	if err != nil {
		return "", nil, err
	}
	d = a.Engine.View().Deployment(d.ID)
	return "deployment.obj", shown(a.Engine.View(), d), nil
}

func (a *API) deleteDeployment(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	if err := a.Engine.DeleteDeployment(r.Context(), id); err != nil {
		return "", nil, err
	}
	return deleted(crowbar.KindDeployment, id)
}

func (a *API) deploymentVerb(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	verbs := map[string]func(context.Context, crowbar.ID) error{
		"commit": a.Engine.Commit, "propose": a.Engine.Propose, "recall": a.Engine.Propose, "rerun": a.Engine.Rerun, "redeploy": a.Engine.Redeploy, "release": a.Engine.Release,
		"dismantle": a.Engine.Dismantle,
		"cancel":    func(ctx context.Context, id crowbar.ID) error { return a.Engine.CancelAll(ctx, id, caller(r).Name) },
		"pause":     func(ctx context.Context, id crowbar.ID) error { return a.Engine.Pause(ctx, id, true) },
		"resume":    func(ctx context.Context, id crowbar.ID) error { return a.Engine.Pause(ctx, id, false) },
	}
	do, ok := verbs[r.PathValue("verb")]
	if !ok {
		return "", nil, crowbar.Errorf(crowbar.NotFound, "no verb %q on deployments; there are commit, propose, recall, rerun, redeploy, release, pause, resume, cancel, dismantle, apply", r.PathValue("verb"))
	}
	if r.PathValue("verb") == "rerun" && yes(r, "force") {
		do = a.Engine.Force
	}
	if err := do(r.Context(), id); err != nil {
		return "", nil, legacy(err, http.StatusInternalServerError)
	}
	s := a.Engine.View()
	d := s.Deployment(id)
	if d == nil {
		return "", nil, missing(s, crowbar.KindDeployment, id.String())
	}
	return "deployment.obj", shown(s, d), nil
}

func (a *API) apply(r *http.Request) (form, any, error) {
	c, err := cluster(r)
	if err != nil {
		return "", nil, err
	}
	if yes(r, "force") && !yes(r, "dry_run") {
		err = a.Engine.ApplyForced(r.Context(), c)
	} else {
		err = a.Engine.Apply(r.Context(), c, yes(r, "dry_run"))
	}
	if err != nil {
		return "", nil, err
	}
	return "deployment.apply", map[string]string{"message": "Applied to deployment " + c.Deployment + "."}, nil
}

// document is a deployment as the cluster.yaml that makes it, without what is secret.
func (a *API) document(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	out, err := a.Engine.Document(id)
	return "deployment.document", out, err
}

func yes(r *http.Request, name string) bool { return r.URL.Query().Get(name) == "true" }

func cluster(r *http.Request) (c crowbar.Cluster, err error) {
	if err := body(r, &c, true); err != nil {
		return c, err
	}
	if id := r.PathValue("id"); c.Deployment != id {
		return c, crowbar.Errorf(crowbar.Invalid, "the document is of deployment %q, the address says %q", c.Deployment, id)
	}
	return c, nil
}

func nonNil[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func (a *API) report(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	since := time.Time{}
	if text := r.URL.Query().Get("since"); text != "" {
		if since, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return "", nil, crowbar.Errorf(crowbar.Invalid, "since: want a time such as 2026-01-31T12:00:00Z: %w", err)
		}
	}
	rep, err := a.Engine.Report(id, since)
	return "deployment.report", rep, err
}

// status answers at once, or with ?after=REV when there is a newer revision.
func (a *API) status(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	after, err := number(r, "after")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusWait)
	defer cancel()
	s := a.Engine.View()
	if s.Rev() <= crowbar.Rev(after) {
		for s = range a.Engine.Watch(ctx) {
			if s.Rev() > crowbar.Rev(after) {
				break
			}
		}
		if s == nil || s.Rev() <= crowbar.Rev(after) {
			s = a.Engine.View()
		}
	}
	d := s.Deployment(id)
	if d == nil {
		return "", nil, missing(s, crowbar.KindDeployment, id.String())
	}
	return "deployment.status", a.statusOf(s, d), nil
}

func (a *API) statusOf(s *crowbar.Snapshot, d *crowbar.Deployment) crowbar.Status {
	out := crowbar.Status{Rev: s.Rev(), Deployment: d.Name, State: deploymentState(s, d), Paused: d.Paused, NodeRoles: []crowbar.NodeRoleStatus{}, Known: true}
	busy := map[crowbar.ID]time.Duration{}
	why := a.Engine.WhyIn(s)
	for nr := range s.NodeRoles() {
		if nr.Deployment != d.ID {
			continue
		}
		st := a.nodeRoleStatus(s, nr, why)
		out.NodeRoles = append(out.NodeRoles, st)
		switch nr.State {
		case crowbar.Todo, crowbar.Blocked, crowbar.Transition:
			if st.Expected == 0 {
				out.Known = false
			}
			left := time.Duration(st.Expected)
			if nr.State == crowbar.Transition {
				left = max(0, left-time.Since(nr.Since))
			}
			busy[nr.Node] += left
		}
	}
	for _, left := range busy {
		out.Remaining = max(out.Remaining, crowbar.Duration(left.Round(time.Second)))
	}
	return out
}

func (a *API) nodeRoleStatus(s *crowbar.Snapshot, nr *crowbar.NodeRole, why func(crowbar.ID) string) crowbar.NodeRoleStatus {
	st := crowbar.NodeRoleStatus{ID: nr.ID, Cohort: nr.Cohort, State: nr.State, Name: nr.State.String(), Status: nr.Status, Failure: nr.Failure,
		Attempt: nr.Attempt, RunCount: nr.RunCount, Since: nr.Since, Expected: a.Engine.Expected(nr), Removing: nr.Removing}
	if d := s.Deployment(nr.Deployment); d != nil && d.Plan != nil {
		st.Held = nr.Plan != d.Plan.Rev && nr.State != crowbar.Active
	}
	if n := s.Node(nr.Node); n != nil {
		st.Node, st.Halted = n.Short(), !n.Alive || !n.Available || !nr.Available
	}
	if r := s.Role(nr.Role); r != nil {
		st.Role = r.Name
	}
	switch nr.State {
	case crowbar.Blocked, crowbar.Error, crowbar.Todo, crowbar.Proposed:
		st.Why = why(nr.ID)
	}
	st.RetryAt, _ = nr.RetryAt()
	return st
}
