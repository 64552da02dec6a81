package graph

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rule3 is one sentence of OpenCrowbar's binding: the roles that there are, what is done, and what is then to be seen. Where
// it is otherwise here, the number in docs/compatibility.md stands behind it.
type rule3 struct {
	rule  string
	roles []crowbar.Role
	do    func(w *world) (any, error)
	want  any    // what do gives, as fmt prints it
	says  string // or else part of its refusal, which is a Conflict
}

// more is a role with what a line does not say of it.
func more(line string, edit func(*crowbar.Role)) crowbar.Role {
	r := role(line)
	edit(&r)
	return r
}

func lines(all ...string) []crowbar.Role {
	var out []crowbar.Role
	for _, l := range all {
		out = append(out, role(l))
	}
	return out
}

// try binds one more, and gives the refusal.
func (w *world) try(what string) error {
	r, n, _ := strings.Cut(what, "@")
	c, err := Bind(w.s, w.binding(r, n))
	if err == nil {
		w.apply(c, nil)
	}
	return err
}

// child makes a deployment below the one that is used, and uses it.
func (w *world) child(name string) {
	d := &crowbar.Deployment{ID: w.s.Next(), Name: name, Parent: w.dep.ID}
	w.apply([]crowbar.Change{{Put: d}}, nil)
	w.dep = d
}

func (w *world) jigOff() {
	j := *w.s.JigNamed("noop")
	j.Active = false
	w.apply([]crowbar.Change{{Put: &j}}, nil)
}

func (w *world) unbindIt(what string) error {
	c, err := Unbind(w.s, w.at(what).ID)
	if err == nil {
		w.apply(c, nil)
	}
	return err
}

// bindAnd binds, and looks.
func bindAnd(what string, look func(*world) any) func(*world) (any, error) {
	return func(w *world) (any, error) { w.bind(what); return look(w), nil }
}

func tryAfter(bound, what string) func(*world) (any, error) {
	return func(w *world) (any, error) { w.bind(bound); return nil, w.try(what) }
}

func parentsOn(what string) func(*world) any { return func(w *world) any { return w.parents(what) } }

func cohorts(what ...string) func(*world) any {
	return func(w *world) any {
		var out []string
		for _, one := range what {
			out = append(out, fmt.Sprint(w.at(one).Cohort))
		}
		return strings.Join(out, " ")
	}
}

func provides(names ...string) func(*crowbar.Role) {
	return func(r *crowbar.Role) { r.Provides = names }
}

func flagged(f crowbar.Flags) func(*crowbar.Role) { return func(r *crowbar.Role) { r.Flags = f } }

var flagRules = []rule3{
	{"3.1 implicit: it must live where its dependant lives", lines("base implicit", "app x < base"), bindAnd("base@m app@n", parentsOn("app@n")), "base@n", ""},
	{"3.1 library says nothing to the engine", []crowbar.Role{more("lib", flagged(crowbar.Flags{Library: true}))}, bindAnd("lib@n", func(w *world) any { return w.states() }), "lib@n:proposed", ""},
	{"3.1 milestone says nothing to the engine", []crowbar.Role{more("stone", flagged(crowbar.Flags{Milestone: true}))}, bindAnd("stone@n", func(w *world) any { return w.states() }), "stone@n:proposed", ""},
	{"3.1 cluster: children of one are children of all", lines("db cluster", "app x < db"), bindAnd("db@a db@b app@c", parentsOn("app@c")), "db@a db@b", ""},
	{"3.1 so a child waits for all members", lines("db cluster", "app x < db"), bindAnd("db@a db@b app@c", func(w *world) any {
		w.commit()
		w.run("db@a")
		one := w.states("app")
		w.run("db@b")
		return one + " " + w.states("app")
	}), "app@c:blocked app@c:todo", ""},
	{"3.1 without cluster one parent is enough", lines("db x", "app x < db"), bindAnd("db@a db@b app@c", parentsOn("app@c")), "db@a", ""},
	{"3.1 a cluster is within one deployment", lines("db cluster", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a")
		w.child("child")
		w.bind("db@b app@c")
		return w.parents("app@c"), nil
	}, "db@b", ""},
	{"3.1 abstract cannot be bound", lines("ghost abstract"), tryAfter("", "ghost@n"), nil, "abstract"},
	{"3.1 service lives on the phantom, whatever node is named", lines("config service"), bindAnd("config@n", func(w *world) any { return w.states() }), "config@k8s-phantom.internal.local:proposed", ""},
	{"3.1 service: its dependants find it there", lines("config service", "app x < config"), bindAnd("app@n", parentsOn("app@n")), "config@k8s-phantom.internal.local", ""},
}

