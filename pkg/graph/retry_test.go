package graph

import (
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// onceMore is the retry of what failed, by its policy.
func (w *world) onceMore(what string) {
	w.t.Helper()
	nr := w.at(what)
	w.apply(Again(w.s, nr.ID, nr.Attempt))
}

// due is after how long a failed one is tried again by itself, to the second; 0 if it is not.
func (w *world) due(what string) time.Duration {
	nr := w.at(what)
	at, is := nr.RetryAt()
	if !is {
		return 0
	}
	return at.Sub(nr.Since).Truncate(time.Second)
}

func TestRetryByPolicy(t *testing.T) {
	w := newWorld(t, role("base retry"), role("app < base"))
	w.bind("app@a base@a")
	w.commit()
	for i, want := range []time.Duration{10, 15, 0} { // twice the backoff is above the limit
		w.fail("base@a", "no route to host")
		if got := w.due("base@a"); got < want*time.Second || got > want*time.Second*11/10 {
			t.Errorf("after failure %d it is tried again after %s, want about %ds", i+1, got, want)
		}
		w.want(w.states(), "base@a:error app@a:blocked")
		if want != 0 {
			w.onceMore("base@a")
			w.want(w.states(), "base@a:todo app@a:blocked")
		}
	}
	if why := Why(w.s, w.at("base@a").ID); why != "error: no route to host: retry it when that is mended" {
		t.Errorf("why is %q", why)
	}
	_, err := Again(w.s, w.at("base@a").ID, w.at("base@a").Attempt)
	w.refused(err, crowbar.Conflict, "not to be tried again by itself any more")
	_, err = Again(w.s, 999, 1)
	w.refused(err, crowbar.NotFound)

	// What would fail again with what it is given is not tried.
	w.apply(Retry(w.s, w.at("base@a").ID))
	w.begin("base@a")
	w.finish("base@a", crowbar.Outcome{Failure: "no such version", Final: true})
	if got := w.due("base@a"); got != 0 {
		t.Errorf("what is final is tried again after %s", got)
	}

	// A person steps in: it counts from one again.
	w.apply(Retry(w.s, w.at("base@a").ID))
	w.fail("base@a", "no route to host")
	if why := Why(w.s, w.at("base@a").ID); why != "error: no route to host: it is tried again by itself at 12:00:10 UTC (retry 1 of 2)" {
		t.Errorf("why is %q", why)
	}
	if why := Why(w.s, w.at("app@a").ID); why != "blocked: waits for base on a, in error since 12:00: no route to host; it is tried again by itself at 12:00:10 UTC (retry 1 of 2)" {
		t.Errorf("why is %q", why)
	}
	all := ReasonsIn(w.s).Deployment(w.dep.ID)
	if len(all.Causes) != 1 || all.Causes[0].Kind != crowbar.CauseRetry || !strings.Contains(all.Causes[0].Remedy, "kubeclamp noderoles retry a/base") {
		t.Errorf("causes: %+v", all.Causes)
	}

	// So it does after a run that ended well.
	w.onceMore("base@a")
	w.run("base@a")
	if n := w.at("base@a").Failed; n != 0 {
		t.Errorf("%d failures are counted after a good run", n)
	}
	w.apply(Rerun(w.s, w.dep.ID))
	w.fail("base@a", "no route to host")
	w.onceMore("base@a")
	w.fail("base@a", "no route to host")
	w.apply(Rerun(w.s, w.dep.ID))
	if nr := w.at("base@a"); nr.Failed != 0 || nr.RetryIn != 0 {
		t.Errorf("after a rerun: %d failures, retry in %v", nr.Failed, nr.RetryIn)
	}
}

func TestARetryKnowsItsTimeAndPlace(t *testing.T) {
	w := newWorld(t, role("base retry"))
	w.bind("base@a")
	w.commit()
	w.fail("base@a", "no")
	stale := w.at("base@a")
	pause := func(paused bool) {
		change(w, w.s.Deployment(w.dep.ID), func(d *crowbar.Deployment) { d.Paused = paused })
	}
	pause(true)
	_, err := Again(w.s, stale.ID, stale.Attempt)
	w.refused(err, crowbar.Conflict, "paused")
	pause(false)
	w.onceMore("base@a")
	w.fail("base@a", "no")
	_, err = Again(w.s, stale.ID, stale.Attempt)
	w.refused(err, crowbar.Conflict, "attempt 1 of it is not to be tried again")

	// A daemon that dies is no failure of the role.
	w.onceMore("base@a")
	w.begin("base@a")
	w.apply(Orphans(w.s, but("d2")), nil)
	if n := w.at("base@a").Failed; n != 2 {
		t.Errorf("%d failures are counted", n)
	}
}

func TestBackoff(t *testing.T) {
	p := crowbar.Retry{Times: 100, Backoff: crowbar.Duration(5 * time.Second), Limit: crowbar.Duration(2 * time.Minute)}
	for n, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 6: 2 * time.Minute, 100: 2 * time.Minute} {
		least, most := time.Hour, time.Duration(0)
		for id := range crowbar.ID(500) {
			d := time.Duration(backoff(p, n, id))
			least, most = min(least, d), max(most, d)
		}
		if least < want || most > want*11/10 || most-least < want/20 {
			t.Errorf("failure %d: from %s to %s, want %s to a tenth more, spread", n, least, most, want)
		}
	}
	if d := backoff(crowbar.Retry{Times: 9}, 1, 7); time.Duration(d) < time.Second {
		t.Errorf("without a backoff: %v", time.Duration(d))
	}
	if d := time.Duration(backoff(crowbar.Retry{Backoff: 1e9}, 1000, 7)); d < 24*time.Hour || d > 27*time.Hour {
		t.Errorf("without a limit it waits %s", d)
	}
}

