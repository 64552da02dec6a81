package annealer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConverges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(6)
		r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			time.Sleep(time.Second)
			if on.Arch != "amd64" && name != "config" || on.Deployment != "k" {
				t.Errorf("%+v", on)
			}
			return r.write(ctx, name, on)
		}
		began := time.Now()
		if !r.until(allActive) {
			t.Fatal("it does not converge")
		}
		// base everywhere (6 in 3 at once: 2 s, config beside them), three db one after the other, apps
		if took := time.Since(began); took > 10*time.Second || r.most != 3 {
			t.Errorf("took %s, %d at once", took, r.most)
		}
		if r.open != 0 || r.dials != 7 {
			t.Errorf("%d connections left open, %d dials for 7 nodes", r.open, r.dials)
		}
		calls := r.machine("n0").calls
		want := []string{"facts", "fence 1", "put /base.a", "put /base.b", "facts", "fence 1", "put /db.a", "put /db.b", "facts", "fence 1", "put /app.a", "put /app.b"}
		if !slices.Equal(calls, want) {
			t.Errorf("calls %q", calls)
		}

		r.machine("n0").calls = nil
		if err := r.engine.Rerun(t.Context(), r.engine.View().DeploymentNamed("k").ID); err != nil {
			t.Fatal(err)
		}
		if !r.until(allActive) {
			t.Fatal("it does not converge again")
		}
		if calls := r.machine("n0").calls; !slices.Equal(calls, []string{"facts", "facts", "facts"}) {
			t.Errorf("nothing changed, and the calls were %q", calls)
		}
	})
}

func TestNoBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(5)
		r.dialFail = func(node string) error {
			if node == "n4" {
				return crowbar.Errorf(crowbar.Unavailable, "connect to n4 (10.0.0.5:22): no route to host: is the node up?")
			}
			return nil
		}
		ok := r.until(func(s *crowbar.Snapshot) bool {
			for nr := range s.NodeRoles() {
				if want := s.Node(nr.Node).Short() != "n4"; want != (nr.State == crowbar.Active) {
					return false
				}
			}
			return someError(s)
		})
		if !ok {
			t.Fatal("the other nodes waited for the dead one")
		}
		if nr := r.nr("base", "n4"); nr.State != crowbar.Error || !strings.Contains(nr.Failure, "no route to host: is the node up?") {
			t.Errorf("%s %q", nr.State, nr.Failure)
		}
	})
}

// TestLosses: what goes away in mid-run is tried again, not for ever.
func TestLosses(t *testing.T) {
	link := crowbar.Errorf(crowbar.Unavailable, "the connection to n0 broke")
	plugin := fmt.Errorf("role base: %w (signal 9)", role.ErrDied)
	for name, c := range map[string]struct {
		times  int
		byLink bool
		want   crowbar.State
		runs   int
	}{
		"link once":          {1, true, crowbar.Active, 2},
		"link twice":         {2, true, crowbar.Error, 2},
		"plugin three times": {3, false, crowbar.Active, 4},
		"plugin four times":  {4, false, crowbar.Error, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, memory(), newSite(), "a")
				r.cluster(1)
				runs := 0
				r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
					if name != "base" {
						return r.write(ctx, name, on)
					}
					runs++
					if runs > c.times {
						return role.Result{}, nil
					}
					if !c.byLink {
						return role.Result{}, plugin
					}
					r.machine("n0").exec = func(jig.Cmd) (jig.Exit, error) { return jig.Exit{}, link }
					defer func() { r.machine("n0").exec = nil }()
					_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"x"}})
					return role.Result{}, err
				}
				if !r.until(func(s *crowbar.Snapshot) bool { return allActive(s) || someError(s) }) {
					t.Fatal("it does not end")
				}
				if nr := r.nr("base", "n0"); nr.State != c.want || runs != c.runs || int(nr.Attempt) != runs {
					t.Errorf("%s after %d runs, attempt %d: %s", nr.State, runs, nr.Attempt, nr.Failure)
				}
			})
		})
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		apply func(ctx context.Context, on role.Target) (role.Result, error)
		roles error
		says  string
	}{
		"error": {func(context.Context, role.Target) (role.Result, error) { return role.Result{}, errors.New("no space") }, nil, "no space"},
		"panic": {func(context.Context, role.Target) (role.Result, error) { panic("oops") }, nil, "oops"},
		"timeout": {func(ctx context.Context, _ role.Target) (role.Result, error) {
			<-ctx.Done()
			return role.Result{}, ctx.Err()
		}, nil, "longer than its timeout of 1m0s"},
		"secret": {func(context.Context, role.Target) (role.Result, error) {
			return role.Result{}, errors.New("bad hunter22")
		}, nil, "bad"},
		"unknown": {nil, crowbar.Errorf(crowbar.NotFound, "no plugin kubeclamp-role-base"), "no plugin kubeclamp-role-base"},
		"wall": {func(context.Context, role.Target) (role.Result, error) {
			return role.Result{Wall: crowbar.Data{"f": func() {}}}, nil
		}, nil, "cannot be stored"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, memory(), newSite(), "a")
				r.cluster(1)
				r.unknown = c.roles
				r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
					if name == "config" {
						return role.Result{}, nil
					}
					return c.apply(ctx, on)
				}
				if !r.until(func(s *crowbar.Snapshot) bool {
					for nr := range s.NodeRoles() {
						if s.Role(nr.Role).Name == "base" && nr.State == crowbar.Error {
							return true
						}
					}
					return false
				}) {
					t.Fatal("it is not in error")
				}
				if nr := r.nr("base", "n0"); !strings.Contains(nr.Failure, c.says) || nr.Status == "" {
					t.Errorf("failure %q, status %q", nr.Failure, nr.Status)
				}
			})
		})
	}
}

func TestConnectionsAreClosedWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(2)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = r.Run(ctx) }()
		synctest.Wait()
		if n := r.connections(); !allActive(r.engine.View()) || n != 3 {
			t.Errorf("%d connections are open", n)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if n := r.connections(); n != 0 {
			t.Errorf("%d connections are open after a minute", n)
		}
		cancel()
		<-done
	})
}

// TestKeptConnectionDied: a node that was restarted between two runs costs a look, not a run.
func TestKeptConnectionDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(1)
		restarted := false
		r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			if name == "db" && !restarted {
				restarted = true
				broken := true
				r.machine("n0").exec = func(jig.Cmd) (jig.Exit, error) {
					if broken {
						broken = false
						return jig.Exit{}, crowbar.Errorf(crowbar.Unavailable, "the connection broke")
					}
					return jig.Exit{}, nil
				}
			}
			return r.write(ctx, name, on)
		}
		if !r.until(allActive) {
			t.Fatal("it does not converge")
		}
		if nr := r.nr("db", "n0"); nr.Attempt != 1 || r.dials != 3 || r.open != 0 {
			t.Errorf("attempt %d, %d dials, %d open", nr.Attempt, r.dials, r.open)
		}
	})
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(1)
		half := make(chan struct{})
		more := make(chan struct{})
		r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			if name != "db" {
				return r.write(ctx, name, on)
			}
			r.machine("n0").exec = func(c jig.Cmd) (jig.Exit, error) {
				return jig.Exit{Code: 3, Stdout: []byte("password is hunter22\nsecond line of it\n"), Stderr: []byte("of second line of it only")}, nil
			}
			_, _ = on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"show", "this"}})
			_, _ = on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"hide"}, Secret: true})
			r.machine("n0").exec = nil
			on.Logf("waiting for %s", "hunter22\nsecond line of it")
			close(half)
			<-more
			return role.Result{Changes: []role.Change{{Do: "create", What: "file", Name: "/x"}}}, nil
		}
		followed := &bytes.Buffer{}
		ended := make(chan error)
		go func() {
			<-half
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := r.nr("db", "n0").Status; got != "waiting for "+hidden {
				t.Errorf("status %q", got)
			}
			id := r.nr("db", "n0").ID
			go func() { ended <- r.Follow(t.Context(), id, 0, true, followed) }()
			synctest.Wait()
			close(more)
		}()
		if !r.until(allActive) {
			t.Fatal("it does not converge")
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		path := r.LogPath(r.nr("db", "n0").ID, 0)
		b, err := os.ReadFile(path)
		if err != nil || string(b) != followed.String() {
			t.Errorf("%v; followed:\n%s\nfile:\n%s", err, followed, b)
		}
		for _, secret := range []string{"hunter22", "second line"} {
			if strings.Contains(string(b), secret) {
				t.Errorf("%q is in the log:\n%s", secret, b)
			}
		}
		for _, s := range []string{"apply of role db on node n0, attempt 1", "exec show this -> 3", "exec hide -> 3", "[secret]", "waiting for", "changed: create file /x", "done: 1 change"} {
			if !strings.Contains(string(b), s) {
				t.Errorf("%q is not in the log:\n%s", s, b)
			}
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Error(st.Mode(), err)
		}
		if err := r.Follow(t.Context(), 9999, 0, true, io.Discard); crowbar.KindOf(err) != crowbar.NotFound {
			t.Error(err)
		}
	})
}

func TestRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(2)
		if !r.until(allActive) {
			t.Fatal("it does not converge")
		}
		m := r.machine("n1")
		m.calls = nil
		if err := r.engine.DeleteNode(t.Context(), r.engine.View().NodeNamed("n1").ID, false); err != nil {
			t.Fatal(err)
		}
		if !r.until(func(s *crowbar.Snapshot) bool { return s.NodeNamed("n1") == nil && allActive(s) }) {
			t.Fatal("the node stays")
		}
		if want := []string{"fence 2", "rm app", "fence 2", "rm db", "fence 2", "rm base"}; !slices.Equal(m.calls, want) || len(m.files) != 0 {
			t.Errorf("calls %q, files %v", m.calls, m.files)
		}
	})
}

type shelf map[string]string

func (s shelf) Stat(_ context.Context, name, arch string) (crowbar.Artifact, error) {
	b, ok := s[name]
	if !ok {
		return crowbar.Artifact{}, crowbar.Errorf(crowbar.NotFound, "no artifact %q for %s", name, arch)
	}
	sum := sha256.Sum256([]byte(b))
	return crowbar.Artifact{Name: name, Version: "1", SHA256: hex.EncodeToString(sum[:]), Size: int64(len(b))}, nil
}

func (s shelf) Open(ctx context.Context, name, arch string) (io.ReadCloser, crowbar.Artifact, error) {
	a, err := s.Stat(ctx, name, arch)
	body := s[name]
	if strings.Contains(name, "spoiled") {
		body = strings.ToUpper(body)
	}
	return io.NopCloser(strings.NewReader(body)), a, err
}

func TestArtifacts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.Artifacts = shelf{"etcd/etcd": "good content", "etcd/spoiled": "spoiled content"}
		r.cluster(1)
		r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			if name != "base" {
				return role.Result{}, nil
			}
			if err := on.Artifacts.Put(ctx, "etcd/etcd", "/bin/etcd", 0o755); err != nil {
				t.Error(err)
			}
			if _, err := on.Artifacts.Stat(ctx, "none"); crowbar.KindOf(err) != crowbar.NotFound || !strings.Contains(err.Error(), "amd64") {
				t.Error(err)
			}
			return role.Result{}, on.Artifacts.Put(ctx, "etcd/spoiled", "/bin/spoiled", 0o755)
		}
		if !r.until(someError) {
			t.Fatal("wrong content was taken")
		}
		nr := r.nr("base", "n0")
		want, _ := r.Artifacts.Stat(t.Context(), "etcd/spoiled", "amd64")
		for _, s := range []string{"etcd/spoiled", want.SHA256, "nothing was left"} {
			if !strings.Contains(nr.Failure, s) {
				t.Errorf("%q is not in %q", s, nr.Failure)
			}
		}
		if nr.Attempt != 1 {
			t.Errorf("a wrong content was taken for a broken link: attempt %d", nr.Attempt)
		}
		if m := r.machine("n0"); m.files["/bin/etcd"] != "good content" || m.files["/bin/spoiled"] != "" {
			t.Error(m.files)
		}
	})
}

