package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// cutKV fails from the n-th transaction on, as etcd does for a process that is killed there: that one is still carried out
// when done is set.
type cutKV struct {
	clientv3.KV
	left int
	done bool
}

type cutTxn struct {
	clientv3.Txn
	kv *cutKV
}

var errCut = errors.New("cut off")

func (c *cutKV) Txn(ctx context.Context) clientv3.Txn { return &cutTxn{c.KV.Txn(ctx), c} }

func (t *cutTxn) If(c ...clientv3.Cmp) clientv3.Txn  { t.Txn = t.Txn.If(c...); return t }
func (t *cutTxn) Then(o ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Then(o...); return t }
func (t *cutTxn) Else(o ...clientv3.Op) clientv3.Txn { t.Txn = t.Txn.Else(o...); return t }

func (t *cutTxn) Commit() (*clientv3.TxnResponse, error) {
	t.kv.left--
	if t.kv.left > 0 || t.kv.left == 0 && t.kv.done {
		resp, err := t.Txn.Commit()
		if t.kv.left > 0 {
			return resp, err
		}
	}
	if t.kv.left <= 0 {
		return nil, errCut
	}
	return t.Txn.Commit()
}

// cutAfter is a server's client that is cut off after so many transactions.
func cutAfter(srv *embedded.Server, n int, done bool) (*clientv3.Client, *cutKV) {
	c := clientv3.NewCtxClient(context.Background())
	kv := &cutKV{KV: srv.Client().KV, left: n, done: done}
	c.KV, c.Lease, c.Watcher = kv, srv.Client().Lease, srv.Client().Watcher
	return c, kv
}

func serve(t *testing.T) *embedded.Server {
	t.Helper()
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv
}

func open(t *testing.T, conf store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// small is a server of which little can be asked at once.
func small(srv *embedded.Server) store.Config {
	conf := srv.Store()
	conf.MaxOps, conf.MaxBytes = 8, 4<<10
	return conf
}

// generation is nodes that do not compress: many requests.
func generation(n int) []crowbar.Change {
	var all []crowbar.Change
	for i := range crowbar.ID(16) {
		var text strings.Builder
		for range 40 {
			text.WriteString(rand.Text())
		}
		all = append(all, crowbar.Change{Put: &crowbar.Node{ID: i + 1, Name: fmt.Sprintf("n%d.g%d.b", i, n), Description: text.String()}})
	}
	return all
}

func keysBelow(t *testing.T, srv *embedded.Server, part string) int64 {
	t.Helper()
	resp, err := srv.Client().Get(t.Context(), "/kubeclamp/v1/"+part, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return resp.Count
}

// A commit of many times what one request may hold is one commit: for who makes it, who watches and who comes later.
func TestPartsAreOneCommit(t *testing.T) {
	srv := serve(t)
	writer, reader := open(t, small(srv)), open(t, small(srv))
	seen := map[crowbar.Rev]bool{}
	watch := reader.Watch(t.Context())
	for n := range 3 {
		if err := writer.Commit(t.Context(), writer.View().Rev(), generation(n)...); err != nil {
			t.Fatal(err)
		}
		for v := range watch {
			seen[v.Rev()] = true
			for node := range v.Nodes() {
				if !strings.Contains(node.Name, strings.Split(v.Node(1).Name, ".")[1]) {
					t.Fatalf("half of a commit is seen: %s beside %s", node.Name, v.Node(1).Name)
				}
			}
			if v.Rev() == writer.View().Rev() {
				break
			}
		}
	}
	want := storetest.Dump(writer.View())
	for name, s := range map[string]*store.Store{"the reader": reader, "one that comes later": open(t, small(srv))} {
		if storetest.Dump(s.View()) != want {
			t.Errorf("%s sees another state", name)
		}
	}
	if len(seen) < 3 || keysBelow(t, srv, "parts/") != 0 || keysBelow(t, srv, "journal") != 0 {
		t.Errorf("%d revisions, %d parts and %d journals are left", len(seen), keysBelow(t, srv, "parts/"), keysBelow(t, srv, "journal"))
	}
	err := writer.Commit(t.Context(), writer.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Description: strings.Repeat("x", 5000)}}, crowbar.Change{Drop: &crowbar.Node{ID: 2}})
	if crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "nodes 1 takes") || writer.View().Node(2) == nil {
		t.Errorf("an object that fits into no request: %v", err)
	}
}

// Cut off before or in the middle of any of its transactions, such a commit is there as a whole or not at all, and does not
// hinder the next one.
func TestPartsCutOff(t *testing.T) {
	srv := serve(t)
	first := open(t, small(srv))
	if err := first.Commit(t.Context(), 0, generation(0)...); err != nil {
		t.Fatal(err)
	}
	first.Close()
	made, lost := 0, 0
	for n := 1; ; n++ {
		conf := small(srv)
		client, kv := cutAfter(srv, 1000, n%2 == 0)
		conf.Client = client
		s := open(t, conf)
		before := storetest.Dump(s.View())
		change := generation(n)
		kv.left = n
		err := s.Commit(t.Context(), s.View().Rev(), change...)
		whole := kv.left > 0
		s.Close()
		s = open(t, small(srv))
		after := storetest.Dump(s.View())
		switch s.View().Node(1).Name {
		case fmt.Sprintf("n0.g%d.b", n):
			made++
			for _, c := range change {
				if storetest.Dump(crowbar.NewSnapshot().Apply(1, c)) != storetest.Dump(crowbar.NewSnapshot().Apply(1, crowbar.Change{Put: s.View().Node(c.Put.Key())})) {
					t.Fatalf("cut off at transaction %d: node %d is another", n, c.Put.Key())
				}
			}
		default:
			lost++
			if err == nil || before != after {
				t.Fatalf("cut off at transaction %d (%v): the state is neither the old nor the new one", n, err)
			}
		}
		if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 100, Name: fmt.Sprintf("after%d.a.b", n)}}); err != nil {
			t.Fatalf("after one that was cut off at %d: %v", n, err)
		}
		s.Close()
		if whole {
			break
		}
	}
	if made < 5 || lost < 5 {
		t.Errorf("%d made, %d not: this proves little", made, lost)
	}
	s := open(t, small(srv))
	if err := s.Commit(t.Context(), s.View().Rev(), generation(1000)...); err != nil || keysBelow(t, srv, "parts/") != 0 {
		t.Errorf("%d parts are left: %v", keysBelow(t, srv, "parts/"), err)
	}
}

// An unfolded journal in parts whose watcher was away is read from etcd's history.
func TestPartsAfterThePast(t *testing.T) {
	srv := serve(t)
	writer, away := open(t, small(srv)), open(t, small(srv))
	store.CutOff(away)
	for n := range 3 {
		if err := writer.Commit(t.Context(), writer.View().Rev(), generation(n)...); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go store.FollowFrom(ctx, away, 2)
	for v := range away.Watch(ctx) {
		if v.Rev() == writer.View().Rev() {
			break
		}
	}
	if storetest.Dump(away.View()) != storetest.Dump(writer.View()) {
		t.Error("it sees another state")
	}
}
