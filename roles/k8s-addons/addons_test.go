package k8saddons

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// cluster answers kubectl: it keeps the manifest that was applied, and says what differs in kubectl diff's words.
type cluster struct {
	applied  string
	resolver bool
	down     bool
	replicas int // available
	deleted  bool
}

func (c *cluster) handle(_ *roletest.Node, cmd jig.Cmd) jig.Exit {
	args := cmd.Argv
	has := func(word string) bool { return slices.Contains(args, word) }
	switch {
	case args[0] == "/bin/sh":
		return c.facts(args[3], args[4])
	case has("apply"):
		c.applied = stdin(cmd)
	case has("delete"):
		c.applied, c.deleted = "", true
	case has("get"):
		return jig.Exit{Stdout: []byte(fmt.Sprintf(`{"items":[%s,%s]}`, c.deployment(), `{"kind":"Pod","metadata":{"name":"coredns-1"},"spec":{"nodeName":"n2"},
			"status":{"containerStatuses":[{"ready":false,"state":{"waiting":{"reason":"ImagePullBackOff","message":"no such image"}}}]}}`))}
	}
	return jig.Exit{}
}

func stdin(cmd jig.Cmd) string {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := cmd.Stdin.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

func (c *cluster) facts(with, without string) jig.Exit {
	if c.down {
		return jig.Exit{Code: 1, Stderr: []byte("connection refused")}
	}
	want, out := without, ""
	if c.resolver {
		want, out = with, "resolver yes\n"
	}
	if want != c.applied {
		at := "@@ -1,3 +1,3 @@"
		if c.applied == "" {
			at = "@@ -0,0 +1,9 @@"
		}
		out += "diff diff -u -N /tmp/LIVE-1/v1.ConfigMap.kube-system.coredns /tmp/MERGED-1/v1.ConfigMap.kube-system.coredns\n" +
			"diff --- /tmp/LIVE-1/v1.ConfigMap.kube-system.coredns\t2026\ndiff +++ /tmp/MERGED-1/v1.ConfigMap.kube-system.coredns\t2026\ndiff " + at + "\ndiff +++ not a file\n"
	}
	if c.applied != "" {
		out += "deployment " + c.deployment() + "\n"
	}
	return jig.Exit{Stdout: []byte(out)}
}

func (c *cluster) deployment() string {
	b, _ := json.Marshal(map[string]any{"kind": "Deployment", "metadata": map[string]any{"generation": 2}, "spec": map[string]any{"replicas": 2},
		"status": map[string]any{"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": c.replicas}})
	return string(b)
}

func target(c *cluster) (*roletest.Node, role.Target) {
	n := roletest.NewNode()
	n.Handle = c.handle
	on := n.Target(crowbar.Data{"kubernetes-dns-ip": "10.96.0.10", "kubernetes-cluster-domain": "cluster.local", "k8s-addons-dns-replicas": 2,
		"k8s-addons-dns-image": "kubeclamp.internal/coredns:1.15.0", "k8s-addons-dns-upstream": []any{}})
	on.Peers = append(on.Peers, role.Peer{Role: "k8s-master", Node: on.Node, Settled: true, Alive: true})
	return n, on
}

func TestNotOnAMaster(t *testing.T) {
	_, on := target(&cluster{replicas: 2})
	on.Peers = []role.Peer{{Role: "k8s-master", Node: "elsewhere", Settled: true, Alive: true}}
	if _, err := New().Apply(t.Context(), on); err == nil || !strings.Contains(err.Error(), "bind it to a node that has k8s-master") {
		t.Errorf("got %v", err)
	}
}

func TestApply(t *testing.T) {
	c := &cluster{replicas: 2}
	n, on := target(c)
	on.DryRun = true
	plan := roletest.Apply(t, New(), on)
	on.DryRun = false
	res := roletest.Apply(t, New(), on)
	if got := fmt.Sprint(res.Changes); got != "[create object v1.ConfigMap.kube-system.coredns]" || got != fmt.Sprint(plan.Changes) || strings.Contains(c.applied, "forward .") {
		t.Errorf("changes %s, planned %v, applied:\n%s", got, plan.Changes, c.applied)
	}
	roletest.NothingToDo(t, New(), n, on)
	c.resolver = true
	if d, err := New().(role.Checker).Check(context.Background(), on); err != nil || len(d.Changes) != 1 {
		t.Errorf("check %v %v", d, err)
	}
	if res := roletest.Apply(t, New(), on); fmt.Sprint(res.Changes) != "[change object v1.ConfigMap.kube-system.coredns]" || !strings.Contains(c.applied, "forward . /etc/resolv.conf") {
		t.Errorf("changes %v, applied:\n%s", res.Changes, c.applied)
	}
	on.Peers = []role.Peer{{Role: "k8s-addons", Node: "n2", Settled: true}}
	for _, keep := range []bool{true, false} {
		if err := New().(role.Remover).Remove(context.Background(), on); err != nil || c.deleted == keep {
			t.Errorf("removed with n2 staying %v: deleted %v, %v", keep, c.deleted, err)
		}
		on.Peers = nil
	}
}

// Before there is a cluster, a dry run says that all objects will be made.
func TestForesee(t *testing.T) {
	c := &cluster{down: true}
	n, on := target(c)
	on.DryRun = true
	res := roletest.Apply(t, New(), on)
	want := []string{"apps.v1.Deployment.kube-system.coredns", "rbac.authorization.k8s.io.v1.ClusterRole..system:coredns",
		"rbac.authorization.k8s.io.v1.ClusterRoleBinding..system:coredns", "v1.ConfigMap.kube-system.coredns", "v1.Service.kube-system.kube-dns", "v1.ServiceAccount.kube-system.coredns"}
	var got []string
	for _, c := range res.Changes {
		got = append(got, c.Name)
	}
	if !slices.Equal(got, want) || n.Execs != 1 {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestManifest(t *testing.T) {
	for _, c := range []config{
		{IP: "10.96.0.10", Domain: "cluster.local", Replicas: 2, Image: "a/b:1"},
		{IP: "fd00::a", Domain: "k8s.example", Replicas: 1, Image: "r.example:5000/b@sha256:00", Upstream: []string{"192.0.2.1", "[2001:db8::1]:53"}},
	} {
		text, err := c.manifest(true)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]map[string]any{}
		dec := yaml.NewDecoder(strings.NewReader(text))
		for {
			var doc map[string]any
			if dec.Decode(&doc) != nil {
				break
			}
			kinds[fmt.Sprint(doc["kind"])] = doc
		}
		if len(kinds) != 6 {
			t.Fatalf("%d kinds of objects, want 6:\n%s", len(kinds), text)
		}
		if ip := kinds["Service"]["spec"].(map[string]any)["clusterIP"]; ip != c.IP {
			t.Errorf("clusterIP %v, want %s", ip, c.IP)
		}
		core := fmt.Sprint(kinds["ConfigMap"]["data"].(map[string]any)["Corefile"])
		if core != c.corefile(true) || !strings.Contains(core, "kubernetes "+c.Domain+" in-addr.arpa") {
			t.Errorf("the Corefile came out as\n%s", core)
		}
		if len(c.Upstream) > 0 && !strings.Contains(core, "forward . 192.0.2.1 [2001:db8::1]:53 {") {
			t.Errorf("the upstream is not in\n%s", core)
		}
	}
}

func TestRefusals(t *testing.T) {
	for attrib, bad := range map[string]any{"kubernetes-dns-ip": "10.96.0", "kubernetes-cluster-domain": "Cluster local", "k8s-addons-dns-replicas": 0,
		"k8s-addons-dns-image": "a b", "k8s-addons-dns-upstream": []any{"dns.example"}} {
		n, on := target(&cluster{})
		on.Attribs[attrib] = bad
		_, err := New().Apply(context.Background(), on)
		if crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), attrib) || n.Execs != 0 {
			t.Errorf("%s = %v: %v", attrib, bad, err)
		}
	}
}

func TestTrouble(t *testing.T) {
	c := &cluster{replicas: 1}
	list := string(c.handle(nil, jig.Cmd{Argv: []string{"kubectl", "get"}}).Stdout)
	r, why, err := readRollout([]byte(list))
	want := `; pod coredns-1 on node "n2": ImagePullBackOff no such image`
	if err != nil || r.done() || why != want {
		t.Errorf("done %v, why %q, %v; want %q", r.done(), why, err, want)
	}
}