// TestFence: an older attempt may look, and change nothing.
func TestFence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(1)
		nr := r.nr("base", "n0")
		w := &crowbar.Work{NodeRole: *nr, Attempt: 1}
		r.machine("n0").fences[newFence(w, "ssh").name] = 99
		if !r.until(someError) {
			t.Fatal("it passed")
		}
		if nr := r.nr("base", "n0"); !strings.Contains(nr.Failure, "attempt 99 is on the node already") || len(r.machine("n0").files) > 0 {
			t.Error(nr.Failure, r.machine("n0").files)
		}
	})
}

// TestFenceIsAskedAgain: a daemon that was stopped in mid-run, and whose place another one took, changes nothing more.
func TestFenceIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, memory(), newSite(), "a")
		r.cluster(1)
		r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			if name != "base" {
				return r.write(ctx, name, on)
			}
			_, _ = on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"look"}})
			if err := on.Conn.Put(ctx, "/early", 0o600, strings.NewReader("x")); err != nil {
				return role.Result{}, err
			}
			time.Sleep(10 * time.Second)
			m := r.machine("n0")
			for f := range m.fences {
				m.fences[f] = 99
			}
			return role.Result{}, on.Conn.Put(ctx, "/late", 0o600, strings.NewReader("x"))
		}
		if !r.until(someError) {
			t.Fatal("it passed")
		}
		if m := r.machine("n0"); m.files["/early"] == "" || m.files["/late"] != "" {
			t.Error(m.files)
		}
	})
}

// TestARemovalHasNoLook: its first command is fenced like any other.
func TestARemovalHasNoLook(t *testing.T) {
	w := &crowbar.Work{NodeRole: crowbar.NodeRole{ID: 7}, Attempt: 1, Remove: true}
	m := newSite().machine("n0")
	rec := &recorder{conn: &fakeConn{m: m}, fence: newFence(w, "ssh"), log: &runLog{over: true, out: newTranscript(w)}}
	r := asleep{func() { m.fences[rec.fence.name] = 99; rec.fence.seen = time.Time{} }}
	if _, err := apply(t.Context(), r, role.Target{Conn: rec}, true, rec); err == nil || slices.Contains(m.calls, "rm") {
		t.Errorf("%v, calls %q", err, m.calls)
	}
}

// asleep is a role whose daemon is stopped for long before the first command of a removal.
type asleep struct{ stop func() }

func (s asleep) Describe() role.Info { return role.Info{} }

func (s asleep) Apply(context.Context, role.Target) (role.Result, error) { return role.Result{}, nil }

func (s asleep) Remove(ctx context.Context, on role.Target) error {
	s.stop()
	_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"rm"}})
	return err
}

// TestDestructiveKeepsItsWall: what a destructive role gave back is still there when it was not run again.
func TestDestructiveKeepsItsWall(t *testing.T) {
	r := newRig(t, memory(), newSite(), "a")
	wall := crowbar.Data{"disk": "/dev/sda"}
	w := &crowbar.Work{NodeRole: crowbar.NodeRole{ID: 7, Wall: wall, RunCount: 1}, Again: true}
	w.Role.Flags.Destructive = true
	log, err := r.logs.open(7, 2, newTranscript(w))
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	if o := r.work(t.Context(), w, log); o.Failure != "" || o.Wall["disk"] != "/dev/sda" {
		t.Errorf("%+v", o)
	}
}

// TestFenceScript runs the script itself.
func TestFenceScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fence")
	script := strings.Replace(fenceScript, "/var/lib/kubeclamp/fence", dir, 1)
	for i, c := range []struct {
		attempt string
		code    int
	}{{"1", 0}, {"1", 0}, {"3", 0}, {"2", 75}, {"10", 0}, {"9", 75}} {
		cmd := exec.Command("/bin/sh", "-s", "--", "7-123", c.attempt)
		cmd.Stdin = strings.NewReader(script)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.code {
			t.Errorf("step %d: attempt %s ended with %d: %s", i, c.attempt, got, out)
		}
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Error(st.Mode(), err)
	}
}

// hiccup is a store that makes one commit and says that it did not.
type hiccup struct {
	engine.Store
	at int
}

