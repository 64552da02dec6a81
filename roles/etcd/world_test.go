package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdtest"
)

// world is a cluster of etcd in memory: real clients speak to it over real TLS. The member of the roletest.Node runs while
// the node's unit is active; the others run while they are in running.
type world struct {
	t        *testing.T
	node     *roletest.Node
	mu       sync.Mutex
	members  []*pb.Member
	running  map[string]bool // by client URL; others than the node's
	data     uint64          // member that the data on the node is of; 0 = none
	next     uint64
	lags     int  // answers "not in sync" to so many promotions
	alone    bool // it has no quorum
	revived  int
	restored string // token of the copy that the data is from
	steady   bool   // the node's member has the same ID each time it joins
}

const nodeAddress = "198.18.0.11"

func clientAt(address string) string { return "https://" + address + ":2379" }
func peerAt(address string) string   { return "https://" + address + ":2380" }

// newWorld has a voting, running member at each address.
func newWorld(t *testing.T, n *roletest.Node, others ...string) *world {
	w := &world{t: t, node: n, running: map[string]bool{}, next: 0xa0}
	for i, a := range others {
		w.members = append(w.members, w.member(fmt.Sprintf("n%d", i+2), a, false))
		w.running[clientAt(a)] = true
	}
	n.Address = nodeAddress
	n.ProbeFunc = w.probe
	n.Handle = w.handle
	n.HandleDial = w.dial
	return w
}

func (w *world) member(name, address string, learner bool) *pb.Member {
	m := &pb.Member{ID: w.id(address), Name: name, PeerURLs: []string{peerAt(address)}, IsLearner: learner}
	if name != "" {
		m.ClientURLs = []string{clientAt(address)}
	}
	return m
}

func (w *world) id(address string) uint64 {
	if w.steady && address == nodeAddress {
		return 0x11
	}
	w.next++
	return w.next
}

// target is the node, with the others as peers that serve.
func (w *world) target(first bool, others ...string) role.Target {
	on := w.node.Target(crowbar.Data{"etcd-client-port": 2379, "etcd-peer-port": 2380, "etcd-data-dir": "/var/lib/etcd", "etcd-cluster-token": "token", "etcd-restore": "",
		"etcd-server-leaf": etcdtest.Leaf(), "etcd-peer-leaf": etcdtest.Leaf(), "etcd-admin-leaf": etcdtest.Leaf()})
	on.First = first
	on.Peers = []role.Peer{{Role: "etcd", Node: w.node.Name, Address: nodeAddress}}
	for i, a := range others {
		on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: fmt.Sprintf("n%d", i+2), Address: a, Settled: true, Alive: true})
	}
	return on
}

func (w *world) find(peerURL string) *pb.Member {
	for _, m := range w.members {
		if m.PeerURLs[0] == peerURL {
			return m
		}
	}
	return nil
}

// live is what etcd does on the node while its unit is active: the first start, by the bootstrap file.
func (w *world) live() *pb.Member {
	u := w.node.Units[unit]
	if u == nil || u.Active != "active" {
		return nil
	}
	me := w.find(peerAt(nodeAddress))
	first := w.node.Files[firstFile]
	switch {
	case w.data != 0 && (me == nil || me.ID != w.data):
		return nil // it was removed: it exits
	case w.data == 0 && first == nil:
		return nil // state "existing", and nobody to join
	case w.data == 0 && strings.Contains(first.Content, "=new"):
		me = w.member(w.node.Name, nodeAddress, false)
		w.members = []*pb.Member{me}
	case w.data == 0 && me == nil:
		return nil
	}
	if w.data == 0 {
		w.check(first.Content)
	}
	w.data, me.Name, me.ClientURLs = me.ID, w.node.Name, []string{clientAt(nodeAddress)}
	return me
}

// check holds the bootstrap file to etcd's rule: the initial cluster is just the members.
func (w *world) check(bootstrap string) {
	_, list, _ := strings.Cut(bootstrap, "ETCD_INITIAL_CLUSTER=")
	if got := strings.Count(strings.TrimSpace(list), "=https://"); got != len(w.members) {
		w.t.Errorf("initial cluster %q has %d members, the cluster %d", list, got, len(w.members))
	}
}

