package kube_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
)

// half is a node whose first server is gone.
type half struct {
	*kubetest.API
	asked []string
}

func (h *half) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	h.asked = append(h.asked, addr)
	if strings.HasPrefix(addr, "192.0.2.1:") {
		return nil, errors.New("no route to host")
	}
	return h.API.Dial(ctx, network, addr)
}

func TestPassesOverAServerThatDoesNotAnswer(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	h := &half{API: api}
	c, err := kube.New(h, api.Leaf(t, "me", nil), "pool.test", "192.0.2.1:6443", "192.0.2.2:6443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(h.asked) != 2 {
		t.Errorf("dialled %v", h.asked)
	}
}

func TestAnAnswerIsFinal(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	h := &half{API: api}
	c, err := kube.New(h, api.Leaf(t, "me", nil), "pool.test", "192.0.2.2:6443", "192.0.2.3:6443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Do(t.Context(), http.MethodGet, "/api/v1/nodes/none", nil, nil)
	if kube.Code(err) != http.StatusNotFound || len(h.asked) != 1 {
		t.Errorf("%v after %v", err, h.asked)
	}
}

func TestRefusesAServerOfAnotherName(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	c, err := kube.New(api, api.Leaf(t, "me", nil), "other.test", "192.0.2.2:6443")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "other.test") {
		t.Errorf("error is %v", err)
	}
}

func TestConfig(t *testing.T) {
	files := kube.Config{Cluster: "c", User: "u", Server: "https://127.0.0.1:6444", Name: "pool.test", CAFile: "/ca", CertFile: "/crt", KeyFile: "/key"}.String()
	for _, want := range []string{`tls-server-name: "pool.test"`, `certificate-authority: "/ca"`, `client-key: "/key"`, `current-context: "u@c"`} {
		if !strings.Contains(files, want) {
			t.Errorf("no %s in\n%s", want, files)
		}
	}
	embedded := kube.Config{Cluster: "c", User: "u", Server: "s", Embed: kube.Leaf{Cert: "a", Key: "b", CA: "c"}}.String()
	if !strings.Contains(embedded, "client-key-data: Yg==") || strings.Contains(embedded, "tls-server-name") {
		t.Error(embedded)
	}
}
