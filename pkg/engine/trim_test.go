package engine

import (
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// TestTrim: what is old goes, but the last run of each node-role stays.
func TestTrim(t *testing.T) {
	w := build(t)
	w.KeepFor = time.Hour
	w.apply(two())
	id := graph.Runnable(w.View())[0].ID
	for range 3 {
		work, err := w.Begin(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(t.Context(), id, work.Attempt, crowbar.Outcome{Failure: "no"}); err != nil {
			t.Fatal(err)
		}
		if err := w.Retry(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Trim(t.Context()); err != nil || w.View().Count(crowbar.KindRun) != 3 {
		t.Errorf("young ones went: %d left, %v", w.View().Count(crowbar.KindRun), err)
	}
	w.clock = w.clock.Add(2 * time.Hour)
	if err := w.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.View().Count(crowbar.KindRun); n != 1 || w.View().Run(w.View().NodeRole(id).Run) == nil {
		t.Errorf("%d runs are left", n)
	}
}
