package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// daemon answers as kubeclampd would: path -> status and body.
func daemon(t *testing.T, answers map[string]func() (int, any)) {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]any{"message": "no answer for " + r.Method + " " + r.URL.Path})
			return
		}
		code, v := answer()
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}))
	t.Cleanup(srv.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	b, err := json.Marshal(client.Config{Endpoint: srv.URL, Token: "secret", CA: string(ca)})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECLAMP_CONFIG", file)
}

func always(code int, v any) func() (int, any) { return func() (int, any) { return code, v } }

func cli(t *testing.T, args ...string) (string, string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func statusOf(states ...crowbar.State) crowbar.Status {
	s := crowbar.Status{Rev: 1, Deployment: "k8s", State: "committed", Known: true}
	for i, st := range states {
		s.NodeRoles = append(s.NodeRoles, crowbar.NodeRoleStatus{ID: crowbar.ID(i + 1), Node: "n1", Role: "r" + string(rune('a'+i)), Cohort: i, State: st, Name: st.String()})
	}
	return s
}

func TestExitCodes(t *testing.T) {
	deployments := always(200, []crowbar.Deployment{{Name: "system", System: true}, {Name: "k8s"}})
	failed := statusOf(crowbar.Active, crowbar.Error, crowbar.Blocked)
	failed.NodeRoles[1].Failure = "disk full"
	plan := crowbar.Plan{Format: 1, Outlook: crowbar.WillChange, Steps: []crowbar.Step{{Node: "n1", Role: "etcd", Do: "apply", Why: "never applied"}}}
	daemon(t, map[string]func() (int, any){
		"GET /api/v2/deployments":                  deployments,
		"GET /api/v2/nodes/n9":                     always(404, map[string]any{"message": "Could not find node with id n9."}),
		"POST /api/v2/node_roles":                  always(409, map[string]any{"message": "conflicts"}),
		"GET /api/v2/deployments/k8s/plan":         always(200, plan),
		"GET /api/v2/deployments/done/plan":        always(200, crowbar.Plan{Format: 1, Outlook: crowbar.WillNot}),
		"PUT /api/v2/deployments/bad/rerun":        always(200, nil),
		"GET /api/v2/deployments/bad/status":       always(200, failed),
		"PUT /api/v2/deployments/slow/rerun":       always(200, nil),
		"GET /api/v2/deployments/slow/status":      always(200, statusOf(crowbar.Transition)),
		"PUT /api/v2/deployments/broken/commit":    always(500, map[string]any{"message": "boom"}),
		"PUT /api/v2/deployments/sulking/commit":   always(503, map[string]any{"message": "later"}),
		"PUT /api/v2/deployments/k8s/attribs/port": always(422, map[string]any{"message": "not a number"}),
	})
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"plan", exitDone, ""},
		{"-d done plan --detailed-exitcode", exitDone, ""},
		{"plan --detailed-exitcode", exitDifferences, ""},
		{"nodes show n9", exitNotFound, "n9"},
		{"bind n1 etcd", exitNotFound, "conflicts"},
		{"set port=x", exitInvalid, "not a number"},
		{"plan --no-such-flag", exitInvalid, "no-such-flag"},
		{"apply -f /does/not/exist.yaml", exitInvalid, "exist.yaml"},
		{"converge bad --timeout 10s", exitInError, "n1/rb: disk full"},
		{"converge slow --timeout 300ms", exitTimeout, "n1/ra transition"},
		{"-d broken commit", exitFailed, "boom"},
		{"-d sulking commit", exitFailed, "later"},
	} {
		t.Run(c.args, func(t *testing.T) {
			_, errs, code := cli(t, strings.Fields(c.args)...)
			if code != c.code || !strings.Contains(errs, c.says) {
				t.Errorf("code %d, want %d; stderr %q, want %q in it", code, c.code, errs, c.says)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := codeOf(ctx, errors.New("stopped")); code != exitInterrupted {
		t.Errorf("interrupted: code %d", code)
	}
}

func TestNothingToDo(t *testing.T) {
	began := time.Now()
	daemon(t, map[string]func() (int, any){
		"PUT /api/v2/deployments/k8s/rerun":  always(200, nil),
		"GET /api/v2/deployments/k8s/status": always(200, statusOf(crowbar.Active, crowbar.Active)),
		"GET /api/v2/deployments/k8s/report": always(200, crowbar.Report{Runs: []crowbar.RunReport{
			{Node: "n1", Role: "ra", Outcome: "unchanged", Started: began, Finished: began}, {Node: "n1", Role: "rb", Outcome: "unchanged", Started: began, Finished: began}}}),
	})
	out, errs, code := cli(t, "converge", "k8s")
	if code != 0 || !strings.Contains(out, "n1: nothing to do (2 roles checked)") || !strings.Contains(out, "deployment k8s: nothing to do; 2 runs in ") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
}

func TestComplaintsNameTheLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	text := "deployment: k8s\nattribs:\n  flannel-backend: vxlan\nnodes:\n- name: n1\n  address: 10.0.0.1\n  roles:\n  - etcd\n  - nope\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := readDocument(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = doc.locate(crowbar.Errorf(crowbar.Invalid, "apply to deployment %q: nothing was changed:\nnodes[0].roles[1]: no role nope\nattribs.flannel-backend: no\nnodes[0].roles[7]: gone", "k8s"))
	want := "apply to deployment \"k8s\": nothing was changed:\n" + file + ":9: nodes[0].roles[1]: no role nope\n" + file + ":3: attribs.flannel-backend: no\n" + file + ":8: nodes[0].roles[7]: gone"
	if d := cmp.Diff(want, err.Error()); d != "" {
		t.Error(d)
	}
}

func TestMatrix(t *testing.T) {
	s := crowbar.Status{Deployment: "k8s", State: "committed", Known: true, Remaining: crowbar.Duration(90 * time.Second), NodeRoles: []crowbar.NodeRoleStatus{
		{Node: "n2", Role: "etcd", Cohort: 1, State: crowbar.Blocked, Why: "waits for etcd on n1"},
		{Node: "n1", Role: "etcd", Cohort: 1, State: crowbar.Error, Failure: "apt lock held by pid 812\nmore"},
		{Node: "n1", Role: "node-prep", State: crowbar.Active},
		{Node: "k8s-phantom", Role: "cluster-pki", State: crowbar.Active},
	}}
	want := `deployment k8s: committed, 2 of 4 active, about 1m30s left

             n1  n2  (service)
node-prep    +
cluster-pki          +
etcd         x   #

x n1/etcd: apt lock held by pid 812`
	if d := cmp.Diff(want, strings.Join(matrix(s, nil, 80), "\n")); d != "" {
		t.Error(d)
	}
}

// TestLivePicture: how far it is, how long it will take; a column for each node where those fit, else a bar for each role.
func TestLivePicture(t *testing.T) {
	s := crowbar.Status{Deployment: "k8s", State: "error", Known: true, Remaining: crowbar.Duration(90 * time.Second)}
	for _, n := range []string{"n1", "n2", "n3", "n4"} {
		for i, role := range []string{"node-prep", "etcd"} {
			state := crowbar.Active
			if i == 1 {
				state = map[string]crowbar.State{"n1": crowbar.Active, "n2": crowbar.Error, "n3": crowbar.Todo, "n4": crowbar.Transition}[n]
			}
			nr := crowbar.NodeRoleStatus{Node: n, Role: role, Cohort: i, State: state, Since: time.Now()}
			if state == crowbar.Error {
				nr.Failure = "disk full"
			}
			s.NodeRoles = append(s.NodeRoles, nr)
		}
	}
	wide := `deployment k8s: error                 42s, about 1m20s left
[############xx>>----]  5 of 8 active, 1 running, 1 in error

           n1  n2  n3  n4
node-prep  +   +   +   +
etcd       +   x   o   >

> n4/etcd 0s
x n2/etcd: disk full`
	narrow := `deployment k8s: error  42s, about 1m20s left
[######x>--]  5 of 8 active, 1 running, 1 in error

node-prep  [#####]  4/4
etcd       [#x>--]  1/4  >1  x1  o1

> n4/etcd 0s
x n2/etcd: disk full`
	for width, want := range map[int]string{60: wide, 24: narrow} {
		if d := cmp.Diff(want, strings.Join(livePicture(s, nil, width, 42*time.Second, 10*time.Second), "\n")); d != "" {
			t.Errorf("%d wide: %s", width, d)
		}
	}
	for line, want := range map[string]string{"short": "short", "1234567890": "1234567890", "12345678901": "123456789…", "\x1b[32m12345678901\x1b[0m": "\x1b[32m123456789…\x1b[0m", "\x1b[32m1234567890\x1b[0m": "\x1b[32m1234567890\x1b[0m"} {
		if got := cut(line, 10); got != want {
			t.Errorf("cut(%q) = %q, want %q", line, got, want)
		}
	}
}

func TestResting(t *testing.T) {
	later := statusOf(crowbar.Error, crowbar.Blocked)
	later.NodeRoles[0].RetryAt = time.Now().Add(time.Hour)
	dark := statusOf(crowbar.Active, crowbar.Todo)
	dark.NodeRoles[1].Halted = true
	halted := later
	halted.Paused = true
	for _, c := range []struct {
		name string
		s    crowbar.Status
		want bool
	}{
		{"all active", statusOf(crowbar.Active), true},
		{"one runs", statusOf(crowbar.Active, crowbar.Transition), false},
		{"one is about to start", statusOf(crowbar.Active, crowbar.Todo), false},
		{"an error holds its node", statusOf(crowbar.Error, crowbar.Todo), true},
		{"an error that is tried again", later, false},
		{"an error that would be tried again, were the deployment not paused", halted, true},
		{"a node that does not answer", dark, true},
		{"blocked for good", statusOf(crowbar.Error, crowbar.Blocked), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := resting(c.s); got != c.want {
				t.Errorf("resting = %t", got)
			}
		})
	}
}
