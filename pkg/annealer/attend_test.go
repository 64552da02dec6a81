package annealer

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// policy has app and base tried again by themselves.
func (r *rig) policy(retry string) {
	r.t.Helper()
	doc := strings.NewReplacer("{ name: app, jig: ssh", "{ name: app, jig: ssh, retry: "+retry, "{ name: base, jig: ssh", "{ name: base, jig: ssh, retry: "+retry).Replace(small)
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: []byte(doc)})
	if err == nil {
		err = r.engine.Import(r.t.Context(), c)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// work starts the annealer, and gives what stops it.
func (r *rig) start() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	return func() { cancel(); <-done }
}

// slow has one role on one node take a long time, and a while to stop when it is told to.
func slow(s *site, name, node string, stopping time.Duration) (runs *int) {
	runs = new(int)
	s.apply = func(ctx context.Context, n string, on role.Target) (role.Result, error) {
		if n != name || on.Node != node {
			return s.write(ctx, n, on)
		}
		*runs++
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"sleep", "infinity"}})
		time.Sleep(stopping)
		return role.Result{}, err
	}
	s.machine(node).hang = true
	return runs
}

func TestCancelStopsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		r := newRig(t, memory(), s, "a")
		r.cluster(5)
		r.policy("{ times: 3, backoff: 1s }")
		runs := slow(s, "base", "n4", 3*time.Second)
		defer r.start()()
		time.Sleep(30 * time.Second)
		nr := r.nr("base", "n4")
		if nr.State != crowbar.Transition {
			t.Fatalf("it is %s", nr.State)
		}
		other := newRig(t, r.store, s, "b") // another daemon is asked
		if err := other.engine.Cancel(t.Context(), nr.ID, "ann"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if nr = r.nr("base", "n4"); nr.State != crowbar.Transition || nr.Cancel != "ann" {
			t.Errorf("while it stops it is %s, cancelled by %q", nr.State, nr.Cancel)
		}
		time.Sleep(2 * time.Second)
		nr = r.nr("base", "n4")
		if nr.State != crowbar.Error || nr.Status != "cancelled by ann" || !strings.HasPrefix(nr.Failure, "cancelled by ann: it was at exec sleep infinity (for 30s)") {
			t.Errorf("it is %s: %s: %s", nr.State, nr.Status, nr.Failure)
		}
		time.Sleep(time.Hour)
		if *runs != 1 {
			t.Errorf("it was run %d times", *runs)
		}
		if run := r.engine.View().Run(nr.Run); run.Outcome != "cancelled" {
			t.Errorf("the run ended as %q", run.Outcome)
		}
		for nr := range r.engine.View().NodeRoles() {
			if n := r.engine.View().Node(nr.Node).Short(); nr.State != crowbar.Active && n != "n4" {
				t.Errorf("%s on %s is %s", r.engine.View().Role(nr.Role).Name, n, nr.State)
			}
		}
		s.apply = nil
		if err := r.engine.Retry(t.Context(), nr.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !allActive(r.engine.View()) {
			t.Error("it does not converge after a retry")
		}
	})
}

// TestCancelIsNotForgotten: the daemon that runs it dies before it has seen that it is to stop, or while it stops.
func TestCancelIsNotForgotten(t *testing.T) {
	for name, after := range map[string]time.Duration{"at once": 0, "while it stops": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite()
				st := memory()
				m := &mortal{Store: st, left: -1, died: make(chan struct{})}
				r := newRig(t, m, s, "a")
				r.cluster(1)
				runs := slow(s, "base", "n0", 3*time.Second)
				stop := r.start()
				time.Sleep(10 * time.Second)
				if err := newRig(t, st, s, "b").engine.Cancel(t.Context(), r.nr("base", "n0").ID, "ann"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(after)
				m.left = 0 // it writes nothing any more
				stop()
				next := newRig(t, st, s, "c")
				if err := next.engine.Reclaim(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer next.start()()
				time.Sleep(time.Minute)
				if nr := next.nr("base", "n0"); nr.State != crowbar.Error || nr.Status != "cancelled by ann" || *runs != 1 {
					t.Errorf("it is %s: %s, after %d runs", nr.State, nr.Status, *runs)
				}
			})
		})
	}
}

