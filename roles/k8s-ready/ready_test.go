package k8sready

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// cluster answers kubectl, and the test servers in its pods.
type cluster struct {
	nodes    []string
	record   map[string]any
	deployed bool
	device   string
	sent     int
	cut      string // pod IP that cannot be reached
	deleted  []string
}

func (c *cluster) handle(_ *roletest.Node, cmd jig.Cmd) jig.Exit {
	args := cmd.Argv
	at := func(word string) int { return slices.Index(args, word) }
	say := func(v any) jig.Exit {
		b, _ := json.Marshal(v)
		return jig.Exit{Stdout: b}
	}
	switch {
	case args[0] == "/bin/sh" && len(args) == 5:
		return c.facts()
	case args[0] == "/bin/sh":
		c.sent += 5
		return say(map[string]any{"Device": c.device, "Detail": "vxlan id 1", "Route": "10.244.2.2 dev " + c.device, "Sent": c.sent})
	case at("apply") > 0:
		var doc map[string]any
		text, _ := io.ReadAll(cmd.Stdin)
		if json.Unmarshal(text, &doc) == nil {
			c.record = doc
		} else {
			c.deployed = true
		}
	case at("delete") > 0:
		c.deleted = append(c.deleted, args[at("delete")+1])
		if args[at("delete")+1] == "configmap" {
			c.record = nil
		}
	case at("pods") > 0:
		return say(map[string]any{"items": c.pods()})
	case at("service") > 0:
		return jig.Exit{Stdout: []byte("10.96.7.7")}
	case at("exec") > 0:
		return c.server(args[at("--")+2:])
	}
	return jig.Exit{}
}

func (c *cluster) facts() jig.Exit {
	var items []any
	for _, n := range c.nodes {
		name, ready := strings.TrimSuffix(n, "!"), "True"
		if name != n {
			ready = "False"
		}
		items = append(items, map[string]any{"metadata": map[string]any{"name": name}, "status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": ready}}}})
	}
	nodes, _ := json.Marshal(map[string]any{"items": items})
	out := "nodes " + string(nodes) + "\n"
	if c.record != nil {
		b, _ := json.Marshal(c.record)
		out = "record " + string(b) + "\n" + out
	}
	return jig.Exit{Stdout: []byte(out)}
}

