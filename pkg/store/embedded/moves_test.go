package embedded_test

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
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
