package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestWhyOfADeployment: three causes, and every node-role that is not active once, in one line.
func TestWhyOfADeployment(t *testing.T) {
	w := build(t)
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	s := w.engine.View()
	role := func(name, node string) crowbar.ID {
		return s.NodeRoleOn(s.NodeNamed(node+".example.org").ID, s.RoleNamed(name).ID).ID
	}
	work, err := w.engine.Begin(t.Context(), role("node-prep", "n1"))
	if err == nil {
		err = w.engine.Finish(t.Context(), work.NodeRole.ID, work.Attempt, crowbar.Outcome{Failure: "disk full"})
	}
	if err == nil {
		_, err = w.engine.Begin(t.Context(), role("node-prep", "n2"))
	}
	if err == nil {
		err = w.engine.SetAlive(t.Context(), s.NodeNamed("n3.example.org").ID, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.WhyAll(t.Context(), "k8s")
	if err != nil {
		t.Fatal(err)
	}
	kinds, lines := map[crowbar.CauseKind]int{}, 0
	for _, c := range all.Causes {
		kinds[c.Kind] += len(c.Waiting)
		for _, x := range c.Waiting {
			if lines++; x.Why == "" || strings.Contains(x.Why, "\n") {
				t.Errorf("%s/%s: %q", x.Node, x.Role, x.Why)
			}
		}
	}
	if kinds[crowbar.CauseError] == 0 || kinds[crowbar.CauseNode] == 0 || kinds[crowbar.CauseRun] == 0 || lines != all.Total-all.Active {
		t.Errorf("causes %v, %d of %d are active", kinds, all.Active, all.Total)
	}
	if c := all.Causes[0]; c.Place != "n1/node-prep" || !strings.Contains(c.Cause, "disk full") || !strings.Contains(c.Remedy, "kubeclamp noderoles retry n1/node-prep") {
		t.Errorf("first is %+v", c)
	}
}

// TestCancelSaysWho: the run is told to stop by whoever asked, with their name.
func TestCancelSaysWho(t *testing.T) {
	w := converged(t)
	w.crowbar = true
	w.user("developer", "Cr0wbar!!", nil)
	s := w.engine.View()
	id := s.NodeRoleOn(s.NodeNamed("n4.example.org").ID, s.RoleNamed("k8s-minion").ID).ID
	if err := w.engine.Retry(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	path := "PUT /api/v2/node_roles/n4%2Fk8s-minion/cancel"
	if a := w.digest("developer", "Cr0wbar!!", path, ""); a.code != 500 || !strings.Contains(a.message(), "it waits for its turn") {
		t.Errorf("one that is todo: %d %s", a.code, a.text) // a move that its state does not allow, as OpenCrowbar answers
	}
	if _, err := w.engine.Begin(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a := w.digest("developer", "Cr0wbar!!", path, ""); a.code != 200 || a.form != "node_role.obj" {
			t.Errorf("%d %s", a.code, a.text)
		}
		if by := w.engine.View().NodeRole(id).Cancel; by != "developer" {
			t.Errorf("cancelled by %q", by)
		}
	}
	if a := w.digest("developer", "Cr0wbar!!", "PUT /api/v2/deployments/k8s/cancel", ""); a.code != 200 || !w.engine.View().DeploymentNamed("k8s").Paused {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// TestAnnealWaitsForARetry: something failed, and is still being worked on.
func TestAnnealWaitsForARetry(t *testing.T) {
	w := converged(t)
	s := w.engine.View()
	id := s.NodeRoleOn(s.NodeNamed("n4.example.org").ID, s.RoleNamed("k8s-minion").ID).ID
	fails := func(retry crowbar.Retry, code int, word string) {
		t.Helper()
		r := *w.engine.View().RoleNamed("k8s-minion")
		r.Retry = retry
		if err := w.store.Commit(t.Context(), w.engine.View().Rev(), crowbar.Change{Put: &r}); err != nil {
			t.Fatal(err)
		}
		if err := w.engine.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		work, err := w.engine.Begin(t.Context(), id)
		if err == nil {
			err = w.engine.Finish(t.Context(), id, work.Attempt, crowbar.Outcome{Failure: "no"})
		}
		if err != nil {
			t.Fatal(err)
		}
		a := w.admin("GET /api/v2/anneal", "")
		if a.code != code || a.message() != word {
			t.Errorf("%d %s, want %d %s", a.code, a.text, code, word)
		}
		st, err := w.Status(t.Context(), "k8s", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, nr := range st.NodeRoles {
			if nr.ID == id && nr.RetryAt.IsZero() != (retry.Times == 0) {
				b, _ := json.Marshal(nr)
				t.Errorf("its status is %s", b)
			}
		}
	}
	fails(crowbar.Retry{Times: 1, Backoff: 1e9}, 202, "scheduled")
	fails(crowbar.Retry{}, 409, "failed")
}
