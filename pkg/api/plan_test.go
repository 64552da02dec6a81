package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// dryRuns answers for every role but proxy that there is nothing to do.
func (w *world) dryRuns(_ context.Context, asked []crowbar.DryRun) []crowbar.Answer {
	out := make([]crowbar.Answer, len(asked))
	for i, q := range asked {
		w.secret = append(w.secret, q.Work.Secrets...)
		if q.Work.Role.Name == "proxy" {
			out[i].Differences = []crowbar.Difference{{What: "file", Name: "/etc/environment", Do: "change", Diff: "content", Unified: "@@ -1,1 +1,1 @@\n-a\n+b\n", More: 2}}
		}
	}
	return out
}

// sealed is the request with a plan for a deployment that there is not yet.
func (w *world) sealed() string {
	w.t.Helper()
	p, err := w.engine.Foresee(w.t.Context(), crowbar.PlanFor{Deployment: "planned", Document: &crowbar.Cluster{Deployment: "planned"}, Seal: true}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"plan": p})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func TestPlanThereAndBack(t *testing.T) {
	w := converged(t)
	ctx := t.Context()
	p, err := w.Plan(ctx, crowbar.PlanFor{Deployment: "k8s", Rerun: true, Seal: true}, true)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for nr := range w.engine.View().NodeRoles() {
		if nr.Deployment == w.engine.View().DeploymentNamed("k8s").ID {
			n++
		}
	}
	if len(p.Steps) != n || strings.Join(p.Touches, " ") != "n1 n2 n3 n4" || p.Outlook != crowbar.WillChange || p.Seal == "" {
		t.Errorf("%d steps for %d node-roles, touches %v, %s", len(p.Steps), n, p.Touches, p.Outlook)
	}
	fast, err := w.Plan(ctx, crowbar.PlanFor{Deployment: "k8s", Rerun: true}, false)
	if err != nil || fast.Steps[0].Outlook != crowbar.NotAsked || fast.Seal != "" {
		t.Errorf("without diffs: %+v, %v", fast.Steps[0], err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.secret) == 0 {
		t.Error("no run was given a secret: this test shows nothing")
	}
	for _, s := range w.secret {
		if strings.Contains(string(b), s) {
			t.Fatalf("there is a secret in the plan")
		}
	}
	edited := p
	edited.Steps = p.Steps[1:]
	if err := w.CarryOut(ctx, edited, nil); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("an edited one: %v", err)
	}
	if err := w.CarryOut(ctx, p, nil); err != nil {
		t.Fatal(err)
	}
	st, err := w.Status(ctx, "k8s", 0)
	if err != nil || st.State != "committed" {
		t.Errorf("%s, %v", st.State, err)
	}
	if err := w.CarryOut(ctx, p, nil); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "runs are left") {
		t.Errorf("while it is carried out: %v", err)
	}
	w.drain()
	var d crowbar.Deployment
	if err := w.Show(ctx, crowbar.KindDeployment, "k8s", &d); err != nil || d.Plan == nil || d.Plan.Runs != n {
		t.Errorf("bound to %+v, %v", d.Plan, err)
	}
	if err := w.Do(ctx, crowbar.KindDeployment, "k8s", "release", nil); err != nil {
		t.Error(err)
	}
	if w.engine.View().DeploymentNamed("k8s").Plan != nil {
		t.Error("it is still bound after the release")
	}
}

func TestPlanOfAnotherAddress(t *testing.T) {
	w := converged(t)
	if a := w.admin("PUT /api/v2/deployments/k8s/plan", w.sealed()); a.code != http.StatusUnprocessableEntity && a.code != http.StatusBadRequest || !strings.Contains(a.message(), `the address says "k8s"`) {
		t.Errorf("%d %s", a.code, a.text)
	}
	if a := w.admin("PUT /api/v2/deployments/k8s/plan", `{}`); !strings.Contains(a.message(), "plan: it is missing") {
		t.Errorf("%d %s", a.code, a.text)
	}
}

func TestDriftIsNamed(t *testing.T) {
	w := converged(t)
	d, err := w.Drift(t.Context(), "k8s")
	if err != nil {
		t.Fatal(err)
	}
	if len(d.NodeRoles) != 4 || d.NodeRoles[0].Role != "proxy" || d.NodeRoles[0].Outlook != crowbar.WillChange || d.Same != d.Asked-4 || d.Same < 10 {
		t.Errorf("%+v", d)
	}
}

func TestStraysAreNamedAndMended(t *testing.T) {
	w := converged(t)
	for _, mend := range []bool{false, true} {
		s, err := w.Strays(t.Context(), "k8s", mend)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Found) != 1 || s.Found[0].Name != "ghost" || s.Found[0].Role != "etcd" || s.Found[0].Mended != mend || len(s.Asked) != 1 {
			t.Errorf("mend %v: %+v", mend, s)
		}
	}
	if _, err := w.Strays(t.Context(), "none", false); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("no deployment: %v", err)
	}
	if _, err := w.another(func(c *apiConfig) { c.Actors = nil }).Strays(t.Context(), "k8s", true); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("a daemon without actions: %v", err)
	}
}
