package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestSuite empties one server between the tests.
func TestSuite(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	for name, change := range map[string]func(*store.Config){
		"embedded": func(*store.Config) {},
		"external": func(c *store.Config) { c.MaxOps, c.MaxBytes, c.Alone = 128, 1536<<10, false },
		"tiny":     func(c *store.Config) { c.MaxOps, c.MaxBytes = 7, 64<<10 },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Store {
				wipe(t, srv)
				cfg := srv.Store()
				change(&cfg)
				return open(t, cfg)
			})
		})
	}
}

func wipe(t *testing.T, srv *embedded.Server) {
	t.Helper()
	if _, err := srv.Client().Delete(t.Context(), "", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
}

func TestRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	storetest.Restart(t, func() (storetest.Store, func()) {
		srv := start(t, dir)
		s := open(t, srv.Store())
		return s, func() { s.Close(); srv.Close() }
	})
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestFolderInUse(t *testing.T) {
	dir := t.TempDir()
	srv := start(t, dir)
	_, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("second start: %v", err)
	}
	srv.Close()
	start(t, dir).Close()
}

// TestTwoWriters: what one store commits, the other has, also a commit that went through the journal.
func TestTwoWriters(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	cfg := srv.Store()
	cfg.MaxOps, cfg.MaxBytes = 10, 64<<10
	a, b := open(t, cfg), open(t, cfg)
	for i := range 30 {
		w := []*store.Store{a, b}[i%2]
		for {
			v := w.View()
			var cs []crowbar.Change
			for k := range 1 + i {
				cs = append(cs, crowbar.Change{Put: &crowbar.Node{ID: v.Next() + crowbar.ID(k)}})
			}
			err := w.Commit(t.Context(), v.Rev(), cs...)
			if err == nil {
				break
			}
			if crowbar.KindOf(err) != crowbar.Conflict {
				t.Fatal(err)
			}
		}
	}
	same(t, a, b)
	if n := a.View().Count(crowbar.KindNode); n != 30*31/2 {
		t.Errorf("%d nodes", n)
	}
	c := open(t, cfg)
	same(t, a, c)
}

func same(t *testing.T, a, b *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	rev := max(a.View().Rev(), b.View().Rev())
	for _, s := range []*store.Store{a, b} {
		for v := range s.Watch(ctx) {
			if v.Rev() >= rev {
				break
			}
		}
	}
	if x, y := storetest.Dump(a.View()), storetest.Dump(b.View()); x != y {
		t.Errorf("the views differ:\n%s\n%s", x, y)
	}
}

// TestCompaction: a store whose watch was cut off and compacted away reads everything again.
func TestCompaction(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	a := open(t, srv.Store())
	for i := range crowbar.ID(5) {
		if err := a.Commit(t.Context(), a.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: i + 1}}); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.Client().Compact(t.Context(), int64(a.View().Rev())); err != nil {
			t.Fatal(err)
		}
	}
	same(t, a, open(t, srv.Store()))
}

func TestHold(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	cfg := srv.Store()
	cfg.Alone, cfg.TTL = false, time.Second
	a, b := open(t, cfg), open(t, cfg)
	lost, err := a.Hold(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	node := crowbar.Change{Put: &crowbar.Node{ID: 1}}
	if err := a.Commit(t.Context(), 0, node); err != nil {
		t.Fatal(err)
	}
	_, err = b.Hold(t.Context(), "b")
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), `held by "a"`) {
		t.Errorf("second hold: %v", err)
	}
	// a is cut off from its lease, as a paused machine is: b gets in, and a may not write any more.
	leases, err := srv.Client().Leases(t.Context())
	if err != nil || len(leases.Leases) != 1 {
		t.Fatal(leases, err)
	}
	if _, err := srv.Client().Revoke(t.Context(), leases.Leases[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Hold(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	err = a.Commit(t.Context(), a.View().Rev(), node)
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), `held by "b"`) {
		t.Errorf("commit after the hold was lost: %v", err)
	}
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Error("the loss was not told")
	}
	if err := b.Commit(t.Context(), b.View().Rev(), node); err != nil {
		t.Error(err)
	}
	b.Close()
	began := time.Now()
	c := open(t, cfg)
	if _, err := c.Hold(t.Context(), "c"); err != nil || time.Since(began) > 900*time.Millisecond {
		t.Errorf("hold after a clean end: %v after %s", err, time.Since(began))
	}
}

func TestHoldAlone(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	for _, owner := range []string{"a", "b"} { // the first one never lets go, as after kill -9
		s, err := store.Open(t.Context(), srv.Store())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		if _, err := s.Hold(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1}}); err != nil {
			t.Fatal(err)
		}
	}
}
