package engine

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (w *world) k() crowbar.ID { return w.View().DeploymentNamed("k").ID }

func (w *world) mend(ask Asker) *crowbar.Mending {
	w.t.Helper()
	m, err := w.Mend(w.t.Context(), w.k(), ask)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func TestMendRunsJustWhatWasChanged(t *testing.T) {
	w := converged(t)
	f := &fakeAsk{says: map[string][]crowbar.Difference{}}
	rev := w.View().Rev()
	if m := w.mend(f.ask); m.Asked != 6 || len(m.Mends) > 0 || len(m.Left) > 0 || m.Waits != "" || w.View().Rev() != rev {
		t.Errorf("nothing was changed: %+v, and the state went from %d to %d", m, rev, w.View().Rev())
	}
	f.says = map[string][]crowbar.Difference{"db@n2": file("/etc/db.conf"), "app@n2": {{What: "failure", Name: "node n2 is dark"}}}
	m := w.mend(f.ask)
	if strings.Join(m.Mends, " ") != "n2/db" || len(m.Left) != 1 || m.Left[0] != (crowbar.Left{Place: "n2/app", Why: "node n2 is dark"}) {
		t.Errorf("%+v", m)
	}
	if again := w.mend(f.ask); !again.Busy || again.Asked != 0 {
		t.Errorf("while it is about to run: %+v", again)
	}
	if ran := w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} }); strings.Join(ran, " ") != "db@n2" {
		t.Errorf("ran %v", ran)
	}
	if _, err := w.Mend(t.Context(), 9999, f.ask); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("no deployment: %v", err)
	}
}

// What a person holds is neither asked nor run.
func TestMendNeverFightsAPerson(t *testing.T) {
	bent := func() *fakeAsk {
		return &fakeAsk{says: map[string][]crowbar.Difference{"db@n2": file("/etc/db.conf"), "base@n1": file("/etc/base")}}
	}
	tests := map[string]struct {
		hold func(w *world) error
		want string
	}{
		"not held":  {want: "n1/base n2/db"},
		"paused":    {hold: func(w *world) error { return w.Pause(t.Context(), w.k(), true) }, want: "it is paused"},
		"proposed":  {hold: func(w *world) error { return w.Propose(t.Context(), w.k()) }, want: "it is proposed"},
		"not alive": {hold: func(w *world) error { return w.SetAlive(t.Context(), w.View().NodeNamed("n2.a.b").ID, false) }, want: "n1/base"},
		"a node": {hold: func(w *world) error {
			_, err := w.UpdateNode(t.Context(), w.View().NodeNamed("n2.a.b").ID, func(n *crowbar.Node) error { n.Available = false; return nil })
			return err
		}, want: "n1/base"},
		"stopped": {hold: func(w *world) error {
			id := w.nr("db", "n2").ID
			if err := w.Retry(t.Context(), id); err != nil {
				return err
			}
			work, err := w.Begin(t.Context(), id)
			if err != nil {
				return err
			}
			if err := w.Cancel(t.Context(), id, "ann"); err != nil {
				return err
			}
			return w.Finish(t.Context(), id, work.Attempt, crowbar.Outcome{Failure: "told to stop"})
		}, want: "n1/base"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := converged(t)
			if tt.hold != nil {
				if err := tt.hold(w); err != nil {
					t.Fatal(err)
				}
			}
			before := map[crowbar.ID]crowbar.State{}
			for nr := range w.View().NodeRoles() {
				before[nr.ID] = nr.State
			}
			m := w.mend(bent().ask)
			if got := m.Waits + strings.Join(m.Mends, " "); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			changed := 0
			for nr := range w.View().NodeRoles() {
				if nr.State != before[nr.ID] {
					changed++
				}
			}
			if changed != len(m.Mends) {
				t.Errorf("%d node-roles have another state, mended are %v", changed, m.Mends)
			}
		})
	}
}

