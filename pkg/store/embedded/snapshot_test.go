package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// within starts a server on a folder and does something with its state.
func within(t *testing.T, dir string, do func(*Server, *store.Store)) {
	t.Helper()
	srv, err := Start(t.Context(), Config{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	s, err := store.Open(t.Context(), srv.Store())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	do(srv, s)
}

func node(t *testing.T, s *store.Store, id crowbar.ID, name string) {
	t.Helper()
	if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: id, Name: name}}); err != nil {
		t.Fatal(err)
	}
}

func keep(context.Context, store.Config) error { return nil }

// A snapshot brings its moment back, in an empty folder and in place of another state; revisions go on upward.
func TestSnapshotAndRestore(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "snap.db")
	var want string
	var last crowbar.Rev
	within(t, dir, func(srv *Server, s *store.Store) {
		node(t, s, 1, "n1.a.b")
		want = storetest.Dump(s.View())
		got, err := srv.Snapshot(t.Context(), file)
		if err != nil || got.File != file || got.Keys < 3 {
			t.Fatal(got, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 || info.Size() != got.Bytes {
			t.Errorf("%+v %v", info, err)
		}
		node(t, s, 2, "n2.a.b")
		last = s.View().Rev()
	})
	is := func(dir, want string) {
		t.Helper()
		within(t, dir, func(_ *Server, s *store.Store) {
			if got := storetest.Dump(s.View()); got != want {
				t.Errorf("the state is\n%s\nwant\n%s", got, want)
			}
			node(t, s, 9, "n9.a.b")
			if s.View().Rev() <= last {
				t.Errorf("revision %d comes again, %d was there before", s.View().Rev(), last)
			}
		})
	}
	other := filepath.Join(t.TempDir(), "deep", "down")
	if aside, err := Restore(t.Context(), Config{Dir: other, Unsafe: true}, file, false, keep); err != nil || aside != "" {
		t.Fatal(aside, err)
	}
	is(other, want)
	if _, err := Restore(t.Context(), Config{Dir: dir, Unsafe: true}, file, false, keep); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "--replace") {
		t.Errorf("over a state: %v", err)
	}
	aside, err := Restore(t.Context(), Config{Dir: dir, Unsafe: true}, file, true, keep)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(aside, "member")); err != nil {
		t.Errorf("what was there before: %v", err)
	}
	is(dir, want)
}

