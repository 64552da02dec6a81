package flannel

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdtest"
)

// world is a node whose flanneld leases a subnet as soon as it runs, and an etcd that real clients speak to over TLS.
type world struct {
	t      *testing.T
	node   *roletest.Node
	mu     sync.Mutex
	keys   map[string]string
	down   bool // etcd
	kernel string
}

const (
	subnet = "10.244.5.1/24"
	handed = "conflist of " + subnet
)

func newWorld(t *testing.T, n *roletest.Node) *world {
	w := &world{t: t, node: n, keys: map[string]string{}, kernel: "address eth0 198.18.0.11/16\naddress eth1 192.0.2.11/24\n"}
	n.ProbeFunc = func(_ *roletest.Node, p linux.Probe) (string, int, bool) { return w.probe(), 0, p.Name == "flannel" }
	n.Handle = w.handle
	n.HandleDial = w.dial
	return w
}

func (w *world) target(more crowbar.Data) role.Target {
	d := crowbar.Data{"flannel-backend": "vxlan", "flannel-subnet-length": 24, "flannel-etcd-prefix": "/kubeclamp/network", "flannel-port": 0,
		"flannel-leaf": etcdtest.Leaf(), "etcd-client-port": 2379, "kubernetes-pod-cidr": "10.244.0.0/16", "node-network": ""}
	for k, v := range more {
		d[k] = v
	}
	on := w.node.Target(d)
	on.Peers = []role.Peer{{Role: "etcd", Node: "n3", Address: "198.18.0.13", Settled: true}, {Role: "etcd", Node: "n2", Address: "198.18.0.12", Settled: true}}
	return on
}

// live is what flanneld does while its unit is active: it leases and runs the script, once.
func (w *world) live() {
	u := w.node.Units[unit]
	if u == nil || u.Active != "active" || w.keys["/kubeclamp/network/config"] == "" || w.keys["/kubeclamp/network/subnets/10.244.5.0-24"] != "" {
		return
	}
	w.keys["/kubeclamp/network/subnets/10.244.5.0-24"] = "{}"
	w.node.Write(conflist, handed, 0o644)
}

func (w *world) probe() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live()
	out := w.kernel
	if w.keys["/kubeclamp/network/subnets/10.244.5.0-24"] != "" {
		out += "lease FLANNEL_NETWORK=10.244.0.0/16\nlease FLANNEL_SUBNET=" + subnet + "\nlease FLANNEL_MTU=1450\n"
		if f := w.node.Files[conflist]; f == nil || f.Content != handed {
			out += "stale " + conflist + "\n"
		}
	}
	return out
}

// handle does what the role's own scripts do.
func (w *world) handle(n *roletest.Node, c jig.Cmd) jig.Exit {
	switch args := c.Argv; {
	case args[0] == script && args[1] == "apply":
		n.Write(conflist, handed, 0o644)
	case args[0] == "systemctl" && args[1] == "stop":
		n.Units[args[2]].Active = "inactive"
	case len(args) == 5 && args[3] == leaseFile:
		return jig.Exit{Stdout: []byte(w.probe())}
	case len(args) > 5 && args[5] == conflist:
		delete(n.Files, conflist)
	default:
		w.t.Errorf("unknown command %q", args)
	}
	return jig.Exit{}
}

func (w *world) dial(_, addr string) (net.Conn, error) {
	if w.down {
		return nil, errors.New("connection refused")
	}
	return etcdtest.Dial(w.t, func(s *grpc.Server) { pb.RegisterKVServer(s, kv{w: w}) })
}

type kv struct {
	pb.UnimplementedKVServer
	w *world
}

func (k kv) Range(_ context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	out := &pb.RangeResponse{}
	for _, key := range slices.Sorted(maps.Keys(k.w.keys)) {
		if key == string(r.Key) || len(r.RangeEnd) > 0 && strings.HasPrefix(key, string(r.Key)) {
			out.Kvs = append(out.Kvs, &mvccpb.KeyValue{Key: []byte(key), Value: []byte(k.w.keys[key])})
		}
	}
	return out, nil
}

func (k kv) DeleteRange(_ context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	for key := range k.w.keys {
		if key == string(r.Key) || len(r.RangeEnd) > 0 && strings.HasPrefix(key, string(r.Key)) {
			delete(k.w.keys, key)
		}
	}
	return &pb.DeleteRangeResponse{}, nil
}

// Txn is "create if there is none, else read".
func (k kv) Txn(_ context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	k.w.mu.Lock()
	defer k.w.mu.Unlock()
	key := string(r.Compare[0].Key)
	if have := k.w.keys[key]; have != "" {
		get := &pb.RangeResponse{Kvs: []*mvccpb.KeyValue{{Key: []byte(key), Value: []byte(have)}}}
		return &pb.TxnResponse{Responses: []*pb.ResponseOp{{Response: &pb.ResponseOp_ResponseRange{ResponseRange: get}}}}, nil
	}
	for _, op := range r.Success {
		k.w.keys[key] = string(op.GetRequestPut().Value)
	}
	return &pb.TxnResponse{Succeeded: true}, nil
}