func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		ends    func(w *world)
		failure string
	}{
		"it stops":         {func(w *world) { w.finish("base@a", crowbar.Outcome{Failure: "base: it was told to stop"}) }, "cancelled by ann\nbase: it was told to stop"},
		"it ended well":    {func(w *world) { w.finish("base@a", crowbar.Outcome{Changes: []string{"x"}}) }, "cancelled by ann"},
		"its daemon stops": {func(w *world) { w.finish("base@a", crowbar.Outcome{Lost: true}) }, "cancelled by ann"},
		"its daemon dies":  {func(w *world) { w.apply(Orphans(w.s, but("d2")), nil) }, "cancelled by ann\nthe daemon that ran it went away: look at the node"},
		"its node dies as well": {func(w *world) {
			w.apply(Alive(w.s, w.node("a"), false))
			w.finish("base@a", crowbar.Outcome{Failure: "cut off"})
		}, "cancelled by ann\ncut off"},
		"it is unbound meanwhile": {func(w *world) { w.apply(Unbind(w.s, w.at("app@a").ID)); w.finish("base@a", crowbar.Outcome{}) }, "cancelled by ann"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, role("base retry"), role("app < base"))
			w.bind("app@a base@a")
			w.commit()
			w.begin("base@a")
			id := w.at("base@a").ID
			w.apply(Cancel(w.s, id, "ann"))
			if nr := w.at("base@a"); nr.State != crowbar.Transition || nr.Cancel != "ann" {
				t.Fatalf("it is %s, cancelled by %q", nr.State, nr.Cancel)
			}
			if why := Why(w.s, id); why != "transition: it runs (it is told to stop by ann)" {
				t.Errorf("why is %q", why)
			}
			if again, err := Cancel(w.s, id, "bob"); err != nil || len(again) != 0 {
				t.Errorf("cancelled twice: %d changes, %v", len(again), err)
			}
			c.ends(w)
			nr := w.s.NodeRole(id)
			if nr.State != crowbar.Error || nr.Status != "cancelled by ann" || nr.Failure != c.failure || nr.Cancel != "" || nr.RetryIn != 0 || nr.Owner != "" {
				t.Errorf("it ended as %+v", nr)
			}
			if out := w.s.Run(nr.Run).Outcome; out != "cancelled" {
				t.Errorf("the run is %q", out)
			}
			if n := len(Runnable(w.s)); n != 0 {
				t.Errorf("%d can run", n)
			}
			if again, err := Cancel(w.s, id, "ann"); err != nil || len(again) != 0 {
				t.Errorf("cancelled when it is over: %d changes, %v", len(again), err)
			}
			w.apply(Alive(w.s, w.node("a"), true))
			if w.s.NodeRole(id).State == crowbar.Error { // a node that went away has it run again
				w.apply(Retry(w.s, id))
			}
			w.settle()
			for nr := range w.s.NodeRoles() {
				if nr.State != crowbar.Active {
					t.Errorf("at the end %s is %s", w.label(nr), nr.State)
				}
			}
		})
	}
}

func TestCancelOfWhatDoesNotRun(t *testing.T) {
	w := newWorld(t, role("base retry"), role("app < base"))
	w.bind("app@a base@a")
	w.commit()
	_, err := Cancel(w.s, w.at("base@a").ID, "ann")
	w.refused(err, crowbar.Conflict, "base on a does not run, it waits for its turn", "kubeclamp deployments pause k8s")
	_, err = Cancel(w.s, 999, "ann")
	w.refused(err, crowbar.NotFound)
	if c, err := Cancel(w.s, w.at("app@a").ID, "ann"); err != nil || len(c) != 0 {
		t.Errorf("one that is blocked: %d changes, %v", len(c), err)
	}
	w.fail("base@a", "no")
	w.apply(Cancel(w.s, w.at("base@a").ID, "ann"))
	if nr := w.at("base@a"); nr.RetryIn != 0 || nr.Status != "no" || nr.State != crowbar.Error {
		t.Errorf("one that was to be tried again: %+v", nr)
	}
}

func TestCancelARemoval(t *testing.T) {
	w := newWorld(t, role("base"))
	w.bind("base@a")
	w.commit()
	w.settle()
	begin := func() {
		w.apply(Cancel(w.s, w.begin("base@a").ID, "ann"))
	}
	w.apply(Unbind(w.s, w.at("base@a").ID))
	begin()
	w.finish("base@a", crowbar.Outcome{Failure: "told to stop"})
	w.want(w.states(), "base@a:error")
	w.apply(Retry(w.s, w.at("base@a").ID))
	begin()
	w.finish("base@a", crowbar.Outcome{}) // it was quicker: there is nothing left to be in error
	w.want(w.states(), "")
}

func TestCancelADeployment(t *testing.T) {
	w := newWorld(t, role("base retry"), role("app < base"))
	w.bind("app@a base@a app@b base@b base@c")
	w.commit()
	w.fail("base@c", "no")
	w.begin("base@a")
	w.apply(CancelAll(w.s, w.dep.ID, "ann"))
	if !w.s.Deployment(w.dep.ID).Paused || w.at("base@a").Cancel != "ann" || w.at("base@c").RetryIn != 0 || w.at("base@b").Cancel != "" {
		t.Errorf("%+v", w.at("base@a"))
	}
	if c, err := CancelAll(w.s, w.dep.ID, "bob"); err != nil || len(c) != 0 {
		t.Errorf("cancelled twice: %d changes, %v", len(c), err)
	}
	w.finish("base@a", crowbar.Outcome{Failure: "told to stop"})
	w.want(strings.Join(w.settle(), " "), "")
	_, err := CancelAll(w.s, 999, "ann")
	w.refused(err, crowbar.NotFound)
}
