package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rule1 is one rule of OpenCrowbar's objects: what somebody tries, and what comes of it. Where it is otherwise here, the
// number in docs/compatibility.md stands behind it.
type rule1 struct {
	rule string
	try  func(w *world) (any, error)
	want any // what try gives, as fmt prints it; nil where it is refused
	kind crowbar.ErrorKind
	says string // part of the refusal
}

func (w *world) doc(text string) error {
	c, err := barclamp.Parse(barclamp.File{Path: "crowbar.yml", Data: []byte(text)})
	if err != nil {
		return err
	}
	return w.Import(w.t.Context(), c)
}

func (w *world) made1(o crowbar.Object) (crowbar.Object, error) { return w.Make(w.t.Context(), o) }

func (w *world) node1(n crowbar.Node) (*crowbar.Node, error) { return w.CreateNode(w.t.Context(), n) }

func (w *world) dep1(name string) *crowbar.Deployment {
	w.t.Helper()
	d, err := w.CreateDeployment(w.t.Context(), name, "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// words is what fmt.Sprintln prints, in one line.
func words(a ...any) string { return strings.TrimSpace(fmt.Sprintln(a...)) }

func oneRole(name string) string {
	return "barclamp: { name: more }\nroles: [{ name: " + name + ", jig: noop }]\n"
}

var barclampAndJigRules = []rule1{
	{"1.1 a barclamp's name begins with a letter", func(w *world) (any, error) { return nil, w.doc("barclamp: { name: 9x }") }, nil, crowbar.Invalid, "not a name"},
	{"1.1 a barclamp's name may have '-' and '.' (9)", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: a-b.c }")
		return w.View().BarclampNamed("a-b.c").Name, err
	}, "a-b.c", 0, ""},
	{"1.1 a barclamp's name is unique whatever its case", func(w *world) (any, error) { return nil, w.doc("barclamp: { name: SMALL }") }, nil, crowbar.Conflict, `"small"`},
	{"1.1 the same name again is the same barclamp", func(w *world) (any, error) {
		id := w.View().BarclampNamed("small").ID
		err := w.doc(small)
		return w.View().BarclampNamed("small").ID == id, err
	}, true, 0, ""},
	{"1.1 some words are kept", func(w *world) (any, error) { return nil, w.doc("barclamp: { name: machines }") }, nil, crowbar.Invalid, "machines"},
	{"1.1 without a description it is what the barclamp displays", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: more, display: Much More }")
		return w.View().BarclampNamed("more").Description, err
	}, "Much More", 0, ""},
	{"1.1 without either it is the name, for people", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: much_more }")
		return w.View().BarclampNamed("much_more").Description, err
	}, "Much More", 0, ""},
	{"1.1 a parent that is not there", func(w *world) (any, error) { return nil, w.doc("barclamp: { name: more, parent: nobody }") }, nil, crowbar.NotFound, "nobody"},
	{"1.1 the version is a text", func(w *world) (any, error) { return w.View().BarclampNamed("small").Version, nil }, "1.0", 0, ""},
	{"1.1 the document is kept whole", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: more, license: free }\nwizard: { version: 2 }")
		return fmt.Sprint(w.View().BarclampNamed("more").Document["wizard"]), err
	}, "map[version:2]", 0, ""},
	{"1.2 a jig's name begins with a letter", func(w *world) (any, error) {
		return nil, w.doc("barclamp: { name: more }\njigs: [{ name: 9x, class: X }]")
	}, nil, crowbar.Invalid, "not a name"},
	{"1.2 a jig's name is unique whatever its case", func(w *world) (any, error) {
		return nil, w.doc("barclamp: { name: more }\njigs: [{ name: SSH, class: X }]")
	}, nil, crowbar.Conflict, `"ssh"`},
	{"1.2 an imported jig is active", func(w *world) (any, error) { return w.View().JigNamed("ssh").Active, nil }, true, 0, ""},
	{"1.2 the implementor is the client role", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: more }\njigs: [{ name: own, class: X, implementor: base }]")
		return w.View().JigNamed("own").ClientRole, err
	}, "base", 0, ""},
	{"1.2 every role of a jig requires its client role", func(w *world) (any, error) {
		err := w.doc("barclamp: { name: more }\njigs: [{ name: own, class: X, implementor: base }]\nroles: [{ name: mine, jig: own }]")
		return slices.Contains(w.View().RoleNamed("mine").Requires, "base"), err
	}, true, 0, ""},
	{"1.2 description and active may be changed, no more", func(w *world) (any, error) {
		j, err := w.UpdateJig(w.t.Context(), w.View().JigNamed("ssh").ID, func(j *crowbar.Jig) { j.Name, j.Description, j.Active = "x", "by ssh", false })
		return words(j.Name, j.Description, j.Active), err
	}, "ssh by ssh false", 0, ""},
}

