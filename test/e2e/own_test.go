//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// TestOwnServers is what somebody does who has servers with ssh and nothing else: a daemon started by hand, a cluster.yaml
// with addresses, host keys not known before. The lab only lends the servers. The overlay is the original's, udp.
func TestOwnServers(t *testing.T) {
	s := newSite(t, 2)
	s.must("lab", "up", "--nodes-only", "--dir", s.dir, "--name", "kcclus", "--network", network, "--count", "2", "--image-cache", filepath.Join(os.Getenv("KUBECLAMP_CACHE"), "images"))
	var inv lab.Inventory
	if err := json.Unmarshal([]byte(s.must("lab", "inventory", "--dir", s.dir, "-o", "json")), &inv); err != nil {
		t.Fatal(err)
	}
	s.ownDaemon(inv.Key)
	file := filepath.Join(s.dir, "own.yaml")
	text := fmt.Sprintf(`deployment: own
attribs:
  node-network: %s
  flannel-backend: udp
  k8s-minion-eviction: { memory.available: 100Mi, nodefs.available: 1Gi, imagefs.available: 1Gi }
nodes:
- { name: gate, address: %s, admin: true, jig: local, roles: [proxy-server] }
- { name: n1, address: %s, roles: [etcd, k8s-master, dns-pool, k8s-minion, k8s-addons, k8s-ready] }
- { name: n2, address: %s, roles: [k8s-minion] }
`, network, inv.Admin, inv.Nodes[0].Address, inv.Nodes[1].Address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if plan := s.must("plan", "-f", file, "-o", "name"); !strings.Contains(plan, "n2/k8s-minion") {
		t.Errorf("the plan lacks a role:\n%s", plan)
	}
	t.Cleanup(func() { // the proxy is on this machine, not in the lab
		s.must("unbind", "gate", "proxy-server")
		s.await("the proxy to be taken off this machine", time.Minute, func() bool {
			_, _, code := s.try("noderoles", "show", "gate/proxy-server")
			return code == 4
		})
	})
	t.Log(s.must("apply", "-f", file, "--timeout", "15m"))
	s.kubectl(t)
	s.overlay(t, "udp")
	var n crowbar.Node
	if err := json.Unmarshal([]byte(s.must("nodes", "show", "n1", "-o", "json")), &n); err != nil || n.SSH.HostKey == "" {
		t.Errorf("the host key was not recorded at the first contact: %v %+v", err, n.SSH)
	}
	if out := s.must("converge"); !strings.Contains(out, "deployment own: nothing to do") {
		t.Errorf("the rerun did something:\n%s", out)
	}
}

// ownDaemon starts a daemon as its README says, and points the CLI at it.
func (s *site) ownDaemon(key string) {
	s.t.Helper()
	data := filepath.Join(s.dir, "own")
	log, err := os.Create(filepath.Join(s.dir, "own.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	d := exec.Command(filepath.Join(s.bin, "kubeclampd"), "--data-dir", data, "--listen", "127.0.0.1:3444", "--ssh-key", key,
		"--artifact-cache", filepath.Join(os.Getenv("KUBECLAMP_CACHE"), "artifacts"))
	d.Stdout, d.Stderr = log, log
	if err := d.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = d.Process.Signal(syscall.SIGTERM)
		if err := d.Wait(); err != nil {
			s.t.Errorf("the daemon: %v\n%s", err, tail(log.Name(), 30))
		}
		_ = log.Close()
	})
	s.config = filepath.Join(data, "admin.json")
	s.await("the daemon's API", time.Minute, func() bool {
		if _, err := os.Stat(s.config); err != nil {
			return false
		}
		_, _, code := s.try("deployments", "list")
		return code == 0
	})
}

// kubectl uses the kubeconfig that the CLI prints, from this machine.
func (s *site) kubectl(t *testing.T) {
	conf := filepath.Join(s.dir, "kubeconfig")
	if err := os.WriteFile(conf, []byte(s.must("kubeconfig")), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(os.Getenv("KUBECLAMP_CACHE"), "artifacts", "kubernetes", "*", "*", "kubectl"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no kubectl in the cache: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, found[0], "--kubeconfig", conf, "get", "nodes").CombinedOutput()
	if err != nil || strings.Count(string(out), " Ready ") != 2 {
		t.Errorf("kubectl get nodes: %v\n%s", err, out)
	}
}

func (s *site) overlay(t *testing.T, backend string) {
	var nr crowbar.NodeRole
	if err := json.Unmarshal([]byte(s.must("noderoles", "show", "n1/k8s-ready", "-o", "json")), &nr); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(nr.Wall["k8s-ready-proof"]); !strings.Contains(text, backend+" via ") {
		t.Errorf("the pods did not talk over %s: %s", backend, text)
	}
}
