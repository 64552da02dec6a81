package graph

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rollingWorld is three masters that go round twice, and three minions after them of which two go at once.
func rollingWorld(t *testing.T) *world {
	t.Helper()
	master, minion := role("master cluster"), role("minion cluster < master")
	master.Exclusive = []crowbar.Exclusive{{Name: "master-upgrade", Limit: 1, Gate: "peers-active", Rolling: "twice"}}
	minion.Exclusive = []crowbar.Exclusive{{Name: "minion-upgrade", LimitBy: "most", Gate: "peers-rolled", Rolling: "once"}}
	minion.Wants = []string{"version"}
	w := &world{t: t, s: crowbar.NewSnapshot()}
	w.dep = &crowbar.Deployment{ID: w.s.Next(), Name: "k8s"}
	w.apply([]crowbar.Change{{Put: w.dep}}, nil)
	attrib := func(name string, def any, rolling bool) crowbar.CatalogAttrib {
		return crowbar.CatalogAttrib{RoleName: "master", Attrib: crowbar.Attrib{Name: name, Map: name, Default: def, Rolling: rolling, Writable: true}}
	}
	w.apply(Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}},
		Roles: []crowbar.Role{master, minion}, Attribs: []crowbar.CatalogAttrib{attrib("version", "1", true), attrib("most", 2.0, false), attrib("color", "red", false)}}))
	w.bind("master@a master@b master@c minion@a minion@b minion@c")
	w.commit()
	return w
}

// say sets attribs of the role master in the deployment and commits them.
func (w *world) say(values crowbar.Data) {
	w.t.Helper()
	dr := *w.s.DeploymentRoleOf(w.dep.ID, w.s.RoleNamed("master").ID)
	dr.Proposed = values
	w.apply([]crowbar.Change{{Put: &dr}}, nil)
	w.commit()
}

func (w *world) next() string {
	w.t.Helper()
	var out []string
	for _, nr := range Runnable(w.s) {
		out = append(out, w.label(nr))
	}
	return strings.Join(out, " ")
}

func TestRollingIsOneAfterAnotherAndTwiceRound(t *testing.T) {
	w := rollingWorld(t)
	w.want(w.next(), "master@a master@b master@c") // at first all at once
	w.settle()
	w.say(crowbar.Data{"color": "blue"})
	w.want(w.next(), "master@a master@b master@c") // and for what is not rolling
	w.settle()

	w.say(crowbar.Data{"color": "blue", "version": "2"})
	w.want(w.next(), "master@a")
	w.begin("master@a")
	w.want(w.next(), "")
	w.finish("master@a", crowbar.Outcome{})
	w.want(w.next(), "master@b")
	w.run("master@b master@c") // the last one has seen that all have it
	w.want(w.states("minion"), "minion@a:blocked minion@b:blocked minion@c:blocked")
	w.want(w.next(), "master@a")
	w.run("master@a master@b")
	w.want(w.states("master"), "master@a:active master@b:active master@c:active")
	w.want(w.next(), "minion@a minion@b")
	w.begin("minion@a")
	w.begin("minion@b")
	w.want(w.next(), "")
	w.finish("minion@b", crowbar.Outcome{})
	w.want(w.next(), "minion@c")
	w.finish("minion@a", crowbar.Outcome{})
	w.want(strings.Join(w.settle(), " "), "minion@c")
}

func TestRollingStopsAtTheFirstThatFails(t *testing.T) {
	w := rollingWorld(t)
	w.settle()
	w.say(crowbar.Data{"version": "2"})
	w.begin("master@a")
	w.finish("master@a", crowbar.Outcome{Failure: "does not serve", Final: true})
	w.want(w.next(), "")
	w.want(w.states("master"), "master@a:error master@b:todo master@c:todo")
	if why := Why(w.s, w.at("master@b").ID); !strings.Contains(why, "master") || !strings.Contains(why, "does not serve") {
		t.Errorf("why: %s", why)
	}
	w.say(crowbar.Data{"version": "1"}) // back: the one that failed is tried again, with the others
	w.want(w.next(), "master@a")
	w.settle()
	w.want(w.states("master"), "master@a:active master@b:active master@c:active")

	w.say(crowbar.Data{"version": "3"})
	w.run("master@a master@b master@c master@a master@b")
	w.begin("minion@a")
	w.begin("minion@b")
	w.finish("minion@a", crowbar.Outcome{Failure: "not ready", Final: true})
	w.finish("minion@b", crowbar.Outcome{})
	w.want(w.next(), "")
	w.apply(Retry(w.s, w.at("minion@a").ID))
	w.want(w.next(), "minion@a minion@c")
}

func TestPlanForeseesBothRounds(t *testing.T) {
	w := rollingWorld(t)
	w.settle()
	dr := *w.s.DeploymentRoleOf(w.dep.ID, w.s.RoleNamed("master").ID)
	dr.Proposed = crowbar.Data{"version": "2"}
	w.apply([]crowbar.Change{{Put: &dr}}, nil)
	steps, err := Plan(w.s, w.dep.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range steps {
		got = append(got, st.Role+"@"+st.Node)
	}
	w.want(strings.Join(got, " "), "master@a master@b master@c master@a master@b minion@a minion@b minion@c")
}
