package graph

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// What moves, merely proposed, gets the parents that it would have if it were bound where it is now.
func TestMoveLinksAnew(t *testing.T) {
	w := newWorld(t, role("config service"), role("db cluster < config"), role("app < db"))
	other := &crowbar.Deployment{ID: w.s.Next(), Name: "other"}
	w.apply([]crowbar.Change{{Put: other}}, nil)
	w.apply(Bind(w.s, Binding{Role: w.s.RoleNamed("db").ID, Node: w.node("b1"), Deployment: other.ID}))
	w.apply(Bind(w.s, Binding{Role: w.s.RoleNamed("db").ID, Node: w.node("b2"), Deployment: other.ID}))
	w.bind("db@a1 app@a2")
	w.want(w.parents("app@a2"), "db@a1")

	w.apply(Move(w.s, w.node("a2"), w.dep.ID, other.ID))
	w.want(w.parents("app@a2"), "db@b1 db@b2")
	if children := w.s.Children(w.at("db@a1").ID); len(children) != 0 {
		t.Errorf("db@a1 still has %d children", len(children))
	}
	w.apply(Unbind(w.s, w.at("db@a1").ID)) // nothing there needs it any more
	w.apply(Move(w.s, w.node("a2"), other.ID, w.dep.ID))
	w.want(w.parents("app@a2"), "db@a2") // nowhere in that deployment any more: bound beside it
}

// A member that comes to a cluster by a move, and is older than what waits there, is waited for.
func TestMoveHoldsBackWhatWaits(t *testing.T) {
	w := newWorld(t, role("db cluster"), role("app < db"))
	other := &crowbar.Deployment{ID: w.s.Next(), Name: "other"}
	w.apply([]crowbar.Change{{Put: other}}, nil)
	w.apply(Bind(w.s, Binding{Role: w.s.RoleNamed("db").ID, Node: w.node("n2"), Deployment: other.ID}))
	w.bind("app@n1")
	w.commit()
	w.run("db@n1")
	w.want(w.states(), "db@n2:proposed db@n1:active app@n1:todo")
	w.apply(Move(w.s, w.node("n2"), other.ID, w.dep.ID))
	w.want(w.states(), "db@n2:proposed db@n1:active app@n1:blocked")
	w.commit()
	w.settle()
	w.want(w.states(), "db@n2:active db@n1:active app@n1:active")
}

// A run sees the parents on its own node, which may be of the deployment in which the node was before.
func TestPeersOfAMovedNode(t *testing.T) {
	w := newWorld(t, role("base implicit"), role("app < base"))
	w.bind("base@n1 base@n2")
	w.commit()
	w.settle()
	other := &crowbar.Deployment{ID: w.s.Next(), Name: "other"}
	w.apply([]crowbar.Change{{Put: other}}, nil)
	w.apply(Move(w.s, w.node("n1"), w.dep.ID, other.ID))
	w.apply(Bind(w.s, Binding{Role: w.s.RoleNamed("app").ID, Node: w.node("n1"), Deployment: other.ID}))
	seen := ""
	for _, p := range Peers(w.s, w.at("app@n1")) {
		seen += p.Role + "@" + p.Node + " "
	}
	w.want(seen, "app@n1 base@n1 ")
}

// Its parents are seen wherever they are: here the other members of a cluster that stayed in the deployment below.
func TestPeersOfAClusterLeftBehind(t *testing.T) {
	w := newWorld(t, role("db cluster"), role("app < db"))
	w.bind("db@n1 db@n2")
	w.commit()
	w.settle()
	other := &crowbar.Deployment{ID: w.s.Next(), Name: "other"}
	w.apply([]crowbar.Change{{Put: other}}, nil)
	w.apply(Bind(w.s, Binding{Role: w.s.RoleNamed("app").ID, Node: w.node("n1"), Deployment: other.ID}))
	w.want(w.parents("app@n1"), "db@n1 db@n2")
	w.apply(Unbind(w.s, w.at("db@n1").ID))
	seen := ""
	for _, p := range Peers(w.s, w.at("app@n1")) {
		seen += p.Role + "@" + p.Node + " "
	}
	w.want(seen, "app@n1 db@n1 db@n2 ")
}
