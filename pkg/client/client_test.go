package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func against(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	c, err := New(Config{Endpoint: srv.URL + "/", Token: "t", CA: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatANewClientRefuses(t *testing.T) {
	for _, c := range []Config{{}, {Endpoint: "http://host:1"}, {Endpoint: "host:1"}, {Endpoint: "https://"}, {Endpoint: "https://h:1", CA: "not a certificate"}, {Endpoint: "https://%zz"}} {
		if _, err := New(c); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestRequests: what each method sends. The whole way to a real engine and back is tried in package api.
func TestRequests(t *testing.T) {
	var got string
	c := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		got = r.Method + " " + r.URL.RequestURI()
		if r.Body != nil && r.ContentLength > 0 {
			var b json.RawMessage
			_ = json.NewDecoder(r.Body).Decode(&b)
			got += " " + string(b)
		}
		_, _ = w.Write([]byte(`null`))
	})
	ctx := t.Context()
	doc := crowbar.Cluster{Deployment: "a b"}
	since := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	for _, x := range []struct {
		do   func() error
		want string
	}{
		{func() error { var l []crowbar.Node; return c.List(ctx, crowbar.KindNode, &l) }, "GET /api/v2/nodes"},
		{func() error { return c.Show(ctx, crowbar.KindNodeRole, "n1/etcd", nil) }, "GET /api/v2/node_roles/n1%2Fetcd"},
		{func() error { return c.Show(ctx, crowbar.KindNode, "../x?y", nil) }, "GET /api/v2/nodes/..%2Fx%3Fy"},
		{func() error { return c.Create(ctx, crowbar.KindNode, map[string]string{"name": "n"}, nil) }, `POST /api/v2/nodes {"name":"n"}`},
		{func() error { return c.Update(ctx, crowbar.KindNode, "n", map[string]bool{"alive": false}, nil) }, `PUT /api/v2/nodes/n {"alive":false}`},
		{func() error { return c.Destroy(ctx, crowbar.KindNode, "n", false) }, "DELETE /api/v2/nodes/n"},
		{func() error { return c.Destroy(ctx, crowbar.KindNode, "n", true) }, "DELETE /api/v2/nodes/n?force=true"},
		{func() error { return c.Do(ctx, crowbar.KindDeployment, "d", "commit", nil) }, "PUT /api/v2/deployments/d/commit"},
		{func() error { _, err := c.Bind(ctx, "etcd", "n1", "d"); return err }, `POST /api/v2/node_roles {"deployment":"d","node":"n1","role":"etcd"}`},
		{func() error { _, err := c.Attrib(ctx, crowbar.KindNode, "n", "a/b"); return err }, "GET /api/v2/nodes/n/attribs/a%2Fb"},
		{func() error { return c.SetAttrib(ctx, crowbar.KindNode, "n", "a", 7) }, `PUT /api/v2/nodes/n/attribs/a {"value":7}`},
		{func() error { return c.Apply(ctx, doc, true) }, `PUT /api/v2/deployments/a%20b/apply?dry_run=true {"deployment":"a b","nodes":null}`},
		{func() error { return c.ApplyForced(ctx, doc) }, `PUT /api/v2/deployments/a%20b/apply?force=true {"deployment":"a b","nodes":null}`},
		{func() error { return c.Rerun(ctx, "d", false) }, "PUT /api/v2/deployments/d/rerun"},
		{func() error { return c.Rerun(ctx, "d", true) }, "PUT /api/v2/deployments/d/rerun?force=true"},
		{func() error { _, err := c.Plan(ctx, crowbar.PlanFor{Deployment: "d"}, false); return err }, "GET /api/v2/deployments/d/plan"},
		{func() error {
			_, err := c.Plan(ctx, crowbar.PlanFor{Deployment: "d", Rerun: true, Force: true, Seal: true}, true)
			return err
		}, "GET /api/v2/deployments/d/plan?diff=true&force=true&rerun=true&seal=true"},
		{func() error {
			_, err := c.Plan(ctx, crowbar.PlanFor{Deployment: "a b", Document: &doc}, true)
			return err
		}, `POST /api/v2/deployments/a%20b/plan?diff=true {"deployment":"a b","nodes":null}`},
		{func() error { _, err := c.Drift(ctx, "d"); return err }, "GET /api/v2/deployments/d/drift"},
		{func() error { _, err := c.Mend(ctx, "d"); return err }, "PUT /api/v2/deployments/d/mend"},
		{func() error { _, err := c.Strays(ctx, "d", false); return err }, "GET /api/v2/deployments/d/strays"},
		{func() error { _, err := c.Strays(ctx, "d", true); return err }, "PUT /api/v2/deployments/d/strays"},
		{func() error { _, err := c.Document(ctx, "d"); return err }, "GET /api/v2/deployments/d/document"},
		{func() error { _, err := c.Status(ctx, "d", 7); return err }, "GET /api/v2/deployments/d/status?after=7"},
		{func() error { _, err := c.Report(ctx, "d", since); return err }, "GET /api/v2/deployments/d/report?since=2026-01-02T02%3A04%3A05.000000006Z"},
		{func() error { _, err := c.Why(ctx, "7"); return err }, "GET /api/v2/node_roles/7/why"},
		{func() error { _, err := c.WhyAll(ctx, "d"); return err }, "GET /api/v2/deployments/d/why"},
		{func() error { return c.Do(ctx, crowbar.KindNodeRole, "n1/etcd", "cancel", nil) }, "PUT /api/v2/node_roles/n1%2Fetcd/cancel"},
		{func() error { _, err := c.Kubeconfig(ctx, "d"); return err }, "POST /api/v2/deployments/d/kubeconfig"},
		{func() error { return c.Log(ctx, "7", 2, true, &strings.Builder{}) }, "GET /api/v2/node_roles/7/log?attempt=2&follow=true"},
	} {
		if err := x.do(); err != nil || got != x.want {
			t.Errorf("sent %s, want %s; %v", got, x.want, err)
		}
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	code, text := 0, ""
	c := against(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	})
	for _, x := range []struct {
		code int
		text string
		kind crowbar.ErrorKind
		says string
	}{
		{400, `{"message":"no"}`, crowbar.Invalid, "no"},
		{413, `{"message":"big"}`, crowbar.Invalid, "big"},
		{422, `{"message":"no"}`, crowbar.Invalid, "no"},
		{404, `{"message":"gone"}`, crowbar.NotFound, "gone"},
		{409, `{"message":"moved"}`, crowbar.Conflict, "moved"},
		{503, `{"message":"later"}`, crowbar.Unavailable, "later"},
		{502, `<html>`, crowbar.Unavailable, "502"},
		{500, ``, crowbar.Internal, "500"},
		{401, `{"message":"who"}`, crowbar.Internal, "who"},
	} {
		code, text = x.code, x.text
		err := c.Show(t.Context(), crowbar.KindNode, "n", nil)
		if crowbar.KindOf(err) != x.kind || err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%d %s: %v", x.code, x.text, err)
		}
	}
	code, text = 200, "not JSON"
	if err := c.Show(t.Context(), crowbar.KindNode, "n", &struct{}{}); err == nil || !strings.Contains(err.Error(), "GET /api/v2/nodes/n") {
		t.Errorf("%v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	url := srv.URL
	other, err := New(Config{Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Show(t.Context(), crowbar.KindNode, "n", nil); crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a daemon with another authority: %v", err)
	}
	srv.Close()
	if err := other.Show(t.Context(), crowbar.KindNode, "n", nil); crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "kubeclampd") {
		t.Errorf("no daemon: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := other.Show(ctx, crowbar.KindNode, "n", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}