var roleRules = []rule1{
	{"1.3 a role's name begins with a letter", func(w *world) (any, error) { return nil, w.doc(oneRole("_x")) }, nil, crowbar.Invalid, "not a name"},
	{"1.3 a role's name is unique over all barclamps", func(w *world) (any, error) { return nil, w.doc(oneRole("db")) }, nil, crowbar.Conflict, "db"},
	{"1.3 flags are false where nothing is said", func(w *world) (any, error) {
		err := w.doc(oneRole("plain"))
		return w.View().RoleNamed("plain").Flags == crowbar.Flags{}, err
	}, true, 0, ""},
	{"1.3 a require is found when a role of its name comes", func(w *world) (any, error) {
		if err := w.doc("barclamp: { name: more }\nroles: [{ name: early, jig: noop, requires: [late] }]"); err != nil {
			return nil, err
		}
		err := w.doc("barclamp: { name: other }\nroles: [{ name: late, jig: noop }]")
		return w.View().RoleNamed("early").Cohort, err
	}, 1, 0, ""},
	{"1.3 a circle of requires is refused", func(w *world) (any, error) {
		return nil, w.doc("barclamp: { name: more }\nroles: [{ name: a, jig: noop, requires: [b] }, { name: b, jig: noop, requires: [a] }]")
	}, nil, crowbar.Invalid, "requires"},
	{"1.3 a wanted attrib requires the role that owns it", func(w *world) (any, error) { return w.View().RoleNamed("db").Cohort, nil }, 1, 0, ""},
	{"1.3 the template may be set, and counts lowest", func(w *world) (any, error) {
		r, err := w.UpdateRole(w.t.Context(), w.View().RoleNamed("db").ID, nil, crowbar.Data{"db": crowbar.Data{"port": 9.0}})
		return fmt.Sprint(r.Template), err
	}, "map[db:map[port:9]]", 0, ""},
	{"1.4 every server has the ssh hammer, as root", func(w *world) (any, error) {
		w.load(hands)
		n := w.server("h.a.b", "10.0.0.7")
		h := w.View().HammersOf(n.ID)
		return words(len(h), h[0].Name, h[0].Username), nil
	}, "1 ssh root", 0, ""},
	{"1.4 a phantom has none", func(w *world) (any, error) {
		w.load(hands)
		return len(w.View().HammersOf(w.View().DeploymentNamed(System).Phantom)), nil
	}, 0, 0, ""},
	{"1.4 one hammer of a type on a node", func(w *world) (any, error) {
		w.load(hands)
		n := w.server("h.a.b", "10.0.0.7")
		return w.made1(&crowbar.Hammer{Node: n.ID, Available: w.View().AvailableHammerNamed("ssh").ID, Username: "x"})
	}, nil, crowbar.Conflict, "SecureShellHammer"},
	{"1.4 a hammer takes its priority from the available one", func(w *world) (any, error) {
		w.load(hands)
		n := w.server("h.a.b", "10.0.0.7")
		h, err := w.made1(&crowbar.Hammer{Node: n.ID, Available: w.View().AvailableHammerNamed("ipmi").ID, Username: "x"})
		return h.(*crowbar.Hammer).Priority, err
	}, 1, 0, ""},
}

const hands = "barclamp: { name: hands }\nhammers:\n  - { name: ssh, type: SecureShellHammer, priority: 0 }\n  - { name: ipmi, type: IpmiHammer, priority: 1 }\n"