func (h *hiccup) Commit(ctx context.Context, at crowbar.Rev, c ...crowbar.Change) error {
	err := h.Store.Commit(ctx, at, c...)
	if h.at--; h.at == 0 && err == nil {
		return crowbar.Errorf(crowbar.Unavailable, "the answer was lost")
	}
	return err
}

func TestAnswersOfTheStateGetLost(t *testing.T) {
	for at := range 20 {
		synctest.Test(t, func(t *testing.T) {
			st, s := memory(), newSite()
			newRig(t, st, s, "first").cluster(1)
			if r := newRig(t, &hiccup{st, at + 1}, s, "a"); !r.until(allActive) {
				t.Fatalf("it does not converge when the answer to commit %d is lost", at+1)
			}
		})
	}
}

// mortal is a store whose daemon is killed at a chosen commit: from then on nothing of it arrives.
type mortal struct {
	engine.Store
	left int
	died chan struct{}
}

func (m *mortal) Commit(ctx context.Context, at crowbar.Rev, c ...crowbar.Change) error {
	if m.left == 0 {
		return crowbar.Errorf(crowbar.Unavailable, "killed")
	}
	m.left--
	err := m.Store.Commit(ctx, at, c...)
	if m.left == 0 {
		close(m.died)
	}
	return err
}

// TestKilledAnywhere: daemons die one after the other, each at some commit; the last one converges, and no node ever saw two
// runs at once.
func TestKilledAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		lives := rapid.SliceOfN(rapid.IntRange(1, 25), 1, 4).Draw(rt, "lives")
		synctest.Test(t, func(t *testing.T) {
			st, s := memory(), newSite()
			newRig(t, st, s, "first").cluster(4)
			s.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
					return role.Result{}, ctx.Err()
				}
				return s.write(ctx, name, on)
			}
			for i, left := range lives {
				m := &mortal{Store: st, left: left, died: make(chan struct{})}
				r := newRig(t, m, s, string(rune('a'+i)))
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				_ = r.engine.Reclaim(ctx)
				go func() {
					select {
					case <-m.died:
						cancel()
					case <-ctx.Done():
					}
				}()
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = r.Run(ctx)
				}()
				for snap := range r.engine.Watch(ctx) {
					if allActive(snap) {
						cancel()
					}
				}
				<-done
				cancel()
			}
			r := newRig(t, st, s, "last")
			if err := r.engine.Reclaim(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !r.until(allActive) {
				for nr := range r.engine.View().NodeRoles() {
					t.Logf("%s: %s %s", nr.State, r.engine.Why(nr.ID), nr.Failure)
				}
				t.Fatal("it does not converge")
			}
			for _, node := range []string{"n0", "n1", "n2", "n3"} {
				if len(s.machine(node).files) < 4 {
					t.Errorf("%s: %v", node, s.machine(node).files)
				}
			}
			for run := range r.engine.View().Runs() {
				if run.Outcome == "" || run.Finished.IsZero() {
					t.Errorf("a run without an end: %+v", run)
				}
			}
			if s.open != 0 {
				t.Errorf("%d connections are open", s.open)
			}
		})
	})
}

// TestGuard: what was sent before a newer attempt began, and comes after, does nothing.
func TestGuard(t *testing.T) {
	counter := filepath.Join(t.TempDir(), "7-1")
	for _, c := range []struct {
		have, mine, says string
		code             int
	}{{"", "1", "done", 0}, {"1", "1", "done", 0}, {"1", "2", "done", 0}, {"3", "2", "", 75}, {"10", "9", "", 75}, {"9", "10", "done", 0}} {
		if c.have != "" {
			if err := os.WriteFile(counter, []byte(c.have+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("/bin/sh", "-c", guardScript, "fence", counter, c.mine, "printf", "%s", "done")
		var said strings.Builder
		cmd.Stderr = &said
		out, _ := cmd.Output()
		if string(out) != c.says || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%+v: %q, %d", c, out, cmd.ProcessState.ExitCode())
		}
		if err := (&fence{}).refused(said.String()); (err != nil) != (c.code == 75) || c.code == 75 && !strings.Contains(err.Error(), "attempt "+c.have+" is") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
