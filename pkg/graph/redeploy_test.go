package graph

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestRedeployANode(t *testing.T) {
	w := newWorld(t, role("base implicit"), role("wipe destructive < base"), role("app < wipe"))
	w.bind("wipe@a app@b")
	w.commit()
	for _, what := range []string{"base@a", "wipe@a"} {
		w.begin(what)
		w.finish(what, crowbar.Outcome{Wall: crowbar.Data{"id": "1"}, Given: "x"})
	}
	w.settle()
	w.bind("base@c") // in proposal, elsewhere: it stays
	change(w, w.s.NodeNamed("a"), func(n *crowbar.Node) { n.Available = false })

	w.apply(RedeployNode(w.s, w.node("a")))
	w.want(w.states(), "base@a:todo wipe@a:blocked app@b:active base@c:proposed")
	for _, what := range []string{"base@a", "wipe@a"} {
		if nr := w.at(what); nr.RunCount != 0 || !nr.Force || nr.Wall != nil || nr.Given != "" || nr.Settled() {
			t.Errorf("%s: %+v", what, nr)
		}
	}
	if !w.s.NodeNamed("a").Available {
		t.Error("the node is not available")
	}
	w.want(strings.Join(w.settle(), " "), "base@a wipe@a app@b")
	if n := w.at("wipe@a").RunCount; n != 1 {
		t.Errorf("run count %d", n)
	}

	w.apply(RedeployNode(w.s, w.node("c"))) // what is proposed there is committed
	w.want(strings.Join(w.settle(), " "), "base@c")

	w.apply(Retry(w.s, w.at("base@a").ID))
	w.begin("base@a")
	_, err := RedeployNode(w.s, w.node("a"))
	w.refused(err, crowbar.Conflict, "it runs: wait for its end, or cancel it")
	_, err = RedeployNode(w.s, 999)
	w.refused(err, crowbar.NotFound)
	change(w, w.s.NodeNamed("b"), func(n *crowbar.Node) { n.Removing = true })
	_, err = RedeployNode(w.s, w.node("b"))
	w.refused(err, crowbar.Conflict, "node b is being deleted")
}

func TestRedeployADeployment(t *testing.T) {
	w := three(t)
	w.settle()
	w.bind("minion@e")
	w.apply(Propose(w.s, w.dep.ID))
	w.apply(Redeploy(w.s, w.dep.ID))
	if w.s.Deployment(w.dep.ID).Stored != crowbar.DeploymentCommitted {
		t.Error("it is not committed")
	}
	for nr := range w.s.NodeRoles() {
		if nr.RunCount != 0 || nr.State != crowbar.Todo && nr.State != crowbar.Blocked {
			t.Errorf("%s is %s after %d runs", w.label(nr), nr.State, nr.RunCount)
		}
	}
	ran := w.settle()
	if got := w.states(); strings.Count(got, ":active") != len(strings.Fields(got)) || len(ran) != len(strings.Fields(got)) {
		t.Errorf("%s\nran %v", got, ran)
	}
	_, err := Redeploy(w.s, 999)
	w.refused(err, crowbar.NotFound)
}
