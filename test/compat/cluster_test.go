//go:build compat

package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// core is what such a server brings itself, as far as our package asks for it.
const core = `barclamp: { name: %[1]s, description: The server's own }
%[1]s: { layout: 2.0 }
jigs:
  - { name: noop, class: "BarclampCrowbar::NoopJig" }
  - { name: script, class: "BarclampScript::Jig" }
roles:
  - { name: %[1]s-installed-node, jig: noop, flags: [implicit, milestone] }
`

// servers are the two dialects: the name of the package's and the daemon's.
var servers = map[string]string{"opencrowbar": "crowbar", "rebar": "rebar"}

// TestNativePackage brings a cluster up on a server that has nothing but the package. COMPAT_NODES is how many nodes (1 to 3), and
// COMPAT_ROLES up to where (etcd, or all).
func TestNativePackage(t *testing.T) {
	count, _ := strconv.Atoi(os.Getenv("COMPAT_NODES"))
	count = max(1, count)
	for name, compat := range servers {
		if only := os.Getenv("COMPAT_FOR"); only != "" && only != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var specs []lab.NodeSpec
			for i := range count {
				specs = append(specs, lab.NodeSpec{Name: fmt.Sprintf("n%d", i+1)})
			}
			w := newWorld(t, "kccomp", "10.198.0.0/16", specs...)
			s := &server{world: w, c: w.served(name, compat)}
			s.furnish()
			s.bind("cluster-pki", "n1")
			for _, n := range w.inv.Nodes {
				s.bind("etcd", n.Name)
			}
			s.commit()
			s.etcd()
			if os.Getenv("COMPAT_ROLES") == "etcd" {
				return
			}
			for _, r := range []string{"k8s-master", "dns-pool", "k8s-minion"} {
				for _, n := range w.inv.Nodes {
					s.bind(r, n.Name)
				}
			}
			// The nodes' disks are this machine's: as 'kubeclamp lab up' says too, what is free of it in parts of the whole says nothing.
			w.must(s.c.SetAttrib(t.Context(), crowbar.KindDeployment, deployment, "k8s-minion-eviction", map[string]any{"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"}))
			s.bind("k8s-addons", "n1")
			s.bind("k8s-ready", "n1")
			s.commit()
			s.proof()
		})
	}
}

// served makes the package, and a server that has it.
func (w *world) served(name, compat string) *client.Client {
	w.t.Helper()
	own := filepath.Join(w.t.TempDir(), "core", compat+".yml")
	w.must(errors.Join(os.MkdirAll(filepath.Dir(own), 0o755), os.WriteFile(own, fmt.Appendf(nil, core, compat), 0o644)))
	return w.daemon(compat, own, w.packaged(name))
}

// packaged makes the package, and gives its folder.
func (w *world) packaged(name string) string {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "kubeclamp")
	out, err := exec.CommandContext(w.t.Context(), filepath.Join(w.bin, "kubeclamp"), "barclamp", "package", "--for", name, "-o", dir, "--barclamp", "../../barclamp.yaml",
		"--artifact-cache", filepath.Join(cache(w.t), "artifacts"), "--artifacts", filepath.Join(cache(w.t), "shared")).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// server is the one that was there already.
type server struct {
	*world
	c *client.Client
}

const deployment = "k8s"

// furnish makes the nodes and the deployment, and says there which nodes shall have what.
func (s *server) furnish() {
	s.t.Helper()
	s.must(s.c.Create(s.t.Context(), crowbar.KindDeployment, map[string]any{"name": deployment}, nil))
	nodes := map[string]any{}
	for _, n := range s.inv.Nodes {
		nodes[n.Name] = n.Address.String()
		s.must(s.c.Create(s.t.Context(), crowbar.KindNode, map[string]any{"name": n.Name, "address": n.Address.String(), "deployment": deployment, "alive": true, "available": true,
			"ssh": map[string]any{"user": s.inv.User, "host_key": n.HostKey}}, nil))
	}
	s.bind("k8s-config", s.inv.Nodes[0].Name)
	s.bind("kubeclamp-files", s.inv.Nodes[0].Name)
	for name, v := range map[string]any{"etcd-nodes": nodes, "kubernetes-masters": nodes, "kubernetes-minions": nodes, "dns-pool-nodes": nodes,
		"kubeclamp-files-url": s.share(filepath.Join(cache(s.t), "shared"))} {
		s.must(s.c.SetAttrib(s.t.Context(), crowbar.KindDeployment, deployment, name, v))
	}
}

func (s *server) bind(name, node string) {
	s.t.Helper()
	_, err := s.c.Bind(s.t.Context(), name, node, deployment)
	s.must(err)
}

// commit commits the deployment and waits until all of it is active.
func (s *server) commit() {
	s.t.Helper()
	s.must(s.c.Do(s.t.Context(), crowbar.KindDeployment, deployment, "commit", nil))
	began := time.Now()
	var failed error
	err := role.Await(s.t.Context(), "the deployment to be active", 6*time.Minute, func(ctx context.Context) (bool, error) {
		var all []crowbar.NodeRole
		if err := s.c.List(ctx, crowbar.KindNodeRole, &all); err != nil {
			return false, err
		}
		var left []string
		for _, nr := range all {
			if nr.State == crowbar.Error {
				var log bytes.Buffer
				_ = s.c.Log(ctx, nr.ID.String(), 0, false, &log)
				failed = fmt.Errorf("node-role %s: %s\n%s", nr.ID, nr.Failure, log.String())
				return true, nil
			}
			if nr.State != crowbar.Active {
				left = append(left, fmt.Sprintf("%s is %s: %s", nr.ID, nr.State, nr.Status))
			}
		}
		return len(left) == 0, errors.New(strings.Join(left, "; "))
	})
	s.must(errors.Join(failed, err))
	s.t.Logf("active after %s", time.Since(began).Round(time.Second))
}