var requireRules = []rule3{
	{"3.2 a name that no role has keeps the role from being bound", lines("app x < later"), tryAfter("", "app@n"), nil, "role \"app\" is missing prerequisites: [role later]"},
	{"3.2 also through others", lines("base x < later", "app x < base"), tryAfter("", "app@n"), nil, "missing prerequisites: [role later]"},
	{"3.2 until a role of that name comes", lines("app x < later"), func(w *world) (any, error) {
		err := w.again(role("app x < later"), role("later x"))
		w.bind("app@n")
		return w.parents("app@n"), err
	}, "later@n", ""},
	{"3.2 preceeds is soft: it does not bring the role along", lines("early x > app", "app x"), bindAnd("app@n", func(w *world) any { return w.states() }), "app@n:proposed", ""},
	{"3.3 a role that conflicts with what is there", []crowbar.Role{role("one"), more("two", func(r *crowbar.Role) { r.Conflicts = []string{"one"} })},
		tryAfter("one@n", "two@n"), nil, "two cannot be bound because it conflicts with previously-bound role one on n"},
	{"3.3 or what is there with it", []crowbar.Role{role("one"), more("two", func(r *crowbar.Role) { r.Conflicts = []string{"one"} })},
		tryAfter("two@n", "one@n"), nil, "one cannot be bound because it conflicts with previously-bound role two on n"},
	{"3.3 only on the same node", []crowbar.Role{role("one"), more("two", func(r *crowbar.Role) { r.Conflicts = []string{"one"} })},
		bindAnd("one@n two@m", func(w *world) any { return w.states() }), "one@n:proposed two@m:proposed", ""},
	{"3.3 what is there provides it", []crowbar.Role{role("one"), more("two", provides("one"))}, tryAfter("two@n", "one@n"), nil, "provided by previously-bound role two"},
	{"3.3 it provides what is there", []crowbar.Role{role("one"), more("two", provides("one"))}, tryAfter("one@n", "two@n"), nil, "tries to provide one, which is already bound"},
	{"3.3 both provide the same", []crowbar.Role{more("one", provides("it")), more("two", provides("it"))}, tryAfter("one@n", "two@n"), nil, "both provide it"},
	{"3.3 a role that provides a wanted one satisfies the want", []crowbar.Role{role("one implicit"), more("two", provides("one")), role("app x < one")},
		bindAnd("two@n app@n", parentsOn("app@n")), "two@n", ""},
}

