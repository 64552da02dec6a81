package graph

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// world is a state that a test changes through the package's own verbs.
type world struct {
	t   testing.TB
	s   *crowbar.Snapshot
	dep *crowbar.Deployment
}

// role writes a role in one line: "name flag,flag < required required > preceeded".
func role(line string) crowbar.Role {
	head, after, _ := strings.Cut(line, " > ")
	head, requires, _ := strings.Cut(head, " < ")
	name, flags, _ := strings.Cut(strings.TrimSpace(head), " ")
	r := crowbar.Role{Name: name, Jig: "noop", Requires: strings.Fields(requires), Preceeds: strings.Fields(after)}
	for _, f := range strings.Split(flags, ",") {
		switch f {
		case "implicit":
			r.Flags.Implicit = true
		case "cluster":
			r.Flags.Cluster = true
		case "service":
			r.Flags.Service = true
		case "destructive":
			r.Flags.Destructive = true
		case "abstract":
			r.Flags.Abstract = true
		case "retry":
			r.Retry = crowbar.Retry{Times: 2, Backoff: crowbar.Duration(10 * time.Second), Limit: crowbar.Duration(15 * time.Second)}
		case "exclusive":
			r.Exclusive = []crowbar.Exclusive{{Name: name + "-lock", Limit: 1, Gate: "peers-active"}}
		}
	}
	return r
}

func newWorld(t testing.TB, roles ...crowbar.Role) *world {
	t.Helper()
	w := &world{t: t, s: crowbar.NewSnapshot()}
	w.dep = &crowbar.Deployment{ID: w.s.Next(), Name: "k8s"}
	w.apply([]crowbar.Change{{Put: w.dep}}, nil)
	w.apply(Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}}, Roles: roles}))
	return w
}

func (w *world) apply(c []crowbar.Change, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = w.s.Apply(w.s.Rev()+1, c...)
}

func (w *world) node(name string) crowbar.ID {
	if n := w.s.NodeNamed(name); n != nil {
		return n.ID
	}
	n := &crowbar.Node{ID: w.s.Next(), Name: name, Alive: true, Available: true, Address: "10.0.0.1"}
	w.s = w.s.Apply(w.s.Rev()+1, crowbar.Change{Put: n})
	return n.ID
}

func (w *world) binding(role, node string) Binding {
	return Binding{Role: w.s.RoleNamed(role).ID, Node: w.node(node), Deployment: w.dep.ID}
}

// bind binds "role@node role@node".
func (w *world) bind(what string) {
	w.t.Helper()
	for _, one := range strings.Fields(what) {
		r, n, _ := strings.Cut(one, "@")
		b := w.binding(r, n)
		w.apply(Bind(w.s, b))
	}
}

func (w *world) commit() { w.t.Helper(); w.apply(Commit(w.s, w.dep.ID)) }

// at finds "role@node"; service roles are found without a node.
func (w *world) at(what string) *crowbar.NodeRole {
	w.t.Helper()
	r, n, _ := strings.Cut(what, "@")
	for nr := range w.s.NodeRoles() {
		if w.s.Role(nr.Role).Name == r && (n == "" || w.s.Node(nr.Node).Name == n) {
			return nr
		}
	}
	w.t.Fatalf("there is no %s", what)
	return nil
}

func (w *world) has(what string) bool {
	r, n, _ := strings.Cut(what, "@")
	for nr := range w.s.NodeRoles() {
		if w.s.Role(nr.Role).Name == r && w.s.Node(nr.Node).Name == n {
			return true
		}
	}
	return false
}

func (w *world) begin(what string) *crowbar.NodeRole {
	w.t.Helper()
	w.apply(Begin(w.s, w.at(what).ID, "d1"))
	return w.at(what)
}

func (w *world) finish(what string, o crowbar.Outcome) {
	w.t.Helper()
	nr := w.at(what)
	w.apply(Finish(w.s, nr.ID, nr.Attempt, o))
}

func (w *world) run(what string) {
	w.t.Helper()
	for _, one := range strings.Fields(what) {
		w.begin(one)
		w.finish(one, crowbar.Outcome{})
	}
}

// settle runs until nothing can, and gives what ran, "role@node" each.
func (w *world) settle() []string {
	w.t.Helper()
	var ran []string
	for {
		next := Runnable(w.s)
		if len(next) == 0 {
			return ran
		}
		for _, nr := range next {
			ran = append(ran, w.label(nr))
			w.apply(Begin(w.s, nr.ID, "d1"))
		}
		for _, nr := range next {
			w.apply(Finish(w.s, nr.ID, nr.Attempt+1, crowbar.Outcome{}))
		}
	}
}

func (w *world) label(nr *crowbar.NodeRole) string {
	return w.s.Role(nr.Role).Name + "@" + w.s.Node(nr.Node).Name
}

// states prints every node-role, "role@node:state", those of a name only if given.
func (w *world) states(roles ...string) string {
	var out []string
	for nr := range w.s.NodeRoles() {
		name := w.s.Role(nr.Role).Name
		if len(roles) == 0 || strings.Contains(" "+strings.Join(roles, " ")+" ", " "+name+" ") {
			out = append(out, fmt.Sprintf("%s:%s", w.label(nr), nr.State))
		}
	}
	return strings.Join(out, " ")
}

func (w *world) parents(what string) string {
	var out []string
	for _, l := range w.at(what).Parents {
		text := w.label(w.s.NodeRole(l.ID))
		if l.Soft {
			text = "~" + text
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func (w *world) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

func (w *world) refused(err error, kind crowbar.ErrorKind, words ...string) {
	w.t.Helper()
	if err == nil {
		w.t.Fatal("it was allowed")
	}
	if crowbar.KindOf(err) != kind {
		w.t.Errorf("kind %v, want %v: %v", crowbar.KindOf(err), kind, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("%q does not say %q", err, word)
		}
	}
}