// protocol is what a script jig does on nodes, and nothing else: the folder, what is put there, the runner, what comes back. Before it
// ours looks whether the node has what the runner needs.
var protocol = []*regexp.Regexp{
	regexp.MustCompile(`^mktemp -d /tmp/scriptjig-XXXXXX$`), regexp.MustCompile(`^tar -C /tmp/scriptjig-\w+ -xpf - --no-same-owner$`),
	regexp.MustCompile(`^/bin/bash /tmp/scriptjig-\w+/runner /tmp/scriptjig-\w+ [\w-]+$`), regexp.MustCompile(`^tar -C /tmp/scriptjig-\w+ -cf - attrs$`),
	regexp.MustCompile(`^rm -rf -- /tmp/scriptjig-\w+$`), regexp.MustCompile(`^/bin/sh -s --$`),
}

var executed = regexp.MustCompile(`(?m)^ *[0-9.]+s exec (.*?)(?: -> | did not end|$)`)

// spoken holds the logs of all runs against the protocol.
func (s *server) spoken() {
	s.t.Helper()
	var all []crowbar.NodeRole
	s.must(s.c.List(s.t.Context(), crowbar.KindNodeRole, &all))
	count := make([]int, len(protocol))
	for _, nr := range all {
		var log bytes.Buffer
		if err := s.c.Log(s.t.Context(), nr.ID.String(), 0, false, &log); crowbar.KindOf(err) == crowbar.NotFound {
			continue // a milestone
		}
		for _, m := range executed.FindAllStringSubmatch(log.String(), -1) {
			at := slices.IndexFunc(protocol, func(r *regexp.Regexp) bool { return r.MatchString(m[1]) })
			if at < 0 {
				s.t.Errorf("node-role %s did on its node: %s", nr.ID, m[1])
				continue
			}
			count[at]++
		}
	}
	for i, r := range protocol {
		s.t.Logf("%d times %s", count[i], r)
	}
	if count[0] == 0 || slices.Max(count) != slices.Min(count) {
		s.t.Error("these are not the steps of the protocol")
	}
}

// etcd shows the members.
func (s *server) etcd() {
	s.t.Helper()
	out, err := s.ssh("n1", "/usr/local/bin/etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/server.crt --key /etc/etcd/pki/server.key endpoint status --cluster -w table")
	s.must(err)
	s.t.Logf("etcd:\n%s", out)
	if n := strings.Count(out, "https://"); n != len(s.inv.Nodes) {
		s.t.Errorf("%d members", n)
	}
}

// proof shows the same of the cluster as a lab's does.
func (s *server) proof() {
	s.t.Helper()
	const kubectl = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf "
	out, err := s.ssh("n1", kubectl+"get nodes -o wide; "+kubectl+"get pods -A -o wide")
	s.must(err)
	s.t.Logf("cluster:\n%s", out)
	if n := strings.Count(out, " Ready "); n != len(s.inv.Nodes) {
		s.t.Errorf("%d nodes are Ready", n)
	}
	healthy, err := s.ssh("n1", "/usr/local/bin/etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/server.crt --key /etc/etcd/pki/server.key endpoint health --cluster 2>&1")
	s.must(err)
	if n := strings.Count(healthy, "is healthy"); n != len(s.inv.Nodes) {
		s.t.Errorf("%d members are healthy: %s", n, healthy)
	}
	for _, n := range s.inv.Nodes {
		s.rotates(n.Address.String())
		if out, err := s.ssh("n1", kubectl+"--server https://"+n.Address.String()+":6443 get --raw /readyz"); err != nil || out != "ok" {
			s.t.Errorf("API server of %s: %s %v", n.Name, out, err)
		}
	}
	out, err = s.ssh("n1", kubectl+"version; /usr/local/bin/docker version --format 'Docker client {{.Client.Version}}, engine {{.Server.Version}}'")
	s.must(err)
	s.t.Logf("versions:\n%s", out)
	var nr crowbar.NodeRole
	s.must(s.c.Show(s.t.Context(), crowbar.KindNodeRole, "n1/k8s-ready", &nr))
	shown, _ := crowbar.Dig(nr.Wall, "kubeclamp/k8s-ready/k8s-ready-proof")
	text, _ := shown.(string)
	if !strings.HasPrefix(text, "json:{") || len(s.inv.Nodes) > 1 && strings.Contains(text, "not proven") {
		s.t.Errorf("role k8s-ready gave no proof: %v", nr.Wall)
	}
	s.t.Logf("proof: %v", shown)
	s.spoken()
	for _, n := range s.inv.Nodes {
		if left, err := s.ssh(n.Name, "ls -d /tmp/scriptjig-* 2>/dev/null; grep -rl 'PRIVATE KEY' /var/lib/kubeclamp/native/roles || true"); err != nil || strings.TrimSpace(left) != "" {
			s.t.Errorf("left behind on %s: %s %v", n.Name, left, err)
		}
	}
}

// rotates wants all masters in each answer of a node's name server, and each of them first at some time.
func (s *server) rotates(address string) {
	s.t.Helper()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort(address, "53"))
	}}
	firsts := map[string]bool{}
	for range 200 {
		answer, err := r.LookupHost(s.t.Context(), "kube-apiserver.kubeclamp.internal")
		s.must(err)
		if len(answer) != len(s.inv.Nodes) {
			s.t.Fatalf("the name server on %s gives %v, there are %d masters", address, answer, len(s.inv.Nodes))
		}
		if firsts[answer[0]] = true; len(firsts) == len(s.inv.Nodes) {
			return
		}
	}
	s.t.Errorf("the name server on %s does not rotate: only %v came first", address, firsts)
}
