package graph

import (
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// hold binds the deployment to a plan of "role@node role@node".
func (w *world) hold(what string) {
	w.t.Helper()
	var ids []crowbar.ID
	for _, one := range strings.Fields(what) {
		ids = append(ids, w.at(one).ID)
	}
	w.apply(Hold(w.s, w.dep.ID, ids, noon))
}

func TestNothingBeginsOutsideThePlan(t *testing.T) {
	w := three(t)
	w.hold("prep@a proxy@a")
	w.want(strings.Join(w.settle(), " "), "prep@a proxy@a")
	_, err := Begin(w.s, w.at("prep@b").ID, "d1")
	w.refused(err, crowbar.Conflict, "it is not in the plan of 2026-01-02 12:00 UTC that deployment k8s carries out")
	if why := Why(w.s, w.at("prep@b").ID); !strings.HasPrefix(why, "todo: it is not in the plan of ") {
		t.Errorf("why is %q", why)
	}
	steps, err := Plan(w.s, w.dep.ID)
	if err != nil || len(steps) != len(strings.Fields(w.states()))-2 {
		t.Errorf("a new plan has %d steps, %v: it wants all that is left", len(steps), err)
	}
	w.apply(Release(w.s, w.dep.ID, false))
	w.settle()
	if got := w.states(); strings.Count(got, ":active") != len(strings.Fields(got)) {
		t.Errorf("after the release: %s", got)
	}
}

func TestAPlanUnderWayIsNotReleasedByTheWay(t *testing.T) {
	w := three(t)
	w.hold("prep@a proxy@a")
	_, err := Release(w.s, w.dep.ID, false)
	w.refused(err, crowbar.Conflict, "carries out the plan of 2026-01-02 12:00 UTC, and 2 of its 2 runs are left", "kubeclamp deployments release k8s")
	w.begin("prep@a")
	w.finish("prep@a", crowbar.Outcome{Failure: "disk full"})
	if c, err := Release(w.s, w.dep.ID, false); err != nil || len(c) != 1 {
		t.Errorf("one that came to rest in error: %d changes, %v", len(c), err)
	}
	w.apply(Retry(w.s, w.at("prep@a").ID))
	w.begin("prep@a")
	_, err = Release(w.s, w.dep.ID, false)
	w.refused(err, crowbar.Conflict, "2 of its 2 runs are left")
	w.apply(Release(w.s, w.dep.ID, true))
	if w.s.Deployment(w.dep.ID).Plan != nil {
		t.Error("it is still bound")
	}
}

func TestForceLastsUntilARunEndsWell(t *testing.T) {
	w := three(t)
	w.settle()
	w.apply(Force(w.s, w.dep.ID))
	w.begin("prep@a")
	if !w.at("prep@a").Force {
		t.Error("it is not forced")
	}
	w.finish("prep@a", crowbar.Outcome{Failure: "disk full"})
	w.apply(Retry(w.s, w.at("prep@a").ID))
	if !w.at("prep@a").Force {
		t.Error("after a failure it is not forced any more")
	}
	w.settle()
	for nr := range w.s.NodeRoles() {
		if nr.Force || nr.RunCount < 2 {
			t.Errorf("%s on %s: force %t after %d runs", w.s.Role(nr.Role).Name, w.s.Node(nr.Node).Name, nr.Force, nr.RunCount)
		}
	}
}
