package engine

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestRedeploy(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	if err := w.RedeployNode(t.Context(), w.View().NodeNamed("n2.a.b").ID); err != nil {
		t.Fatal(err)
	}
	ran := w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Node.Short() == "n2" && (work.Again || !work.Force) {
			t.Errorf("%s on n2 runs as if it had run before", work.Role.Name)
		}
		return well(work)
	})
	if got := strings.Join(ran, " "); got != "base@n2 db@n2 app@n2" {
		t.Errorf("it ran %s", got)
	}
	dep := w.View().DeploymentNamed("k").ID
	if err := w.Redeploy(t.Context(), dep); err != nil {
		t.Fatal(err)
	}
	if got := w.drain(well); len(got) != w.View().Count(crowbar.KindNodeRole) {
		t.Errorf("it ran %v", got)
	}
	if err := w.Redeploy(t.Context(), 9999); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("%v", err)
	}
	if err := w.RedeployNode(t.Context(), 9999); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("%v", err)
	}
}