func (w *world) probe(n *roletest.Node, p linux.Probe) (string, int, bool) {
	if p.Name != "etcd" {
		return "", 0, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	me := w.live()
	var b strings.Builder
	if w.data != 0 {
		b.WriteString("data=1\n")
	}
	if n.Files[firstFile] != nil {
		b.WriteString("bootstrap=1\n")
	}
	if f := n.Files[idFile]; f != nil {
		fmt.Fprintf(&b, "stamp=%s\n", strings.ReplaceAll(f.Content, "\n", ""))
	}
	if me != nil && n.Files[ctl] != nil {
		fmt.Fprintf(&b, `status=[{"Status":{"header":{"member_id":%d},"version":"3.7.3","isLearner":%v}}]`+"\n", me.ID, me.IsLearner)
		list, _ := json.Marshal(map[string]any{"members": members(w.members)})
		fmt.Fprintf(&b, "members=%s\n", list)
	}
	return b.String(), 0, true
}

// stdin is the text of a script.
func stdin(c jig.Cmd) string {
	r, ok := c.Stdin.(*strings.Reader)
	if !ok {
		return ""
	}
	b := make([]byte, r.Size())
	_, _ = r.ReadAt(b, 0)
	return string(b)
}

// handle does what the role's own scripts do.
func (w *world) handle(n *roletest.Node, c jig.Cmd) jig.Exit {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch args := c.Argv; {
	case args[0] == "rm":
		delete(n.Files, firstFile)
	case strings.Contains(stdin(c), "member/wal/"): // look
		if w.data != 0 {
			return jig.Exit{Stdout: []byte("yes\n")}
		}
	case strings.Contains(stdin(c), "FORCE_NEW_CLUSTER"):
		w.revived++
		n.Units[unit].Active = "active"
		for _, m := range w.members {
			if m.ID == w.data {
				w.members, w.alone = []*pb.Member{m}, false
				return jig.Exit{}
			}
		}
		return jig.Exit{Code: 1, Stderr: []byte("there is no data")}
	case strings.Contains(stdin(c), "member.before-recover"): // the end of that
	case strings.Contains(stdin(c), "snapshot restore"):
		w.restored = args[len(args)-1]
		m := w.member(n.Name, nodeAddress, false)
		w.members, w.data = []*pb.Member{m}, m.ID
	case len(args) >= 7 && args[3] == unit: // halt
		if u := n.Units[unit]; u != nil {
			u.Active = "inactive"
		}
		delete(n.Files, firstFile)
		delete(n.Files, idFile)
		w.data = 0
	case len(args) == 5 && args[4] == etcDir: // clean
		w.data = 0
		for p := range n.Files {
			if strings.HasPrefix(p, etcDir) || strings.HasPrefix(p, "/var/lib/etcd") {
				delete(n.Files, p)
			}
		}
	case len(args) == 4 && args[3] == reader:
		if u := n.Units[reader]; u != nil && u.Active == "active" {
			u.Active = "inactive"
			return jig.Exit{Stdout: []byte("stopped\n")}
		}
	case slices.Equal(args, []string{"systemctl", "start", reader}):
		if n.Units[unit].Active != "active" {
			w.t.Error("the API server is started before etcd serves")
		}
		n.Units[reader].Active = "active"
	case len(args) == 4 && args[3] == unit: // its last words
	case len(args) == 7 && args[6] == before:
		n.Write(before, "all that is in it", 0o600)
	default:
		w.t.Errorf("unknown command %q", args)
	}
	return jig.Exit{}
}

func (w *world) dial(_, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := "https://" + addr
	me := w.live()
	if !w.running[at] && (me == nil || at != clientAt(nodeAddress)) {
		return nil, errors.New("connection refused")
	}
	a := answers{w: w, url: at}
	return etcdtest.Dial(w.t, func(s *grpc.Server) {
		pb.RegisterKVServer(s, a)
		pb.RegisterClusterServer(s, a)
		pb.RegisterMaintenanceServer(s, a)
	})
}

// answers is one member's side of a connection.
type answers struct {
	pb.UnimplementedKVServer
	pb.UnimplementedClusterServer
	pb.UnimplementedMaintenanceServer
	w   *world
	url string
}

func (a answers) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	if a.w.alone {
		return nil, rpctypes.ErrGRPCNoLeader
	}
	return &pb.RangeResponse{}, nil
}

func (a answers) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	for _, m := range a.w.members {
		if len(m.ClientURLs) > 0 && m.ClientURLs[0] == a.url {
			return &pb.StatusResponse{Header: &pb.ResponseHeader{MemberId: m.ID}, Version: "3.7.3", Leader: a.w.members[0].ID}, nil
		}
	}
	return nil, rpctypes.ErrGRPCMemberNotFound
}

func (a answers) Snapshot(_ *pb.SnapshotRequest, to grpc.ServerStreamingServer[pb.SnapshotResponse]) error {
	for _, part := range []string{"all that ", "is in it"} {
		if err := to.Send(&pb.SnapshotResponse{Blob: []byte(part), Version: "3.7.3"}); err != nil {
			return err
		}
	}
	return nil
}

func (a answers) MemberList(context.Context, *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	return &pb.MemberListResponse{Members: a.w.copies()}, nil
}

func (w *world) copies() []*pb.Member {
	var out []*pb.Member
	for _, m := range w.members {
		out = append(out, &pb.Member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner})
	}
	return out
}

func (a answers) MemberAdd(_ context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	for _, m := range a.w.members {
		if m.IsLearner {
			return nil, rpctypes.ErrGRPCTooManyLearners
		}
	}
	if a.w.find(r.PeerURLs[0]) != nil {
		return nil, rpctypes.ErrGRPCPeerURLExist
	}
	u, _ := url.Parse(r.PeerURLs[0])
	m := &pb.Member{ID: a.w.id(u.Hostname()), PeerURLs: r.PeerURLs, IsLearner: r.IsLearner}
	a.w.members = append(a.w.members, m)
	return &pb.MemberAddResponse{Member: m, Members: a.w.copies()}, nil
}

func (a answers) MemberRemove(_ context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	for i, m := range a.w.members {
		if m.ID == r.ID {
			a.w.members = append(a.w.members[:i:i], a.w.members[i+1:]...)
			return &pb.MemberRemoveResponse{Members: a.w.copies()}, nil
		}
	}
	return nil, rpctypes.ErrGRPCMemberNotFound
}

func (a answers) MemberPromote(_ context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	for _, m := range a.w.members {
		switch {
		case m.ID != r.ID:
		case len(m.ClientURLs) == 0 || a.w.lags > 0:
			a.w.lags--
			return nil, rpctypes.ErrGRPCLearnerNotReady
		default:
			m.IsLearner = false
			return &pb.MemberPromoteResponse{Members: a.w.copies()}, nil
		}
	}
	return nil, rpctypes.ErrGRPCMemberNotFound
}

// list is the members as text.
func (w *world) list() string {
	var out []string
	for _, m := range w.members {
		kind := "voter"
		if m.IsLearner {
			kind = "learner"
		}
		out = append(out, m.Name+" "+strconv.FormatUint(m.ID, 16)+" "+kind)
	}
	return strings.Join(out, ", ")
}