// What is not a whole snapshot is refused before anything is touched; so is one that settle refuses.
func TestRestoreRefuses(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "snap.db")
	within(t, dir, func(srv *Server, s *store.Store) {
		node(t, s, 1, "n1.a.b")
		if _, err := srv.Snapshot(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), Config{Dir: dir}, file, true, keep); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "in use") {
			t.Errorf("under a daemon: %v", err)
		}
	})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)/2] ^= 1
	for name, text := range map[string][]byte{"half": whole[:len(whole)/2], "no sum": whole[:len(whole)-32], "another byte": flipped, "empty": nil} {
		bad := filepath.Join(t.TempDir(), "bad.db")
		if err := os.WriteFile(bad, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), Config{Dir: dir}, bad, true, keep); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	no := errors.New("no")
	if _, err := Restore(t.Context(), Config{Dir: dir, Unsafe: true}, file, true, func(context.Context, store.Config) error { return no }); !errors.Is(err, no) {
		t.Errorf("settle refused, and the answer is %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "etcd*"))
	if len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	within(t, dir, func(_ *Server, s *store.Store) {
		if s.View().NodeNamed("n1.a.b") == nil {
			t.Error("the state is lost")
		}
	})
}

// A restore that was killed between its two last steps is ended by the next start; one that had not come so far is forgotten.
func TestRestoreCutOff(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "snap.db")
	within(t, dir, func(srv *Server, s *store.Store) {
		node(t, s, 1, "then.a.b")
		if _, err := srv.Snapshot(t.Context(), file); err != nil {
			t.Fatal(err)
		}
		node(t, s, 1, "now.a.b")
	})
	other := t.TempDir()
	if _, err := Restore(t.Context(), Config{Dir: other, Unsafe: true}, file, false, keep); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	want := func(name string) {
		t.Helper()
		within(t, dir, func(_ *Server, s *store.Store) {
			if got := s.View().Node(1).Name; got != name {
				t.Errorf("the state is of %q, want %q", got, name)
			}
		})
		if left, _ := filepath.Glob(at("etcd.rest*")); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	if err := errors.Join(os.Mkdir(at(restoring), 0o700), os.CopyFS(at(restored), os.DirFS(filepath.Join(other, current)))); err != nil {
		t.Fatal(err)
	}
	want("now.a.b")
	if err := errors.Join(os.CopyFS(at(restored), os.DirFS(filepath.Join(other, current))), os.Rename(at(current), at(current+".before-x"))); err != nil {
		t.Fatal(err)
	}
	want("then.a.b")
}

// fill writes and overwrites so much that most of it is history.
func fill(t *testing.T, srv *Server, rounds int) (err error) {
	t.Helper()
	text := strings.Repeat("x", 128<<10)
	for i := range rounds {
		if _, err = srv.client.Put(t.Context(), fmt.Sprint("/k", i%2), text); err != nil {
			return err
		}
		srv.etcd.Server.Backend().ForceCommit() // sizes are those of what is on the disk
	}
	return nil
}

func sizes(t *testing.T, srv *Server) (all, used int64) {
	t.Helper()
	is, err := srv.client.Status(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	return is.DbSize, is.DbSizeInUse
}

// etcd's file is written anew when most of it is empty and nobody is at work, and not else.
func TestUpkeepDefragments(t *testing.T) {
	srv, err := Start(t.Context(), Config{Dir: t.TempDir(), Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	srv.worth = 4 << 20
	if err := fill(t, srv, 80); err != nil {
		t.Fatal(err)
	}
	was, _ := sizes(t, srv)
	look := func(quiet bool) int64 {
		t.Helper()
		if err := srv.Upkeep(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		all, _ := sizes(t, srv)
		return all
	}
	if is := look(true); is != was {
		t.Errorf("a full file went from %d to %d bytes", was, is)
	}
	if _, err := srv.client.Compact(t.Context(), 80, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	for all, used := sizes(t, srv); used > all/2; all, used = sizes(t, srv) { // pages are free when those are gone that read them
		if err := fill(t, srv, 1); err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	was, _ = sizes(t, srv)
	if is := look(false); is != was {
		t.Errorf("while somebody was at work it went from %d to %d bytes", was, is)
	}
	if is := look(true); is > was/4 {
		t.Errorf("it went from %d to %d bytes", was, is)
	}
	if err := fill(t, srv, 1); err != nil {
		t.Error(err)
	}
}

// A state whose history has used up the quota goes on by itself; one that is itself too large does not, and is left as it is.
func TestUpkeepRelieves(t *testing.T) {
	srv, err := Start(t.Context(), Config{Dir: t.TempDir(), Quota: 4 << 20, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if fill(t, srv, 100) == nil {
		t.Fatal("the quota does not hold")
	}
	if err := srv.Upkeep(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := fill(t, srv, 1); err != nil {
		t.Errorf("after the upkeep: %v", err)
	}
	own := 0
	for range 20 { // each time there is less room
		for err = nil; err == nil; own++ {
			_, err = srv.client.Put(t.Context(), fmt.Sprint("/own", own), strings.Repeat("x", 128<<10))
			srv.etcd.Server.Backend().ForceCommit()
		}
		if err := srv.Upkeep(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if fill(t, srv, 1) != nil {
			if _, used := sizes(t, srv); used < srv.quota/2 {
				t.Errorf("it stands still with %d bytes", used)
			}
			return
		}
	}
	all, used := sizes(t, srv)
	t.Errorf("it goes on with %d of %d bytes, and nothing has made room", used, all)
}
