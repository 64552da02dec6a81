package embedded_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		"shared":   func(c *store.Config) { c.MaxOps, c.MaxBytes, c.Alone = 128, 1536<<10, false },
		"tiny":     func(c *store.Config) { c.MaxOps, c.MaxBytes = 7, 64<<10 },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) storetest.Store {
				wipe(t, srv)
				cfg := srv.Store()
				change(&cfg)
				s := open(t, cfg)
				if name == "shared" {
					hold(t, s, "me")
				}
				return s
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

// TestHold: two daemons share the state; one whose lease has ended may not write, and a name is used once.
func TestHold(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	cfg := srv.Store()
	cfg.Alone, cfg.TTL = false, 2*time.Second
	a, b := open(t, cfg), open(t, cfg)
	lost := hold(t, a, "a")
	if _, err := b.Hold(t.Context(), crowbar.Daemon{Owner: "a"}); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("second hold of the name: %v", err)
	}
	hold(t, b, "b")
	for i, s := range []*store.Store{a, b, a} {
		insist(t, s, crowbar.Change{Put: &crowbar.Node{ID: crowbar.ID(i + 1)}})
	}
	await(t, a, func() bool { return len(a.Daemons()) == 2 })
	// a is cut off from its lease, as a paused machine is: it may not write any more, and is told.
	revoke(t, srv, "a")
	err := a.Commit(t.Context(), a.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1}})
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), `no longer registered`) {
		t.Errorf("commit after the registration was lost: %v", err)
	}
	select {
	case <-lost:
	case <-time.After(5 * time.Second):
		t.Error("the loss was not told")
	}
	await(t, b, func() bool { return len(b.Daemons()) == 1 })
	insist(t, b, crowbar.Change{Put: &crowbar.Node{ID: 1}})
	b.Close()
	c := open(t, cfg)
	hold(t, c, "c")
	if now, err := c.Registered(t.Context()); err != nil || len(now) != 1 || now[0].Owner != "c" {
		t.Errorf("after a clean end: %v %v", now, err)
	}
}

// TestLead: one leads at a time; when its registration goes, the next one does.
func TestLead(t *testing.T) {
	srv := start(t, t.TempDir())
	t.Cleanup(func() { srv.Close() })
	cfg := srv.Store()
	cfg.Alone, cfg.TTL = false, 2*time.Second
	leads := make(chan string)
	stores := map[string]*store.Store{}
	for _, name := range []string{"a", "b", "c"} {
		s := open(t, cfg)
		stores[name] = s
		hold(t, s, name)
		go s.Lead(t.Context(), func(ctx context.Context) error {
			select {
			case leads <- name:
			case <-ctx.Done():
			}
			<-ctx.Done()
			return nil
		})
	}
	seen := map[string]bool{}
	for range 2 {
		now := <-leads
		seen[now] = true
		for name, s := range stores {
			await(t, s, func() bool {
				return slices.ContainsFunc(s.Daemons(), func(d crowbar.Daemon) bool { return d.Owner == now && d.Leader }) || seen[name]
			})
		}
		select {
		case other := <-leads:
			t.Fatalf("%s and %s lead", now, other)
		default:
		}
		revoke(t, srv, now)
	}
	if last := <-leads; len(seen) != 2 || seen[last] {
		t.Errorf("%v and %s led", seen, last)
	}
}

func hold(t *testing.T, s *store.Store, owner string) <-chan struct{} {
	t.Helper()
	lost, err := s.Hold(t.Context(), crowbar.Daemon{Owner: owner, Name: owner})
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// insist commits until nobody was faster.
func insist(t *testing.T, s *store.Store, c crowbar.Change) {
	t.Helper()
	for {
		err := s.Commit(t.Context(), s.View().Rev(), c)
		if err == nil {
			return
		}
		if crowbar.KindOf(err) != crowbar.Conflict {
			t.Fatal(err)
		}
	}
}

// await waits for something that the store's watch tells.
func await(t *testing.T, s *store.Store, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range s.Watch(ctx) {
		if so() {
			return
		}
	}
	t.Fatal("it does not come about")
}

// revoke ends the lease of a registration.
func revoke(t *testing.T, srv *embedded.Server, owner string) {
	t.Helper()
	resp, err := srv.Client().Get(t.Context(), "/kubeclamp/v1/daemons/"+owner)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatal(resp, err)
	}
	if _, err := srv.Client().Revoke(t.Context(), clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
		t.Fatal(err)
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
		if _, err := s.Hold(t.Context(), crowbar.Daemon{Owner: owner}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1}}); err != nil {
			t.Fatal(err)
		}
		if d, err := s.Registered(t.Context()); err != nil || len(d) != 1 || d[0].Owner != owner || !d[0].Leader {
			t.Errorf("registered: %+v %v", d, err)
		}
	}
}
