package engine

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestForceReachesEveryRun(t *testing.T) {
	w := build(t)
	w.apply(two())
	dep := func() crowbar.ID { return w.View().DeploymentNamed("k").ID }
	runs := func(verb string, act func() error) (all, forced int) {
		t.Helper()
		if err := act(); err != nil {
			t.Fatal(err)
		}
		w.drain(func(work *crowbar.Work) crowbar.Outcome {
			all++
			if work.Force {
				forced++
			}
			return crowbar.Outcome{}
		})
		return all, forced
	}
	all, forced := runs("apply", func() error { return nil })
	if all < 6 || forced != 0 {
		t.Errorf("the first runs: %d, %d of them forced", all, forced)
	}
	for verb, act := range map[string]func() error{
		"force": func() error { return w.Force(t.Context(), dep()) },
		"apply": func() error { return w.ApplyForced(t.Context(), two()) },
	} {
		if again, forced := runs(verb, act); again != all || forced != all {
			t.Errorf("%s: %d runs, %d forced, want %d of both", verb, again, forced, all)
		}
	}
	if again, forced := runs("rerun", func() error { return w.Rerun(t.Context(), dep()) }); again != all || forced != 0 {
		t.Errorf("a rerun after that: %d runs, %d forced", again, forced)
	}
}
