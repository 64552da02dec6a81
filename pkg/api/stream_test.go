package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestStatusWaitsForNews(t *testing.T) {
	w := converged(t)
	now, err := w.Status(t.Context(), "k8s", 0)
	if err != nil || now.State != "active" || len(now.NodeRoles) < 20 {
		t.Fatalf("%+v, %v", now, err)
	}
	type reply struct {
		s   crowbar.Status
		err error
	}
	got := make(chan reply, 1)
	go func() {
		s, err := w.Status(t.Context(), "k8s", now.Rev)
		got <- reply{s, err}
	}()
	select {
	case r := <-got:
		t.Fatalf("it did not wait: revision %d after %d, %v", r.s.Rev, now.Rev, r.err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := w.Do(t.Context(), crowbar.KindDeployment, "k8s", "pause", nil); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-got:
		if r.err != nil || r.s.Rev <= now.Rev || !r.s.Paused {
			t.Errorf("%+v, %v", r.s, r.err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it did not wake")
	}
}

func TestStatusEndsWithItsCaller(t *testing.T) {
	w := converged(t)
	now, err := w.Status(t.Context(), "k8s", 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.Status(ctx, "k8s", now.Rev); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestStatusSaysWhy(t *testing.T) {
	w := build(t)
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	s, err := w.Status(t.Context(), "k8s", 0)
	if err != nil {
		t.Fatal(err)
	}
	if s.State != "committed" || s.Known {
		t.Errorf("state %s, known %t", s.State, s.Known)
	}
	for _, nr := range s.NodeRoles {
		if nr.State == crowbar.Blocked && nr.Why == "" {
			t.Errorf("%s on %s is blocked and does not say why", nr.Role, nr.Node)
		}
	}
	why, err := w.Why(t.Context(), "n4/k8s-minion")
	if err != nil || !strings.Contains(why, "waits for") {
		t.Errorf("%q, %v", why, err)
	}
}

func TestLogStreams(t *testing.T) {
	w := converged(t)
	w.logs.lines = make(chan string)
	r, to := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := w.Log(t.Context(), "n1/etcd", 3, true, to)
		to.CloseWithError(err)
		ended <- err
	}()
	buf := make([]byte, 100)
	for _, line := range []string{"first\n", "second\n"} {
		w.logs.lines <- line // the next is not written before this one has been read
		n, err := r.Read(buf)
		if err != nil || string(buf[:n]) != line {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if w.logs.attempt != 3 || !w.logs.follow {
		t.Errorf("asked for attempt %d, follow %t", w.logs.attempt, w.logs.follow)
	}
	close(w.logs.lines)
	_, _ = r.Read(buf)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLogThatBreaksIsNotTakenForWhole(t *testing.T) {
	w := converged(t)
	w.logs.lines = make(chan string, 1)
	w.logs.lines <- "first\n"
	w.logs.fail = errors.New("disk gone")
	close(w.logs.lines)
	var b bytes.Buffer
	if err := w.Log(t.Context(), "n1/etcd", 0, false, &b); err == nil {
		t.Errorf("no error after %q", b.String())
	}
	w.logs.lines = make(chan string)
	close(w.logs.lines)
	w.logs.fail = crowbar.Errorf(crowbar.NotFound, "there is no log of attempt 9")
	if err := w.Log(t.Context(), "n1/etcd", 9, false, &b); crowbar.KindOf(err) != crowbar.NotFound || !strings.Contains(err.Error(), "attempt 9") {
		t.Errorf("%v", err)
	}
}

// TestLogEndsWithItsCaller: who follows a log and goes away ends the work for it.
func TestLogEndsWithItsCaller(t *testing.T) {
	w := converged(t)
	w.logs.lines = make(chan string)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Log(ctx, "n1/etcd", 0, true, io.Discard) }()
	w.logs.lines <- "first\n"
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestKubeconfigIsTrusted(t *testing.T) {
	w := build(t)
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Kubeconfig(t.Context(), "k8s"); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "converge first") {
		t.Errorf("before any master serves: %v", err)
	}
	w.drain()
	if err := w.Update(t.Context(), crowbar.KindNode, "n1", map[string]any{"alive": false}, nil); err != nil {
		t.Fatal(err)
	}
	b, err := w.Kubeconfig(t.Context(), "k8s")
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		Current  string `json:"current-context"`
		Clusters []struct {
			Name    string
			Cluster struct {
				Server string
				Name   string `json:"tls-server-name"`
				CA     []byte `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			Name string
			User struct {
				Cert []byte `json:"client-certificate-data"`
				Key  []byte `json:"client-key-data"`
			}
		}
	}
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	c := k.Clusters[0].Cluster
	if host, port, err := net.SplitHostPort(strings.TrimPrefix(c.Server, "https://")); err != nil || host != "10.0.0.2" || port != "6443" {
		t.Errorf("server %s: want the first master that is up", c.Server)
	}
	if c.Name != "kube-apiserver.kubeclamp.internal" || k.Current != "kubernetes" {
		t.Errorf("%s", b)
	}
	pair, err := tls.X509KeyPair(k.Users[0].User.Cert, k.Users[0].User.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.CA) {
		t.Fatal("no authority")
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if o := pair.Leaf.Subject.Organization; len(o) != 1 || o[0] != "system:masters" {
		t.Errorf("organization %v", o)
	}
}

// TestNoSecretLeaves walks every answer that is read, and looks for keys and for every value that runs were told to hide.
func TestNoSecretLeaves(t *testing.T) {
	w := build(t)
	const typed = "typed-by-a-person-8971"
	w.secretAttrib("site-password")
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	var echoed []string
	for _, at := range []string{"deployments/k8s", "node_roles/n1%2Fetcd"} {
		echoed = append(echoed, w.admin("PUT /api/v2/"+at+"/attribs/site-password", `{"value":"`+typed+`"}`).text)
	}
	if err := w.Do(t.Context(), crowbar.KindDeployment, "k8s", "commit", nil); err != nil {
		t.Fatal(err)
	}
	w.drain()
	w.secret = append(w.secret, typed)
	if len(w.secret) < 30 {
		t.Fatalf("only %d secrets are known", len(w.secret))
	}
	var texts []string
	texts = append(texts, echoed...)
	for _, r := range w.routes() {
		if strings.HasPrefix(r.request, "GET ") {
			w.logs.lines = make(chan string)
			close(w.logs.lines)
			texts = append(texts, w.admin(r.request, "").text)
		}
	}
	for _, k := range kinds() {
		for o := range w.engine.View().All(k) {
			texts = append(texts, w.admin("GET /api/v2/"+string(k)+"/"+o.Key().String(), "").text)
		}
	}
	for a := range w.engine.View().Attribs() {
		for _, at := range []string{"nodes/n1", "deployments/k8s", "node_roles/n1%2Fk8s-master", "node_roles/n1%2Fetcd", "node_roles/n4%2Fk8s-minion"} {
			texts = append(texts, w.admin("GET /api/v2/"+at+"/attribs/"+a.Name, "").text)
		}
	}
	stored := false
	for dr := range w.engine.View().DeploymentRoles() {
		b, _ := json.Marshal(dr)
		stored = stored || crowbar.HasSealed(dr.Proposed) || crowbar.HasSealed(dr.Committed)
		texts = append(texts, string(b))
	}
	if !stored {
		t.Error("the typed secret is nowhere in the state: this test proves nothing of it")
	}
	for _, text := range texts {
		if strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("a private key left: %.200s", text)
		}
		for _, s := range w.secret {
			q, _ := json.Marshal(s)
			if strings.Contains(text, s) || strings.Contains(text, strings.Trim(string(q), `"`)) || strings.Contains(text, base64.StdEncoding.EncodeToString([]byte(s))) {
				t.Errorf("a secret left: %.20s... in %.200s", s, text)
			}
		}
	}
}

// secretAttrib declares a secret that people set, of role etcd.
func (w *world) secretAttrib(name string) {
	w.t.Helper()
	s := w.engine.View()
	a := *s.AttribNamed("etcd-data-dir")
	a.ID, a.Name, a.Map, a.Secret, a.Default = s.Next(), name, "site/password", true, ""
	if err := w.engine.Store.Commit(w.t.Context(), s.Rev(), crowbar.Change{Put: &a}); err != nil {
		w.t.Fatal(err)
	}
}
