package apitest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// complaints keeps what a checker says.
type complaints []string

func (*complaints) Helper() {}
func (c *complaints) Errorf(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

// TestCheckerComplains: what is not as described is found, each time for its own reason.
func TestCheckerComplains(t *testing.T) {
	const why = "application/vnd.crowbar.node_role.why+json; version=2.0"
	for _, c := range []struct {
		name, request, body, kind, answer string
		code                              int
		says                              string // "" = nothing
	}{
		{"good", "GET /api/v2/node_roles/7/why", "", why, `{"why":"it is active"}`, 200, ""},
		{"a name with a slash", "GET /api/v2/node_roles/n1%2Fetcd/why", "", why, `{"why":"it is active"}`, 200, ""},
		{"one key too many", "GET /api/v2/node_roles/7/why", "", why, `{"why":"","more":1}`, 200, "more"},
		{"one key too few", "GET /api/v2/node_roles/7/why", "", why, `{}`, 200, "why"},
		{"wrong type", "GET /api/v2/node_roles/7/why", "", why, `{"why":7}`, 200, "string"},
		{"no JSON", "GET /api/v2/node_roles/7/why", "", why, `{`, 200, "no JSON"},
		{"another content type", "GET /api/v2/node_roles/7/why", "", "text/html", `{"why":""}`, 200, "text/html"},
		{"another code", "GET /api/v2/node_roles/7/why", "", why, `{"why":""}`, 204, "204"},
		{"an error", "GET /api/v2/node_roles/7/why", "", "application/vnd.crowbar.framework.error+json", `{"status":404,"message":"none"}`, 404, ""},
		{"an error that says nothing", "GET /api/v2/node_roles/7/why", "", "application/vnd.crowbar.framework.error+json", `{"status":404}`, 404, "message"},
		{"no such path", "GET /api/v2/nonsense", "", why, `{}`, 200, "no such path"},
		{"no such path, refused", "GET /api/v2/nonsense", "", "application/json", `{"status":404,"message":"none"}`, 404, ""},
		{"no such query", "GET /api/v2/node_roles/7/why?y=1", "", why, `{"why":""}`, 200, `"y"`},
		{"a body where none is", "PUT /api/v2/node_roles/7/retry", "{}", why, `{}`, 200, "has a body"},
		{"no body where one is", "PATCH /api/v2/nodes/7", "", why, `{}`, 200, "no body"},
		{"a body that is not right", "PATCH /api/v2/nodes/7", `{"op":"add"}`, why, `{}`, 200, "array"},
		{"a page", "GET /my/users/sign_in", "", "text/html", "<html>", 200, ""},
	} {
		var said complaints
		h := Check(&said, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.code)
			_, _ = w.Write([]byte(c.answer))
		}))
		method, url, _ := strings.Cut(c.request, " ")
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, url, strings.NewReader(c.body)))
		if c.says == "" && len(said) > 0 || c.says != "" && (len(said) != 1 || !strings.Contains(said[0], c.says)) {
			t.Errorf("%s: %q, want %q", c.name, said, c.says)
		}
	}
}
