package k8sminion

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func attribs(t *testing.T, api *kubetest.API) crowbar.Data {
	d := crowbar.Data{
		"kubernetes-cluster-name": "kubernetes", "kubernetes-pool-name": "pool.test", "kubernetes-api-port": 6443, "kubernetes-pod-cidr": "10.244.0.0/16",
		"kubernetes-dns-ip": "10.96.0.10", "kubernetes-cluster-domain": "cluster.local", "kubernetes-ca": api.CA, "dns-pool-port": 53,
		"k8s-minion-lb-port": 6444, "k8s-minion-proxy-mode": "iptables", "k8s-minion-max-pods": 110,
	}
	for _, n := range wants {
		if strings.HasSuffix(n, "-leaf") {
			d[n] = api.Leaf(t, n, nil)
		}
	}
	return d
}

var peers = []role.Peer{
	{Role: "k8s-master", Node: "m1", Address: "198.18.0.21", Settled: true}, {Role: "dns-pool", Node: "m1", Address: "198.18.0.21", Settled: true},
	{Role: "k8s-minion", Node: "n1", Address: "198.18.0.11"},
}

// onNode is a node of the cluster behind api; it has containerd, whose images are in its memory.
func onNode(n *roletest.Node, api *kubetest.API, d crowbar.Data) role.Target {
	loaded := map[string]string{}
	n.HandleDial = func(network, addr string) (net.Conn, error) { return api.Dial(context.Background(), network, addr) }
	n.ProbeFunc = func(_ *roletest.Node, p linux.Probe) (string, int, bool) {
		switch p.Name {
		case "bounds":
			return "000001fffcffffff\n", 0, true
		case "resolver":
			return "/etc/resolv.conf\n", 0, true
		case "images":
			var b strings.Builder
			for name, tar := range loaded {
				b.WriteString(name + " " + tar + "\n")
			}
			return b.String(), 0, true
		}
		return "", 0, false
	}
	n.Handle = func(n *roletest.Node, c jig.Cmd) jig.Exit {
		switch {
		case c.Argv[0] == "mkdir":
			n.Files[imageDir] = &roletest.Entry{Kind: "dir", Mode: 0o755, Owner: "root"}
		case len(c.Argv) == 6: // load: tar, name, sha256
			delete(n.Files, c.Argv[3])
			loaded[c.Argv[4]] = c.Argv[5]
		case len(c.Argv) == 4: // clean
			clear(loaded)
		}
		return jig.Exit{}
	}
	on := n.Target(d)
	on.Peers = peers
	return on
}

func ready(name, status string) map[string]any {
	return map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{}, "status": map[string]any{
		"nodeInfo":   map[string]any{"kubeletVersion": "v1.2.3"},
		"conditions": []any{map[string]any{"type": "Ready", "status": status, "reason": "KubeletNotReady", "message": "cni plugin not initialized"}}}}
}

func TestRole(t *testing.T) {
	api := kubetest.New(t, "pool.test", "198.18.0.11")
	d := attribs(t, api)
	roletest.Suite(t, func(n *roletest.Node) role.Target {
		api.Clear()
		on := onNode(n, api, d)
		api.Hook = func(http.ResponseWriter, *http.Request) bool { // the kubelet registers its node
			if u := n.Units[kubelet]; u != nil && u.Active == "active" && api.Get(nodePath("n1")) == nil {
				api.Set(nodePath("n1"), ready("n1", "True"))
			}
			return false
		}
		return on
	}, New())
}

func TestSaysWhyTheNodeIsNotReady(t *testing.T) {
	api, n := kubetest.New(t, "pool.test", "198.18.0.11"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	api.Set(nodePath("n1"), ready("n1", "False"))
	ctx, stop := context.WithCancel(t.Context())
	api.Hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == nodePath("n1") {
			defer stop()
		}
		return false
	}
	if _, err := New().Apply(ctx, on); err == nil || !strings.Contains(err.Error(), "n1 to be Ready") {
		t.Fatalf("error is %v", err)
	}
	if err := (node{}).ready(); err == nil {
		t.Error("a node without a word is ready")
	}
}

func TestTakesBackAHalfRemoval(t *testing.T) {
	api, n := kubetest.New(t, "pool.test", "198.18.0.11"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	half := ready("n1", "True")
	half["spec"] = map[string]any{"unschedulable": true, "taints": []any{map[string]any{"key": leaving.Key, "effect": "NoExecute"}, map[string]any{"key": "mine", "effect": "NoSchedule"}}}
	api.Set(nodePath("n1"), half)
	roletest.Apply(t, New(), on)
	spec := api.Get(nodePath("n1"))["spec"].(map[string]any)
	if taints := spec["taints"].([]any); spec["unschedulable"] != false || len(taints) != 1 || taints[0].(map[string]any)["key"] != "mine" {
		t.Errorf("spec is %v", spec)
	}
	roletest.NothingToDo(t, New(), n, on)
}

func TestWrongAttribs(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	good := attribs(t, api)
	for attrib, value := range map[string]any{
		"kubernetes-pool-name": "a b", "kubernetes-pod-cidr": "x", "kubernetes-dns-ip": "", "k8s-minion-lb-port": 70000, "k8s-minion-proxy-mode": "ipvs",
		"k8s-minion-max-pods": 0, "k8s-minion-eviction": map[string]any{"nodefs.available": "a lot"}, "k8s-minion-kubelet-leaf": kube.Leaf{}, "kubernetes-ca": "",
	} {
		t.Run(attrib, func(t *testing.T) {
			d := crowbar.Data{}
			for k, v := range good {
				d[k] = v
			}
			d[attrib] = value
			if _, err := configure(roletest.NewNode().Target(d)); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), attrib) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestTheAdminKeyStaysHere(t *testing.T) {
	api, n := kubetest.New(t, "pool.test", "198.18.0.11"), roletest.NewNode()
	d := attribs(t, api)
	on := onNode(n, api, d)
	api.Set(nodePath("n1"), ready("n1", "True"))
	roletest.Apply(t, New(), on)
	admin := d["k8s-minion-admin-leaf"].(kube.Leaf)
	other := kube.Config{Embed: admin}.String()
	secret := other[strings.Index(other, "client-key-data: ")+len("client-key-data: "):]
	secret = strings.TrimSpace(secret[:strings.IndexByte(secret, '\n')])
	for p, f := range n.Files {
		if strings.Contains(f.Content, admin.Key) || strings.Contains(f.Content, secret) {
			t.Errorf("%s holds the administrator's key", p)
		}
	}
}