func TestRetryPolicy(t *testing.T) {
	for name, c := range map[string]struct {
		fails, runs int
		restart     bool
		state       crowbar.State
		err         error
	}{
		"it ends well at the third try":           {fails: 2, runs: 3, state: crowbar.Active},
		"it never does":                           {fails: 99, runs: 4, state: crowbar.Error},
		"the daemon is restarted":                 {fails: 99, runs: 4, restart: true, state: crowbar.Error},
		"with what it is given it would never do": {fails: 99, runs: 1, state: crowbar.Error, err: crowbar.Errorf(crowbar.Invalid, "attrib app-port is 0: want a port")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite()
				r := newRig(t, memory(), s, "a")
				r.cluster(2)
				r.policy("{ times: 3, backoff: 10s, limit: 15s }")
				var at []time.Time
				s.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
					if name != "base" || on.Node != "n1" {
						return s.write(ctx, name, on)
					}
					if at = append(at, time.Now()); len(at) <= c.fails {
						return role.Result{}, cmp.Or(c.err, errors.New("no route to host"))
					}
					return s.write(ctx, name, on)
				}
				stop := r.start()
				time.Sleep(15 * time.Second)
				if c.restart {
					stop()
					time.Sleep(2 * time.Minute)
					r = newRig(t, r.store, s, "b")
					stop = r.start()
				}
				time.Sleep(time.Hour)
				defer stop()
				nr := r.nr("base", "n1")
				if nr.State != c.state || len(at) != c.runs || r.nr("base", "n0").State != crowbar.Active {
					t.Errorf("it is %s after %d runs, want %s after %d: %s", nr.State, len(at), c.state, c.runs, r.engine.Why(nr.ID))
				}
				for i := 1; i < len(at); i++ {
					want := []time.Duration{0, 10 * time.Second, 15 * time.Second, 15 * time.Second}[i]
					if took := at[i].Sub(at[i-1]); took < want || took > want*12/10 && !c.restart {
						t.Errorf("retry %d came after %s, want %s", i, took, want)
					}
				}
			})
		})
	}
}

// TestNoRetryWhilePaused: it waits in error, and is tried again when the deployment goes on.
func TestNoRetryWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		r := newRig(t, memory(), s, "a")
		r.cluster(1)
		r.policy("{ times: 3, backoff: 10s }")
		broken := true
		s.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
			if name == "base" && broken {
				return role.Result{}, errors.New("no route to host")
			}
			return s.write(ctx, name, on)
		}
		defer r.start()()
		time.Sleep(time.Second)
		dep := r.engine.View().DeploymentNamed("k").ID
		if err := r.engine.Pause(t.Context(), dep, true); err != nil {
			t.Fatal(err)
		}
		broken = false
		time.Sleep(time.Hour)
		if nr := r.nr("base", "n0"); nr.State != crowbar.Error || nr.Attempt != 1 {
			t.Errorf("in a paused deployment it is %s at attempt %d", nr.State, nr.Attempt)
		}
		if err := r.engine.Pause(t.Context(), dep, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if !allActive(r.engine.View()) {
			t.Error("it does not go on")
		}
	})
}

// TestOnlyWhoseNodeItIsTriesAgain: of two daemons one does.
func TestOnlyWhoseNodeItIsTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		r := newRig(t, memory(), s, "a")
		r.cluster(1)
		r.policy("{ times: 3, backoff: 10s }")
		s.apply = func(context.Context, string, role.Target) (role.Result, error) {
			return role.Result{}, errors.New("no")
		}
		stop := r.start()
		time.Sleep(time.Second)
		stop()
		r.Mine = func(crowbar.ID) bool { return false }
		stop = r.start()
		time.Sleep(time.Hour)
		stop()
		if nr := r.nr("base", "n0"); nr.State != crowbar.Error || nr.Attempt != 1 {
			t.Errorf("it is %s at attempt %d", nr.State, nr.Attempt)
		}
	})
}

func TestATimeoutNamesTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		r := newRig(t, memory(), s, "a")
		r.cluster(1)
		slow(s, "base", "n0", 0)
		defer r.start()()
		time.Sleep(2 * time.Minute)
		want := "role base ran longer than its timeout of 1m0s: it was at exec sleep infinity (for 1m0s)"
		if nr := r.nr("base", "n0"); nr.State != crowbar.Error || !strings.HasPrefix(nr.Failure, want) || nr.Status != strings.Split(want, ": ")[0] {
			t.Errorf("%s: %s: %s", nr.State, nr.Status, nr.Failure)
		}
	})
}
