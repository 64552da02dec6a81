package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// TestReload: a store whose watch was away for so long that etcd has compacted what it missed reads everything again.
func TestReload(t *testing.T) {
	srv, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	var both [2]*store.Store
	for i := range both {
		if both[i], err = store.Open(t.Context(), srv.Store()); err != nil {
			t.Fatal(err)
		}
		defer both[i].Close()
	}
	away, other := both[0], both[1]
	store.CutOff(away)
	for i := range crowbar.ID(6) {
		change := crowbar.Change{Put: &crowbar.Node{ID: i + 1}}
		if i == 5 {
			change = crowbar.Change{Drop: &crowbar.Node{ID: 1}}
		}
		if err := other.Commit(t.Context(), other.View().Rev(), change); err != nil {
			t.Fatal(err)
		}
	}
	if err := away.Commit(t.Context(), 0, crowbar.Change{Put: &crowbar.Node{ID: 1}}); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a commit on what it last saw: %v", err)
	}
	if _, err := srv.Client().Compact(t.Context(), int64(other.View().Rev())); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	go store.FollowFrom(ctx, away, 2)
	for v := range away.Watch(ctx) {
		if v.Rev() == other.View().Rev() {
			break
		}
	}
	if a, b := storetest.Dump(away.View()), storetest.Dump(other.View()); a != b || away.View().Next() != other.View().Next() {
		t.Errorf("after the reload:\n%s\nwant\n%s", a, b)
	}
}