// A person may pause the deployment while the nodes are asked.
func TestMendSeesAHoldThatCameMeanwhile(t *testing.T) {
	w := converged(t)
	f := &fakeAsk{says: map[string][]crowbar.Difference{"db@n2": file("/etc/db.conf")}}
	m := w.mend(func(ctx context.Context, asked []crowbar.DryRun) []crowbar.Answer {
		if err := w.Pause(ctx, w.k(), true); err != nil {
			t.Error(err)
		}
		return f.ask(ctx, asked)
	})
	if m.Waits != "it is paused" || len(m.Mends) > 0 || w.nr("db", "n2").State != crowbar.Active {
		t.Errorf("%+v", m)
	}
}

// Who changes the same again after each mending wants it so.
func TestMendGivesIn(t *testing.T) {
	w := converged(t)
	f := &fakeAsk{says: map[string][]crowbar.Difference{"db@n2": file("/etc/db.conf")}}
	round := func() *crowbar.Mending {
		m := w.mend(f.ask)
		w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} })
		return m
	}
	for i := range patience {
		if m := round(); len(m.Mends) != 1 {
			t.Fatalf("round %d: %+v", i, m)
		}
	}
	for range 2 {
		if m := round(); len(m.Mends) > 0 || len(m.Left) != 1 || !strings.Contains(m.Left[0].Why, "somebody wants it so") {
			t.Errorf("%+v", m)
		}
	}
	f.says = map[string][]crowbar.Difference{}
	round()
	f.says["db@n2"] = file("/etc/db.conf")
	if m := round(); len(m.Mends) != 1 {
		t.Errorf("after it was as it should be: %+v", m)
	}
}

// TestKeepMended: each so often, and at once when a node is back; while something runs it waits for that, and where all is well
// the state does not change in a day.
func TestKeepMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := converged(t)
		var mu sync.Mutex
		f := &fakeAsk{says: map[string][]crowbar.Difference{}}
		var looks atomic.Int64
		bend := func(key string) {
			mu.Lock()
			defer mu.Unlock()
			f.says[key] = file("/etc/x")
		}
		ask := func(ctx context.Context, asked []crowbar.DryRun) []crowbar.Answer {
			mu.Lock()
			defer mu.Unlock()
			if len(asked) > 1 { // not the deployment of system
				looks.Add(1)
			}
			return f.ask(ctx, asked)
		}
		heal := func(want string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			f.says = map[string][]crowbar.Difference{}
			mu.Unlock()
			if ran := strings.Join(w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} }), " "); ran != want {
				t.Errorf("ran %q, want %q", ran, want)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { _ = w.KeepMended(ctx, time.Hour, ask) })
		synctest.Wait()
		rev := w.View().Rev()
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		if n := looks.Load(); n != 24 || w.View().Rev() != rev {
			t.Errorf("%d looks in a day, and the state went from %d to %d", n, rev, w.View().Rev())
		}

		bend("db@n1")
		time.Sleep(time.Hour)
		heal("db@n1")

		// A node goes, and is back: what is on it runs by itself, and then all is looked at, long before the hour is over.
		n2 := w.View().NodeNamed("n2.a.b").ID
		if err := w.SetAlive(t.Context(), n2, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.SetAlive(t.Context(), n2, true); err != nil {
			t.Fatal(err)
		}
		bend("base@n1")
		heal("base@n2 db@n2 app@n2")
		bend("base@n1")
		before := looks.Load()
		time.Sleep(time.Second)
		synctest.Wait()
		if looks.Load() != before {
			t.Error("it looks again with nothing to look for")
		}

		// Paused: nothing, for days.
		if err := w.Pause(t.Context(), w.k(), true); err != nil {
			t.Fatal(err)
		}
		rev = w.View().Rev()
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if w.View().Rev() != rev {
			t.Error("a paused deployment was touched")
		}
		if err := w.Pause(t.Context(), w.k(), false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		heal("base@n1")
		cancel()
		loop.Wait()
	})
}
