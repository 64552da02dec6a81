package graph

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Two machines with one id are one machine, copied: who comes second fails, until one of them has another, or is gone.
func TestAValueThatNoTwoMayHave(t *testing.T) {
	prep := role("prep implicit")
	prep.Unique = []crowbar.Unique{{Name: "machine-id", Mend: "make another one"}}
	w := newWorld(t, prep, role("app < prep"))
	w.bind("app@n1 app@n2")
	w.commit()
	ends := func(at, id string) *crowbar.NodeRole {
		t.Helper()
		if nr := w.at(at); nr.State != crowbar.Todo {
			w.apply(Retry(w.s, nr.ID))
		}
		w.begin(at)
		w.finish(at, crowbar.Outcome{Wall: crowbar.Data{"machine-id": id}})
		return w.at(at)
	}
	if nr := ends("prep@n1", "aaaa"); nr.State != crowbar.Active || len(nr.Claims) != 1 {
		t.Fatalf("the first is %s and claims %v", nr.State, nr.Claims)
	}
	nr := ends("prep@n2", "aaaa")
	if nr.State != crowbar.Error || !strings.Contains(nr.Failure, "node n1 has the same machine-id, aaaa: make another one") || len(nr.Claims) != 0 {
		t.Fatalf("the second is %s because %q, and claims %v", nr.State, nr.Failure, nr.Claims)
	}
	if run := w.s.Run(nr.Run); run.Outcome != "failed" {
		t.Errorf("its run is on record as %s", run.Outcome)
	}
	if nr := ends("prep@n2", "bbbb"); nr.State != crowbar.Active {
		t.Fatalf("with an id of its own it is %s: %s", nr.State, nr.Failure)
	}
	if nr := ends("prep@n1", "bbbb"); nr.State != crowbar.Error {
		t.Fatalf("the first now has the other's, and is %s", nr.State)
	}
	if nr := ends("prep@n1", "cccc"); nr.State != crowbar.Active {
		t.Fatalf("the first has a new one, and is %s", nr.State)
	}
	if nr := ends("prep@n2", "aaaa"); nr.State != crowbar.Active {
		t.Fatalf("what the first has given up can be had, but it is %s: %s", nr.State, nr.Failure)
	}
	w.apply(Forget(w.s, w.node("n2")))
	if nr := ends("prep@n1", "aaaa"); nr.State != crowbar.Active {
		t.Fatalf("what went with its node can be had, but it is %s: %s", nr.State, nr.Failure)
	}
}

func TestTheLastOfARoleToGo(t *testing.T) {
	w := newWorld(t, role("net implicit"), role("app < net"))
	w.bind("app@n1 app@n2")
	if !Last(w.s, w.at("net@n1")) {
		t.Error("nobody serves yet")
	}
	w.commit()
	w.settle()
	if Last(w.s, w.at("net@n1")) {
		t.Error("n2 serves")
	}
	w.apply(Unbind(w.s, w.at("app@n2").ID))
	w.apply(Unbind(w.s, w.at("net@n2").ID))
	if !Last(w.s, w.at("net@n1")) || Last(w.s, w.at("net@n2")) {
		t.Error("n2 is on its way out, n1 is not")
	}
}