var nodeRules = []rule1{
	{"1.5 a node's name is in lower case", func(w *world) (any, error) { return w.node1(crowbar.Node{Name: "N.a.b", Address: "10.0.0.1"}) }, nil, crowbar.Invalid, "lower case"},
	{"1.5 a name has 255 characters at most (253, as DNS has it)", func(w *world) (any, error) {
		return w.node1(crowbar.Node{Name: strings.Repeat("abcdefghi.", 26) + "com", Address: "10.0.0.1"})
	}, nil, crowbar.Invalid, "253"},
	{"1.5 a name is unique", func(w *world) (any, error) {
		w.server("n.a.b", "10.0.0.1")
		return w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.2"})
	}, nil, crowbar.Conflict, "n.a.b"},
	{"1.5 it is in the system deployment where nothing is said", func(w *world) (any, error) {
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1"})
		return n.Deployment == w.View().DeploymentNamed(System).ID, err
	}, true, 0, ""},
	{"1.5 allocated, alive and available are false", func(w *world) (any, error) {
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1"})
		return n.Allocated || n.Alive || n.Available, err
	}, false, 0, ""},
	{"1.5 system is nobody's to say", func(w *world) (any, error) {
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", System: true})
		return n.System, err
	}, false, 0, ""},
	{"1.5 admin is said once", func(w *world) (any, error) {
		n := w.server("n.a.b", "10.0.0.1")
		n, err := w.UpdateNode(w.t.Context(), n.ID, func(n *crowbar.Node) error { n.Admin = true; return nil })
		return n.Admin, err
	}, false, 0, ""},
	{"1.5 a node boots what there is", func(w *world) (any, error) {
		return w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", BootEnv: "floppy"})
	}, nil, crowbar.Invalid, "sledgehammer"},
	{"1.5 or the installer of some system", func(w *world) (any, error) {
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", BootEnv: "debian-12-install"})
		return n.BootEnv, err
	}, "debian-12-install", 0, ""},
	{"1.5 the last admin node is not deleted", func(w *world) (any, error) {
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", Admin: true})
		if err != nil {
			return nil, err
		}
		return nil, w.DeleteNode(w.t.Context(), n.ID, false)
	}, nil, crowbar.Conflict, "last admin"},
	{"1.5 a node without a group is in not_set after its first update", func(w *world) (any, error) {
		n := w.server("n.a.b", "10.0.0.1")
		before := len(n.Groups)
		n, err := w.UpdateNode(w.t.Context(), n.ID, func(n *crowbar.Node) error { n.Description = "x"; return nil })
		return words(before, w.View().Group(n.Groups[0]).Name), err
	}, "0 not_set", 0, ""},
}

var deploymentRules = []rule1{
	{"1.6 the system deployment is committed", func(w *world) (any, error) {
		d := w.View().DeploymentNamed(System)
		return words(d.Stored, d.System, d.Parent), nil
	}, "1 true 0", 0, ""},
	{"1.6 a new one is proposed, below system", func(w *world) (any, error) {
		d := w.dep1("k")
		return words(d.Stored, d.System, d.Parent == w.View().DeploymentNamed(System).ID), nil
	}, "0 false true", 0, ""},
	{"1.6 its name is unique", func(w *world) (any, error) {
		w.dep1("k")
		return w.CreateDeployment(w.t.Context(), "k", "", 0)
	}, nil, crowbar.Conflict, "already"},
	{"1.6 its phantom is made with it", func(w *world) (any, error) {
		d := w.dep1("k")
		n := w.View().Node(d.Phantom)
		return words(n.Name, n.System, n.Alive, n.BootEnv), nil
	}, "k-phantom.internal.local true true local", 0, ""},
	{"1.6 system is not destroyed", func(w *world) (any, error) {
		return nil, w.DeleteDeployment(w.t.Context(), w.View().DeploymentNamed(System).ID)
	}, nil, crowbar.Conflict, "root"},
	{"1.6 nor is one with children", func(w *world) (any, error) {
		d := w.dep1("k")
		if _, err := w.CreateDeployment(w.t.Context(), "child", "", d.ID); err != nil {
			return nil, err
		}
		return nil, w.DeleteDeployment(w.t.Context(), d.ID)
	}, nil, crowbar.Conflict, "child"},
	{"1.6 its nodes go to its parent, and its phantom with it", func(w *world) (any, error) {
		d := w.dep1("k")
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", Deployment: d.ID})
		if err == nil {
			err = w.DeleteDeployment(w.t.Context(), d.ID)
		}
		s := w.View()
		return words(s.Node(n.ID).Deployment == s.DeploymentNamed(System).ID, s.Node(d.Phantom) == nil), err
	}, "true true", 0, ""},
	{"1.7 a role is in a deployment once", func(w *world) (any, error) {
		d, r := w.dep1("k"), w.View().RoleNamed("db")
		a, err := w.AddDeploymentRole(w.t.Context(), d.ID, r.ID)
		if err != nil {
			return nil, err
		}
		b, err := w.AddDeploymentRole(w.t.Context(), d.ID, r.ID)
		return a.ID == b.ID, err
	}, true, 0, ""},
	{"1.7 one that is committed has nothing proposed", func(w *world) (any, error) {
		dr, err := w.AddDeploymentRole(w.t.Context(), w.dep1("k").ID, w.View().RoleNamed("db").ID)
		if err == nil {
			err = w.CommitDeploymentRole(w.t.Context(), dr.ID)
		}
		return w.View().DeploymentRole(dr.ID).Proposed == nil, err
	}, true, 0, ""},
	{"1.7 one whose role is bound is not destroyed", func(w *world) (any, error) {
		d, n := w.dep1("k"), w.server("n.a.b", "10.0.0.1")
		nr := w.bound("base", n.ID, "k")
		return nil, w.DeleteDeploymentRole(w.t.Context(), w.View().DeploymentRoleOf(d.ID, nr.Role).ID)
	}, nil, crowbar.Conflict, "bound"},
	{"1.8 a new node-role is proposed, available, has not run", func(w *world) (any, error) {
		w.dep1("k")
		nr := w.bound("base", w.server("n.a.b", "10.0.0.1").ID, "k")
		return words(nr.State, nr.Available, nr.RunCount, nr.Cohort, nr.Status == ""), nil
	}, "proposed true 0 0 true", 0, ""},
	{"1.8 a role is on a node once", func(w *world) (any, error) {
		w.dep1("k")
		n := w.server("n.a.b", "10.0.0.1")
		first := w.bound("base", n.ID, "k").ID
		return first == w.bound("base", n.ID, "k").ID, nil
	}, true, 0, ""},
	{"1.8 also over deployments (1)", func(w *world) (any, error) {
		w.dep1("k")
		n := w.server("n.a.b", "10.0.0.1")
		w.bound("base", n.ID, "k")
		return w.Bind(w.t.Context(), w.View().RoleNamed("base").ID, n.ID, w.dep1("other").ID)
	}, nil, crowbar.Conflict, `"k"`},
}