func (c *cluster) pods() []any {
	var out []any
	for i, n := range c.nodes {
		if strings.HasSuffix(n, "!") || !c.deployed {
			continue
		}
		out = append(out, map[string]any{"metadata": map[string]any{"name": "pod-" + n}, "spec": map[string]any{"nodeName": n},
			"status": map[string]any{"podIP": fmt.Sprintf("10.244.%d.2", i+1), "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}})
	}
	return out
}

// server is the test server's client: what it reaches answers with its name.
func (c *cluster) server(args []string) jig.Exit {
	if args[0] == "resolve" {
		return jig.Exit{Stdout: []byte("10.96.7.7\n")}
	}
	host := strings.Split(strings.TrimPrefix(args[1], "http://"), "/")[0]
	for i, n := range c.nodes {
		if host == fmt.Sprintf("10.244.%d.2:8080", i+1) && !strings.HasPrefix(host, c.cut+":") || host == "10.96.7.7" {
			return jig.Exit{Stdout: []byte("pod-" + n + "\n")}
		}
	}
	return jig.Exit{Code: 1, Stderr: []byte("i/o timeout")}
}

func target(c *cluster) (*roletest.Node, role.Target) {
	n := roletest.NewNode()
	n.Handle = c.handle
	on := n.Target(crowbar.Data{"kubernetes-dns-ip": "10.96.0.10", "kubernetes-cluster-domain": "cluster.local", "kubernetes-pod-cidr": "10.244.0.0/16",
		"flannel-backend": "vxlan", "k8s-ready-image": "kubeclamp.internal/testserver:1"})
	on.Peers = append(on.Peers, role.Peer{Role: "k8s-master", Node: on.Node, Settled: true, Alive: true})
	for _, name := range c.nodes {
		name = strings.TrimSuffix(name, "!")
		on.Peers = append(on.Peers, role.Peer{Role: "k8s-minion", Node: name, Settled: true, Alive: true},
			role.Peer{Role: "flannel", Node: name, Settled: true, Alive: true, Wall: crowbar.Data{"flannel-interface": "flannel.1"}})
	}
	return n, on
}

func TestProof(t *testing.T) {
	c := &cluster{nodes: []string{"n1", "n2", "n3"}, device: "flannel.1"}
	n, on := target(c)
	res := roletest.Apply(t, New(), on)
	proof := res.Wall["k8s-ready-proof"].(crowbar.Data)
	want := crowbar.Data{
		"overlay":    "vxlan via flannel.1 (vxlan id 1), route 10.244.2.2 dev flannel.1, packets sent 5 -> 10",
		"service":    "10.96.7.7 answered by the pod on n1",
		"service-ip": "10.96.7.7",
		"dns":        "testserver.kubeclamp-ready.svc.cluster.local is 10.96.7.7, by 10.96.0.10",
	}
	for k, v := range want {
		if proof[k] != v {
			t.Errorf("%s is %q, want %q", k, proof[k], v)
		}
	}
	if got := fmt.Sprint(proof["pods"]); strings.Count(got, "reaches") != 3 || !strings.Contains(got, "map[ip:10.244.3.2 node:n3 reaches:map[ip:10.244.1.2 node:n1]]") {
		t.Errorf("pods are %s, want a ring of three", got)
	}
	if !slices.Equal(c.deleted, []string{"namespace"}) {
		t.Errorf("deleted %v, want the namespace", c.deleted)
	}
	again := roletest.NothingToDo(t, New(), n, on)
	if again.Wall["k8s-ready-proof"].(crowbar.Data)["dns"] != want["dns"] {
		t.Errorf("the remembered proof is %v", again.Wall)
	}
	c.nodes = append(c.nodes, "n4")
	if res := roletest.Apply(t, New(), on); fmt.Sprint(res.Changes) != "[create proof kubeclamp-ready (nodes n1, n2, n3, n4)]" {
		t.Errorf("a node more: changes %v", res.Changes)
	}
	on.Attribs["flannel-backend"] = "udp"
	if res := roletest.Apply(t, New(), on); len(res.Changes) != 1 {
		t.Errorf("another backend: changes %v", res.Changes)
	}
	if err := New().(role.Remover).Remove(context.Background(), on); err != nil || c.record != nil {
		t.Errorf("removed: %v, record %v", err, c.record)
	}
}

func TestOneNode(t *testing.T) {
	_, on := target(&cluster{nodes: []string{"n1"}})
	res := roletest.Apply(t, New(), on)
	if got := res.Wall["k8s-ready-proof"].(crowbar.Data)["overlay"]; got != "not proven: the cluster has one node, n1" {
		t.Errorf("overlay: %v", got)
	}
}

func TestFailures(t *testing.T) {
	tests := map[string]struct {
		spoil func(*cluster)
		says  string
	}{
		"node not Ready":  {func(c *cluster) { c.nodes[1] = "n2!" }, "nodes that are Ready: n1; not Ready: n2"},
		"pods cut off":    {func(c *cluster) { c.cut = "10.244.2.2" }, "for pod 10.244.1.2 on n1 to reach pod 10.244.2.2 on n2"},
		"not the overlay": {func(c *cluster) { c.device = "eth0" }, "not through the overlay: the way is 10.244.2.2 dev eth0, and flannel's device is flannel.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{nodes: []string{"n1", "n2"}, device: "flannel.1"}
				_, on := target(c)
				tt.spoil(c)
				_, err := New().Apply(context.Background(), on)
				if err == nil || !strings.Contains(err.Error(), tt.says) || c.record != nil {
					t.Fatalf("error %v, want %q", err, tt.says)
				}
			})
		})
	}
}

func TestDryRun(t *testing.T) {
	c := &cluster{nodes: []string{"n1", "n2"}}
	_, on := target(c)
	on.DryRun = true
	if res := roletest.Apply(t, New(), on); len(res.Changes) != 1 || c.deployed || c.record != nil {
		t.Errorf("changes %v, deployed %v", res.Changes, c.deployed)
	}
}

func TestRefusals(t *testing.T) {
	for attrib, bad := range map[string]any{"kubernetes-dns-ip": "x", "kubernetes-pod-cidr": "10.0.0.0", "kubernetes-cluster-domain": "a b", "k8s-ready-image": "-x"} {
		n, on := target(&cluster{})
		on.Attribs[attrib] = bad
		if _, err := New().Apply(context.Background(), on); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), attrib) || n.Execs != 0 {
			t.Errorf("%s = %v: %v", attrib, bad, err)
		}
	}
}

func TestManifest(t *testing.T) {
	text, err := config{Image: "a/b:1"}.manifest()
	if err != nil || !strings.Contains(text, `image: "a/b:1"`) || strings.Contains(text, "<no value>") {
		t.Errorf("%v:\n%s", err, text)
	}
}
