package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestEveryChangeIsNoted: who, from where, by what route, what became of it; reading is not noted, and no secret is.
func TestEveryChangeIsNoted(t *testing.T) {
	w := converged(t)
	w = w.another(func(c *apiConfig) { c.Auditing = w.engine })
	w.user("boss", "Cr0wbar!!", func(u *crowbar.User) { u.Admin = true })
	const secret = "hunter2-hunter2"
	for request, body := range map[string]string{"GET /api/v2/nodes": "", "POST /api/v2/nodes/match": `{"id":1}`, "HEAD /api/v2/nodes": "",
		"POST /api/v2/deployments/k8s/plan": `{"deployment":"k8s","nodes":[]}`} {
		w.admin(request, body)
	}
	w.ask("Bearer nonsense", "DELETE /api/v2/nodes/n1", "")
	w.api.Settle()
	if log, err := w.AuditLog(t.Context(), 0, 100); err != nil || len(log) != 0 {
		t.Fatalf("reading and strangers are noted: %+v, %v", log, err)
	}
	steps := []struct {
		request, body string
		code          int
		route, object string
	}{
		{"POST /api/v2/nodes", `{"name":"n9.example.org","address":"10.0.0.9","description":"` + secret + `"}`, 200, "/api/v2/nodes", "nodes/n9.example.org"},
		{"PUT /api/v2/nodes/n9?description=" + secret, "", 200, "/api/v2/nodes/{id}", "nodes/n9.example.org"},
		{"PUT /api/v2/nodes/n1/attribs/nope", `{"value":"` + secret + `"}`, 404, "/api/v2/nodes/{id}/attribs/{attrib}", "nodes/n1.example.org"},
		{"POST /api/v2/nodes", `{"name":"N9","address":"10.0.0.9"}`, 422, "/api/v2/nodes", ""},
		{"POST /api/v2/deployments/k8s/kubeconfig", "", 200, "/api/v2/deployments/{id}/kubeconfig", "deployments/k8s"},
		{"DELETE /api/v2/nodes/n9", "", 200, "/api/v2/nodes/{id}", "nodes/n9.example.org"},
	}
	for _, s := range steps {
		if a := w.admin(s.request, s.body); a.code != s.code {
			t.Fatalf("%s: %d %s", s.request, a.code, a.text)
		}
	}
	w.crowbar = true
	if a := w.digest("boss", "Cr0wbar!!", "PUT /api/v2/deployments/k8s/propose", ""); a.code != http.StatusOK {
		t.Fatalf("%d %s", a.code, a.text)
	}
	w.crowbar = false
	w.api.Settle()
	log, err := w.AuditLog(t.Context(), 0, 100)
	if err != nil || len(log) != len(steps)+1 {
		t.Fatalf("%d entries, %v", len(log), err)
	}
	if last := log[0]; last.Who != "boss" || last.Via != "digest" || last.Object != "deployments/k8s" || last.Code != 200 || last.Ended.IsZero() {
		t.Errorf("%+v", last)
	}
	for i, s := range steps {
		e := log[len(log)-1-i]
		method, _, _ := strings.Cut(s.request, " ")
		if e.Who != "admin" || e.Via != "token" || e.From != "127.0.0.1" || e.Method != method || e.Route != s.route || e.Object != s.object || e.Code != s.code {
			t.Errorf("%s: %+v", s.request, e)
		}
	}
	if text := w.admin("GET /api/v2/audit", "").text; strings.Contains(text, secret) {
		t.Errorf("a secret is noted: %s", text)
	}
	if check, err := w.AuditVerify(t.Context()); err != nil || !check.OK || !check.Sealed || check.Last != uint64(2*len(steps)+2) {
		t.Errorf("%+v, %v", check, err)
	}
}

// TestWhatCannotBeNotedIsNotDone: a change that would leave no trace is refused.
func TestWhatCannotBeNotedIsNotDone(t *testing.T) {
	w := converged(t)
	w = w.another(func(c *apiConfig) { c.Auditing = w.engine })
	w.store.Refuse = func(_ crowbar.Rev, changes []crowbar.Change) error {
		for _, c := range changes {
			if c.Put != nil && c.Put.Kind() == crowbar.KindAudit {
				return crowbar.Errorf(crowbar.Unavailable, "%w", errors.New("the state does not answer"))
			}
		}
		return nil
	}
	if a := w.admin("PUT /api/v2/nodes/n1", `{"description":"x"}`); a.code != http.StatusServiceUnavailable || !strings.Contains(a.message(), "audit") {
		t.Errorf("%d %s", a.code, a.text)
	}
	if d := w.engine.View().NodeNamed("n1.example.org").Description; d != "" {
		t.Errorf("it was done: %q", d)
	}
}