var bindRules = []rule3{
	{"3.4.1 requires and owners of wanted attribs are wanted once", lines("base implicit", "app x < base"), func(w *world) (any, error) {
		app := role("app x < base")
		app.Wants = []string{"size"}
		w.apply(Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}}, Roles: []crowbar.Role{role("base implicit"), app},
			Attribs: []crowbar.CatalogAttrib{{RoleName: "base", Attrib: crowbar.Attrib{Name: "size", Map: "size"}}}}))
		w.bind("app@n")
		return w.parents("app@n"), nil
	}, "base@n", ""},
	{"3.4.2 a parent on the node counts, of whatever deployment", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@n")
		w.child("child")
		w.bind("app@n")
		return w.parents("app@n"), nil
	}, "db@n", ""},
	{"3.4.2 else the first of the deployment, on any node", lines("db x", "app x < db"), bindAnd("db@a db@b app@n", parentsOn("app@n")), "db@a", ""},
	{"3.4.2 else of the deployments above", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a")
		w.child("child")
		w.child("grandchild")
		w.bind("app@n")
		return w.parents("app@n"), nil
	}, "db@a", ""},
	{"3.4.2 the nearest deployment first", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a")
		w.child("child")
		w.bind("db@b app@n")
		return w.parents("app@n"), nil
	}, "db@b", ""},
	{"3.4.2 one that provides it, if there is none", []crowbar.Role{role("db x"), more("fork", provides("db")), role("app x < db")}, bindAnd("fork@a app@n", parentsOn("app@n")), "fork@a", ""},
	{"3.4.2 else it is bound on the dependant's own node", lines("db x", "app x < db"), bindAnd("app@n", parentsOn("app@n")), "db@n", ""},
	{"3.4.2 with all that it needs", lines("base implicit", "db x < base", "app x < db"), bindAnd("app@n", func(w *world) any { return w.states() }), "base@n:proposed db@n:proposed app@n:proposed", ""},
	{"3.4.3 the role is then in the deployment, with nothing proposed", lines("app x"), bindAnd("app@n", func(w *world) any {
		dr := w.s.DeploymentRoleOf(w.dep.ID, w.s.RoleNamed("app").ID)
		return fmt.Sprint(dr.Proposed == nil, len(dr.Committed))
	}), "true 0", ""},
	{"3.4.4 a node-role begins as proposed", lines("app x"), bindAnd("app@n", func(w *world) any { return w.states() }), "app@n:proposed", ""},
	{"3.4.4 without its jig being active it is not bound", lines("app x"), func(w *world) (any, error) { w.jigOff(); return nil, w.try("app@n") }, nil, "role 'app' cannot be bound without 'noop' being active!"},
	{"3.4.4 nor swapped for the jig test (6)", lines("app x"), func(w *world) (any, error) {
		w.apply([]crowbar.Change{{Put: &crowbar.Jig{ID: w.s.Next(), Name: "test", Active: true}}}, nil)
		w.jigOff()
		return nil, w.try("app@n")
	}, nil, "cannot be bound"},
	{"3.4.5 a cohort is one more than the highest parent's", lines("base implicit", "db x < base", "app x < db base"), bindAnd("app@n", cohorts("base@n", "db@n", "app@n")), "0 1 2", ""},
	{"3.4.5 it is handed on to children that are there already", lines("base implicit", "db cluster", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a app@n")
		err := w.again(role("base implicit"), role("db cluster < base"), role("app x < db"))
		w.bind("db@b")
		return cohorts("db@b", "app@n")(w), err
	}, "1 2", ""},
	{"3.4.5 a cluster parent's peers are parents too", lines("db cluster", "app x < db"), bindAnd("db@n db@b app@n", parentsOn("app@n")), "db@n db@b", ""},
	{"3.4.8 a member that comes later adopts its peers' children (5)", lines("db cluster", "app x < db"), bindAnd("db@a app@n db@b", parentsOn("app@n")), "db@a db@b", ""},
	{"3.4 what is there is given back", lines("app x"), func(w *world) (any, error) {
		w.bind("app@n")
		id := w.at("app@n").ID
		w.bind("app@n")
		return w.at("app@n").ID == id && w.s.Count(crowbar.KindNodeRole) == 1, nil
	}, true, ""},
	{"3.4 in another deployment it is refused (1)", lines("app x"), func(w *world) (any, error) { w.bind("app@n"); w.child("child"); return nil, w.try("app@n") }, nil, "in deployment \"k8s\""},
	{"3.4 preceeds links softly on the same node", lines("early implicit > app", "app x"), bindAnd("early@n app@n", parentsOn("app@n")), "~early@n", ""},
	{"3.4 whichever comes first", lines("early implicit > app", "app x"), bindAnd("app@n early@n", parentsOn("app@n")), "~early@n", ""},
	{"3.4 and over the deployment where the role is not implicit", lines("early x > app", "app x"), bindAnd("early@a app@n", parentsOn("app@n")), "~early@a", ""},
	{"3.4 not over deployments", lines("early x > app", "app x"), func(w *world) (any, error) {
		w.bind("early@a")
		w.child("child")
		w.bind("app@n")
		return w.parents("app@n"), nil
	}, "", ""},
	{"3.4 a soft parent holds its child back as a hard one does", lines("early x > app", "app x"), bindAnd("early@a app@n", func(w *world) any { w.commit(); return w.states() }), "early@a:todo app@n:blocked", ""},
}