// flagRules are the flags of section 3.1 by which roles come to nodes by themselves; the others are in package graph.
var flagRules = []rule1{
	{"3.1 bootstrap comes to an admin node when that is made", func(w *world) (any, error) {
		w.load(finders)
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", Admin: true})
		return w.names(n.ID), err
	}, "boot", 0, ""},
	{"3.1 and to no other", func(w *world) (any, error) {
		w.load(finders)
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1"})
		return w.names(n.ID), err
	}, "", 0, ""},
	{"3.1 discovery comes to a node when that is committed", func(w *world) (any, error) {
		w.load(finders)
		n := w.server("n.a.b", "10.0.0.1")
		before := w.names(n.ID)
		err := w.CommitNode(w.t.Context(), n.ID)
		return before + "|" + w.names(n.ID), err
	}, "|look find", 0, ""},
	{"3.1 not to an admin node", func(w *world) (any, error) {
		w.load(finders)
		n, err := w.node1(crowbar.Node{Name: "n.a.b", Address: "10.0.0.1", Admin: true})
		if err == nil {
			err = w.CommitNode(w.t.Context(), n.ID)
		}
		return w.names(n.ID), err
	}, "boot", 0, ""},
	{"3.1 nor to a phantom", func(w *world) (any, error) {
		w.load(finders)
		p := w.dep1("k").Phantom
		err := w.CommitNode(w.t.Context(), p)
		return w.names(p), err
	}, "", 0, ""},
	{"3.1 one that conflicts is left out, and the node says so (7)", func(w *world) (any, error) {
		w.load(finders)
		w.dep1("k")
		n := w.server("n.a.b", "10.0.0.1")
		w.bound("db", n.ID, "k")
		if err := w.Commit(w.t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
			return nil, err
		}
		err := w.CommitNode(w.t.Context(), n.ID)
		return words(strings.Contains(w.names(n.ID), "look"), len(w.View().Node(n.ID).Warnings)), err
	}, "false 1", 0, ""},
}

// names is what is bound to a node.
func (w *world) names(node crowbar.ID) string {
	var out []string
	s := w.View()
	for _, nr := range s.NodeRolesOn(node) {
		out = append(out, s.Role(nr.Role).Name)
	}
	return strings.Join(out, " ")
}

// TestObjectRules is sections 1.1 to 1.8 of the reference; what is around nodes (1.9 to 1.14) is in around_test.go and the
// tests of package network.
func TestObjectRules(t *testing.T) {
	for _, c := range slices.Concat(barclampAndJigRules, roleRules, nodeRules, deploymentRules, flagRules) {
		t.Run(c.rule, func(t *testing.T) {
			w := build(t)
			got, err := c.try(w)
			switch {
			case c.says != "":
				if err == nil || crowbar.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want kind %d with %q", err, c.kind, c.says)
				}
			case err != nil:
				t.Error(err)
			case fmt.Sprint(got) != fmt.Sprint(c.want):
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
