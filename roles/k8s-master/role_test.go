package k8smaster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func accountKey(t *testing.T) string {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func attribs(t *testing.T, api *kubetest.API) crowbar.Data {
	d := crowbar.Data{
		"etcd-client-port": 2379, "kubernetes-cluster-name": "kubernetes", "kubernetes-pool-name": "pool.test", "kubernetes-api-port": 6443,
		"kubernetes-pod-cidr": "10.244.0.0/16", "kubernetes-service-cidr": "10.96.0.0/16", "kubernetes-service-ip": "10.96.0.1",
		"kubernetes-cluster-domain": "cluster.local", "kubernetes-ca": api.CA, "front-proxy-ca": api.CA,
		"k8s-master-service-account-key": accountKey(t), "k8s-master-encryption-key": base64.StdEncoding.EncodeToString(make([]byte, 32)),
	}
	for _, n := range wants {
		if strings.HasSuffix(n, "-leaf") {
			d[n] = api.Leaf(t, n, nil)
		}
	}
	return d
}

// onNode is a node whose API server is api: it answers while its unit runs.
func onNode(n *roletest.Node, api *kubetest.API, d crowbar.Data) role.Target {
	n.HandleDial = func(network, addr string) (net.Conn, error) { return api.Dial(context.Background(), network, addr) }
	n.Handle = func(*roletest.Node, jig.Cmd) jig.Exit { return jig.Exit{} }
	n.ProbeFunc = func(n *roletest.Node, p linux.Probe) (string, int, bool) {
		u := n.Units[apiserver]
		if u == nil || u.Active != "active" {
			return "refused", 1, true
		}
		if p.Name == "ready" {
			return "ok", 0, true
		}
		b, err := json.Marshal(api.Get(rules + "/" + rule))
		return string(b), 0, err == nil
	}
	on := n.Target(d)
	on.Peers = []role.Peer{{Role: "etcd", Node: "n1", Address: "198.18.0.11", Settled: true}, {Role: "k8s-master", Node: "n2", Address: "198.18.0.12", Settled: true}}
	return on
}

func TestRole(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	d := attribs(t, api)
	roletest.Suite(t, func(n *roletest.Node) role.Target {
		api.Clear()
		return onNode(n, api, d)
	}, New())
}

func TestBindingIsMadeAndMended(t *testing.T) {
	api, n := kubetest.New(t, "pool.test"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	roletest.Apply(t, New(), on)
	if api.Get(rules+"/"+rule) == nil {
		t.Fatal("no binding")
	}
	spoilt := wanted()
	spoilt.RoleRef.Name = "cluster-admin"
	b, _ := json.Marshal(spoilt)
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	api.Set(rules+"/"+rule, o)
	res := roletest.Apply(t, New(), on)
	if len(res.Changes) != 1 || res.Changes[0] != made {
		t.Errorf("changes %v", res.Changes)
	}
	roletest.NothingToDo(t, New(), n, on)
}

func TestRestartsInTurn(t *testing.T) {
	api, n := kubetest.New(t, "pool.test"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	on.Peers[0].Node = "n7" // no member on this node: all are asked, and a new one means a restart
	roletest.Apply(t, New(), on)
	held := map[string]any{"holderIdentity": "n2", "leaseDurationSeconds": 240.0, "renewTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00")}
	api.Set(leases+"/"+turnName, map[string]any{"spec": held})
	on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n3", Address: "198.18.0.13", Settled: true})
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	starts := n.Units[apiserver].Starts
	if _, err := New().Apply(ctx, on); err == nil || !strings.Contains(err.Error(), "turn of n2") {
		t.Fatalf("error is %v", err)
	}
	if n.Units[apiserver].Starts != starts {
		t.Fatal("restarted out of turn")
	}
	time.AfterFunc(100*time.Millisecond, func() { api.Drop(leases + "/" + turnName) })
	roletest.Apply(t, New(), on)
	if n.Units[apiserver].Starts != starts+1 || api.Get(leases+"/"+turnName) != nil {
		t.Errorf("%d restarts; lease %v", n.Units[apiserver].Starts-starts, api.Get(leases+"/"+turnName))
	}
}

func TestTurnOfTheDeadEnds(t *testing.T) {
	l := lease{Spec: leaseSpec{Holder: "n2", Seconds: 10, Renewed: time.Unix(1000, 0)}}
	for at, want := range map[int64]bool{1009: false, 1011: true} {
		if got := l.free("n1", time.Unix(at, 0)); got != want {
			t.Errorf("at %d free is %v", at, got)
		}
	}
	if !l.free("n2", time.Unix(1001, 0)) {
		t.Error("a holder that comes again has to wait")
	}
}

func TestRemoveTellsTheOthers(t *testing.T) {
	api, n := kubetest.New(t, "pool.test"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	roletest.Apply(t, New(), on)
	asked := ""
	api.Hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete {
			asked = r.URL.Query().Get("labelSelector")
		}
		return false
	}
	if err := New().(role.Remover).Remove(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(asked, "kubernetes.io/hostname=n1") {
		t.Errorf("leases dropped: %q", asked)
	}
}

func TestEtcdServers(t *testing.T) {
	peers := []role.Peer{{Node: "n3", Address: "10.0.0.3", Settled: true}, {Node: "n1", Address: "10.0.0.1", State: crowbar.Active}, {Node: "n2", Address: "fd00::1", Settled: true}, {Node: "n9", Address: "10.0.0.9", State: crowbar.Todo}}
	all := "https://10.0.0.1:2379 https://10.0.0.3:2379 https://[fd00::1]:2379"
	for node, want := range map[string]string{"": all, "n4": all, "n3": "https://10.0.0.3:2379", "n9": all} {
		if got := strings.Join(etcdServers(peers, node, 2379), " "); got != want {
			t.Errorf("on %q: got %s", node, got)
		}
	}
	for node, want := range map[string]string{"n3": "https://10.0.0.3:2379", "n9": "https://10.0.0.9:2379", "n4": all} {
		if got := strings.Join(planned(strings.Fields(all), peers, node, 2379), " "); got != want {
			t.Errorf("planned on %q: got %s", node, got)
		}
	}
}

func TestWrongAttribs(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	good := attribs(t, api)
	for attrib, value := range map[string]any{
		"kubernetes-cluster-name": "a b", "kubernetes-pod-cidr": "10.244.0.0", "kubernetes-service-ip": "x", "kubernetes-api-port": 0,
		"k8s-master-encryption-key": "c2hvcnQ=", "k8s-master-etcd-leaf": kube.Leaf{}, "kubernetes-ca": "", "k8s-master-service-account-key": "no PEM", "kubernetes-cluster-domain": "a\nb",
	} {
		t.Run(attrib, func(t *testing.T) {
			n := roletest.NewNode()
			d := crowbar.Data{}
			for k, v := range good {
				d[k] = v
			}
			d[attrib] = value
			on := n.Target(d)
			on.Peers = []role.Peer{{Role: "etcd", Address: "10.0.0.1", Settled: true}}
			if _, err := configure(on); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), attrib) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestNoEtcd(t *testing.T) {
	on := roletest.NewNode().Target(attribs(t, kubetest.New(t, "pool.test")))
	on.Peers = []role.Peer{{Role: "etcd", Address: "10.0.0.1", State: crowbar.Todo}}
	if _, err := configure(on); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("error is %v", err)
	}
	on.DryRun = true
	if s, err := configure(on); err != nil || len(s.EtcdServers) != 1 {
		t.Errorf("a plan made before etcd is there: %v %v", s.EtcdServers, err)
	}
}
