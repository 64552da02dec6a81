package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// idle is a run that changes nothing.
func idle(w *crowbar.Work) crowbar.Outcome { return crowbar.Outcome{Wall: w.NodeRole.Wall} }

// plain is two without anything set but one node's zone.
func plain() crowbar.Cluster {
	c := two()
	c.Attribs = nil
	return c
}

// brought imports the small barclamp once more, with pairs of texts replaced.
func (w *world) brought(pairs ...string) {
	w.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(small, pairs[i]) {
			w.t.Fatalf("the barclamp has no %q", pairs[i])
		}
	}
	c, err := barclamp.Parse(barclamp.File{Path: "small.yml", Data: []byte(strings.NewReplacer(pairs...).Replace(small))})
	if err == nil {
		err = w.Import(w.t.Context(), c)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) commit() {
	w.t.Helper()
	if err := w.Commit(w.t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
		w.t.Fatal(err)
	}
}

// TestWhoRunsAgain has a row for each change of what node-roles are given: who runs then, on a converged cluster on which no
// run changes anything, at once and after the next commit.
func TestWhoRunsAgain(t *testing.T) {
	const bothDBs, port = "db@n1 db@n2", "default: 5432"
	deployment := func(w *world) crowbar.ID { return w.View().DeploymentNamed("k").ID }
	node := func(w *world, name string) crowbar.ID { return w.View().NodeNamed(name + ".a.b").ID }
	for _, row := range []struct {
		name    string
		do      func(w *world)
		atOnce  string
		further string // with the next commit
	}{
		{"nothing", func(*world) {}, "", ""},
		{"an attrib of a node", func(w *world) { w.set(crowbar.KindNode, node(w, "n1"), "zone", "z9") }, "base@n1", ""},
		{"an attrib of a node, as it was", func(w *world) { w.set(crowbar.KindNode, node(w, "n2"), "zone", "z2") }, "", ""},
		{"a role's attrib on a node", func(w *world) { w.set(crowbar.KindNode, node(w, "n2"), "db-port", 9) }, "db@n2", ""},
		{"what another role has, on a node", func(w *world) { w.set(crowbar.KindNode, node(w, "n2"), "domain", "y.org") }, "db@n2", ""},
		{"a role's template", func(w *world) { w.set(crowbar.KindRole, w.View().RoleNamed("db").ID, "db-port", 9) }, bothDBs, ""},
		{"a deployment's", func(w *world) { w.set(crowbar.KindDeployment, deployment(w), "db-port", 9) }, "", bothDBs},
		{"a deployment's, as the default is", func(w *world) { w.set(crowbar.KindDeployment, deployment(w), "db-port", 5432) }, "", ""},
		{"what others want, in a deployment", func(w *world) { w.set(crowbar.KindDeployment, deployment(w), "domain", "y.org") }, "", "config@k-phantom " + bothDBs},
		{"a node-role's", func(w *world) { w.set(crowbar.KindNodeRole, w.nr("db", "n1").ID, "db-port", 9) }, "", "db@n1"},
		{"a barclamp's new default", func(w *world) { w.brought(port, "default: 6000") }, "", bothDBs},
		{"a new default below what is set in the deployment", func(w *world) {
			w.set(crowbar.KindDeployment, deployment(w), "db-port", 5432)
			w.commit()
			w.brought(port, "default: 6000")
		}, "", ""},
		{"a new default below what one node-role has", func(w *world) {
			w.set(crowbar.KindNodeRole, w.nr("db", "n1").ID, "db-port", 9)
			w.commit()
			w.drain(idle)
			w.brought(port, "default: 6000")
		}, "", "db@n2"},
		{"a new default of an attrib of nodes", func(w *world) { w.brought("default: a,", "default: b,") }, "", "base@n1"},
		{"a new default that others want", func(w *world) { w.brought("default: x.org", "default: z.org") }, "", "config@k-phantom " + bothDBs},
		{"a new template", func(w *world) {
			w.brought("requires: [base, config]", "requires: [base, config]\n    template: { db: { port: 7 } }")
		}, "", bothDBs},
		{"other names in a certificate", func(w *world) { w.brought(`"{{node}}"`, `"{{node}}.{{attrib domain}}"`) }, "", bothDBs},
		{"another place", func(w *world) { w.brought("map: db/port", "map: db/other") }, "", ""},
		{"one more wish", func(w *world) { w.brought("requires: [base, db]", "requires: [base, db]\n    wants-attribs: [domain]") }, "", "app@n2"},
		{"one attrib more", func(w *world) {
			w.brought("      - { name: db-port", "      - { name: db-size, map: db/size, default: 1 }\n      - { name: db-port")
		}, "", bothDBs},
		{"one attrib less", func(w *world) {
			w.brought("      - { name: db-port, map: db/port, default: 5432, schema: { type: int } }\n", "")
		}, "", bothDBs},
		{"other words for the same", func(w *world) { w.brought("schema: { type: int }", `schema: { type: int }, description: "A port"`) }, "", ""},
		{"a new default, and back", func(w *world) { w.brought(port, "default: 6000"); w.commit(); w.drain(idle); w.brought() }, "", bothDBs},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := build(t)
			w.apply(plain())
			w.drain(idle)
			row.do(w)
			w.ran("at once", row.atOnce)
			plan := w.foresee(crowbar.PlanFor{Deployment: "k"}, nil)
			w.commit()
			w.ran("with the next commit", row.further)
			if len(plan.Steps) != len(strings.Fields(row.further)) {
				t.Errorf("the plan had %v", plan.Steps)
			}
			w.commit()
			w.ran("with one more commit", "")
		})
	}
}

// ran runs what can run, and looks who that was.
func (w *world) ran(when, want string) {
	w.t.Helper()
	got := w.drain(idle)
	slices.Sort(got)
	if text := strings.Join(got, " "); text != want {
		w.t.Errorf("%s %q runs, want %q", when, text, want)
	}
}

// TestAnImportWhileItRuns: what runs was given the old values, and runs once more by itself.
func TestAnImportWhileItRuns(t *testing.T) {
	w := build(t)
	w.apply(plain())
	w.drain(idle)
	if err := w.Rerun(t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	changed := 0
	got := w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "db" {
			if changed++; changed == 1 {
				w.brought("default: 5432", "default: 6000")
			}
			if is := work.Attribs["db-port"]; is != 6000.0 && changed > 1 {
				t.Errorf("run %d is given port %v", changed, is)
			}
		}
		return idle(work)
	})
	if changed != 3 {
		t.Errorf("two node-roles, one of them twice, and there ran %v", got)
	}
	w.commit()
	w.ran("with the next commit", "")
}
