package embedded_test

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestPastOutlivesItsStore: another store on the same etcd tells the same past, also of commits that took the journal; what
// etcd has compacted away it does not pretend to know.
func TestPastOutlivesItsStore(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	cfg := srv.Store()
	cfg.MaxOps = 7
	a := open(t, cfg)
	var want []string
	_, moves := a.Moves(t.Context())
	from := crowbar.Rev(0)
	for i := range 4 {
		var big []crowbar.Change
		for j := range crowbar.ID(1 + 20*i) {
			big = append(big, crowbar.Change{Put: &crowbar.Node{ID: j + 1, Address: string(rune(97 + i))}})
		}
		if err := a.Commit(t.Context(), a.View().Rev(), big...); err != nil {
			t.Fatal(err)
		}
		m := <-moves
		if i == 0 {
			from = m.Now.Rev()
			continue
		}
		want = append(want, storetest.Dump(m.Now))
	}
	b := open(t, cfg)
	var got []string
	if err := b.Since(t.Context(), from, func(m crowbar.Moved) bool { got = append(got, storetest.Dump(m.Now)); return true }); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d revisions, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("revision %d:\n%s\nwant:\n%s", i, got[i], want[i])
		}
	}
	if _, err := srv.Client().Compact(t.Context(), int64(b.View().Rev())); err != nil {
		t.Fatal(err)
	}
	for _, after := range []crowbar.Rev{0, from, b.View().Rev() - 1} {
		if err := b.Since(t.Context(), after, func(crowbar.Moved) bool { return true }); crowbar.KindOf(err) != crowbar.NotFound {
			t.Errorf("after compaction, since %d: %v", after, err)
		}
	}
}

// TestReadSeesWhatWasWrittenPastTheDaemons: the view follows commits alone; what somebody wrote otherwise only Read shows.
func TestReadSeesWhatWasWrittenPastTheDaemons(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	s := open(t, srv.Store())
	if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Name: "n1.a.b"}}); err != nil {
		t.Fatal(err)
	}
	keys, err := srv.Client().Get(t.Context(), "/kubeclamp/v1/nodes/", clientv3.WithPrefix())
	if err != nil || len(keys.Kvs) != 1 {
		t.Fatalf("%v, %v", keys, err)
	}
	if _, err := srv.Client().Put(t.Context(), string(keys.Kvs[0].Key), `{"id":1,"name":"evil.a.b"}`); err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Read(t.Context())
	if err != nil || fresh.Node(1).Name != "evil.a.b" || s.View().Node(1).Name != "n1.a.b" {
		t.Errorf("read %v, view %v, %v", fresh.Node(1), s.View().Node(1), err)
	}
}
