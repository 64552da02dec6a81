package graph

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// again imports other roles into the same barclamp.
func (w *world) again(roles ...crowbar.Role) error {
	c, err := Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}}, Roles: roles})
	if err == nil {
		w.apply(c, nil)
	}
	return err
}

func TestReimportRelinks(t *testing.T) {
	w := newWorld(t, role("base implicit"), role("db cluster"), role("app < base"))
	w.bind("db@n1 db@n2 app@n3")
	w.commit()
	w.settle()
	if err := w.again(role("base implicit"), role("db cluster"), role("app < base db")); err != nil {
		t.Fatal(err)
	}
	w.want(w.parents("app@n3"), "db@n1 db@n2 base@n3")
	w.want(w.states("app"), "app@n3:active")
	if err := w.again(role("base implicit"), role("db cluster"), role("app < db")); err != nil {
		t.Fatal(err)
	}
	w.want(w.parents("app@n3"), "db@n1 db@n2")
	same, err := Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}},
		Roles: []crowbar.Role{role("base implicit"), role("db cluster"), role("app < db")}})
	if err != nil || len(same) != 0 {
		t.Errorf("the same again: %d changes, %v", len(same), err)
	}
}

func TestReimportBindsWhatIsNowNeeded(t *testing.T) {
	w := newWorld(t, role("late implicit"), role("app"))
	w.bind("app@n1")
	w.commit()
	w.settle()
	if err := w.again(role("late implicit"), role("app < late")); err != nil {
		t.Fatal(err)
	}
	w.want(w.states(), "app@n1:active late@n1:proposed")
	w.commit()
	w.settle()
	w.want(w.states(), "app@n1:active late@n1:active")

	w = newWorld(t, role("no abstract,implicit"), role("app"))
	w.bind("app@n1")
	w.refused(w.again(role("no abstract,implicit"), role("app < no")), crowbar.Conflict, "app on n1", "abstract")
}

func TestReimportLetsGo(t *testing.T) {
	w := newWorld(t, role("db"), role("app < db"))
	w.bind("db@n1 app@n2")
	w.commit()
	w.want(w.states(), "db@n1:todo app@n2:blocked")
	if err := w.again(role("db"), role("app")); err != nil {
		t.Fatal(err)
	}
	w.want(w.states(), "db@n1:todo app@n2:todo")
	if err := w.again(role("db"), role("app < db")); err != nil {
		t.Fatal(err)
	}
	w.want(w.states(), "db@n1:todo app@n2:blocked")
}

func TestTargetAndMove(t *testing.T) {
	w := newWorld(t, role("base implicit"), role("ready implicit < base"), role("app < ready"))
	w.bind("app@n1")
	w.commit()
	n := w.node("n1")
	w.apply(Target(w.s, n, w.s.RoleNamed("ready").ID))
	if ran := w.settle(); len(ran) != 2 || w.at("app@n1").State != crowbar.Todo {
		t.Errorf("ran %v, %s", ran, w.states())
	}
	w.apply(Target(w.s, n, 0))
	if ran := w.settle(); len(ran) != 1 {
		t.Errorf("ran %v", ran)
	}
	_, err := Target(w.s, w.node("n2"), w.s.RoleNamed("ready").ID)
	w.refused(err, crowbar.Conflict, "bind it first")

	other := &crowbar.Deployment{ID: w.s.Next(), Name: "other"}
	w.apply([]crowbar.Change{{Put: other}}, nil)
	w.bind("app@n2")
	w.apply(Move(w.s, w.node("n1"), w.dep.ID, other.ID))
	w.apply(Move(w.s, w.node("n2"), w.dep.ID, other.ID))
	if w.at("app@n1").Deployment != w.dep.ID || w.at("app@n2").Deployment != other.ID || w.s.DeploymentRoleOf(other.ID, w.s.RoleNamed("app").ID) == nil {
		t.Error("what ran moved, or what is proposed did not")
	}
}
