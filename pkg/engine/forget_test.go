package engine

import (
	"slices"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestForgetIsDoneByAPeer: what a dead node was to others is taken out by a run that a peer does, and the node goes with the last;
// a daemon that ends in between changes nothing of that.
func TestForgetIsDoneByAPeer(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	db := *w.View().RoleNamed("db")
	db.Forgets = true
	if err := w.store.Commit(t.Context(), w.View().Rev(), crowbar.Change{Put: &db}); err != nil {
		t.Fatal(err)
	}
	n2 := w.View().NodeNamed("n2.a.b").ID
	if err := w.SetAlive(t.Context(), n2, false); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteNode(t.Context(), n2, true); err != nil {
		t.Fatal(err)
	}
	if n := w.View().Node(n2); n == nil || !n.Forgotten {
		t.Fatalf("the node is %+v before a peer has taken it out", n)
	}
	again := New(Config{Store: w.store, PKI: w.pki, Ring: w.ring, Owner: "again"})
	if err := again.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	var removed []string
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Remove {
			if work.Via == nil || work.Via.Node.Name != "n1.a.b" {
				t.Errorf("%s is taken out by %+v", work.Role.Name, work.Via)
			}
			removed = append(removed, work.Role.Name)
		}
		return crowbar.Outcome{}
	})
	if !slices.Equal(removed, []string{"db"}) {
		t.Errorf("removed %v", removed)
	}
	if w.View().Node(n2) != nil || len(w.View().NodeRolesOn(n2)) != 0 || w.View().SecretNamed(w.View().DeploymentNamed("k").ID, "leaf/db-leaf/n2") != nil {
		t.Error("something of the dead node is left")
	}
}