var cohortRules = []rule3{
	{"3.5 a role's cohort is one more than its highest parent's", lines("c x < b a", "b x < a", "a x"), func(w *world) (any, error) {
		var out []string
		for _, n := range []string{"a", "b", "c"} {
			out = append(out, fmt.Sprint(w.s.RoleNamed(n).Cohort))
		}
		return strings.Join(out, " "), nil
	}, "0 1 2", ""},
	{"3.5 it is reckoned anew when a require is found", lines("b x < a"), func(w *world) (any, error) {
		before := w.s.RoleNamed("b").Cohort
		err := w.again(role("b x < a"), role("a x"))
		return fmt.Sprint(before, w.s.RoleNamed("b").Cohort), err
	}, "0 1", ""},
	{"3.5 the lowest runs first", lines("a x", "b x < a", "c x"), bindAnd("b@n c@n", func(w *world) any { w.commit(); return strings.Join(w.settle(), " ") }), "a@n c@n b@n", ""},
	{"3.6 without children it goes", lines("app x"), func(w *world) (any, error) { w.bind("app@n"); err := w.unbindIt("app@n"); return w.states(), err }, "", ""},
	{"3.6 with children on its own node they go first", lines("base implicit", "app x < base"), func(w *world) (any, error) {
		w.bind("app@n")
		err := w.unbindIt("base@n")
		return w.states(), err
	}, "", ""},
	{"3.6 also those elsewhere that are proposed and never ran", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a app@n")
		err := w.unbindIt("db@a")
		return w.states(), err
	}, "", ""},
	{"3.6 else it is refused, and said (12)", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a app@n")
		w.commit()
		w.run("db@a app@n")
		return nil, w.unbindIt("db@a")
	}, nil, "app on n needs it"},
	{"3.6 a soft child refuses nothing", lines("early x > app", "app x"), func(w *world) (any, error) {
		w.bind("early@a app@n")
		w.commit()
		w.run("early@a app@n")
		err := w.unbindIt("early@a")
		return w.at("early@a").Removing, err
	}, true, ""},
	{"3.6 what has run is taken off by a run (11), children first", lines("base implicit", "app x < base"), func(w *world) (any, error) {
		w.bind("app@n")
		w.commit()
		w.run("base@n app@n")
		err := w.unbindIt("base@n")
		return strings.Join(w.settle(), " ") + "|" + w.states(), err
	}, "app@n base@n|", ""},
	{"3.6 a node is forgotten with all that is on it", lines("base implicit", "app x < base"), func(w *world) (any, error) {
		w.bind("app@n")
		w.apply(Forget(w.s, w.node("n")))
		return w.states(), nil
	}, "", ""},
	{"3.6 unless something elsewhere needs that", lines("db x", "app x < db"), func(w *world) (any, error) {
		w.bind("db@a app@n")
		w.commit()
		w.run("db@a app@n")
		_, err := Forget(w.s, w.node("a"))
		return nil, err
	}, nil, "needs it"},
}

// TestBindingRules is sections 3.1 to 3.6 of the reference. Discovery and bootstrap are in package engine, which binds them,
// destructive and powersave where runs are done.
func TestBindingRules(t *testing.T) {
	for _, list := range [][]rule3{flagRules, requireRules, bindRules, cohortRules} {
		for _, c := range list {
			t.Run(c.rule, func(t *testing.T) {
				w := newWorld(t, c.roles...)
				got, err := c.do(w)
				switch {
				case c.says != "":
					if err == nil || crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), c.says) {
						t.Errorf("%v, want a conflict with %q", err, c.says)
					}
				case err != nil:
					t.Error(err)
				case fmt.Sprint(got) != fmt.Sprint(c.want):
					t.Errorf("%v, want %v", got, c.want)
				}
			})
		}
	}
}
