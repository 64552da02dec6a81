package graph

import (
	"fmt"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// cluster is the shape of the real barclamp, small.
func cluster() []crowbar.Role {
	return []crowbar.Role{
		role("prep implicit"), role("pki service"), role("proxy-server x > proxy"), role("proxy implicit < prep"),
		role("docker implicit < proxy > flannel"), role("etcd cluster,exclusive < proxy pki"),
		role("flannel implicit < etcd"), role("master cluster < etcd"), role("minion x < docker flannel master"),
	}
}

func TestBindBringsWhatIsNeeded(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a master@a minion@b")
	w.want(w.states(), "prep@a:proposed proxy@a:proposed pki@k8s-phantom.internal.local:proposed etcd@a:proposed master@a:proposed "+
		"prep@b:proposed proxy@b:proposed docker@b:proposed flannel@b:proposed minion@b:proposed")
	w.want(w.parents("etcd@a"), "proxy@a pki@k8s-phantom.internal.local")
	w.want(w.parents("flannel@b"), "etcd@a ~docker@b")
	w.want(w.parents("minion@b"), "master@a docker@b flannel@b")
	for what, cohort := range map[string]int{"prep@a": 0, "proxy@a": 1, "etcd@a": 2, "master@a": 3, "docker@b": 2, "flannel@b": 3, "minion@b": 4} {
		if got := w.at(what).Cohort; got != cohort {
			t.Errorf("%s has cohort %d, want %d", what, got, cohort)
		}
	}
}

func TestBindTwiceChangesNothing(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("minion@b pki@b")
	for _, r := range []string{"minion", "flannel", "pki"} {
		c, err := Bind(w.s, w.binding(r, "b"))
		if err != nil || len(c) != 0 {
			t.Errorf("%s: %d changes, %v", r, len(c), err)
		}
	}
}

func TestClusterPeersAreLinkedWhateverTheOrder(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a etcd@b master@c")
	w.want(w.parents("master@c"), "etcd@a etcd@b")
	w.bind("etcd@d")
	w.want(w.parents("master@c"), "etcd@a etcd@b etcd@d")
}

func TestPreceedsIsDecidedByTheEarlierRole(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("minion@a proxy-server@b")
	w.want(w.parents("proxy@a"), "prep@a ~proxy-server@b")
	w.bind("minion@c")
	w.want(w.parents("proxy@c"), "~proxy-server@b prep@c")
	w.want(w.parents("flannel@c"), "etcd@a ~docker@c")

	// The later role first: the implicit earlier one finds it on its own node alone.
	w = newWorld(t, cluster()...)
	w.bind("etcd@a flannel@a flannel@b docker@b")
	w.want(w.parents("flannel@b"), "etcd@a ~docker@b")
	w.want(w.parents("flannel@a"), "etcd@a")
	if w.at("flannel@b").Cohort != w.at("docker@b").Cohort+1 && w.at("flannel@b").Cohort != w.at("etcd@a").Cohort+1 {
		t.Errorf("flannel@b has cohort %d", w.at("flannel@b").Cohort)
	}
}

func TestParentsUpTheChainOfDeployments(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a")
	child := &crowbar.Deployment{ID: w.s.Next(), Name: "child", Parent: w.dep.ID}
	w.apply([]crowbar.Change{{Put: child}}, nil)
	w.dep = child
	w.bind("master@m")
	w.want(w.parents("master@m"), "etcd@a")
	_, err := Bind(w.s, w.binding("etcd", "a"))
	w.refused(err, crowbar.Conflict, `in deployment "k8s"`, "unbind")
}

func TestWantsRequireTheOwner(t *testing.T) {
	w := newWorld(t)
	r := role("a x")
	r.Wants = []string{"b-port"}
	w.apply(Import(w.s, &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}},
		Roles: []crowbar.Role{r, role("b x")}, Attribs: []crowbar.CatalogAttrib{{RoleName: "b", Attrib: crowbar.Attrib{Name: "b-port"}}}}))
	w.bind("a@n")
	w.want(w.parents("a@n"), "b@n")
}

func TestBindRefuses(t *testing.T) {
	owner := func(name string, ports ...string) crowbar.Role {
		r := role(name + " x")
		r.Owns.Ports, r.Owns.Paths = ports, []string{"/etc/" + name}
		return r
	}
	within := owner("within")
	within.Owns.Paths = []string{"/etc/one/more"}
	conflicting := role("conflicting x")
	conflicting.Conflicts = []string{"one"}
	providing := role("providing x")
	providing.Provides = []string{"one"}
	w := newWorld(t, owner("one", "80"), owner("two", "two-port"), within, role("ghost abstract"), role("lost x < nowhere"), conflicting, providing)
	two := w.s.RoleNamed("two")
	w.apply([]crowbar.Change{{Put: &crowbar.Attrib{ID: w.s.Next(), Name: "two-port", Role: two.ID, Map: "two/port", Default: 80.0}}}, nil)
	w.bind("one@n")
	for role, words := range map[string][]string{
		"two": {`"two"`, `"one"`, "port 80", `"n"`}, "within": {"path /etc/one/more", `"one"`}, "ghost": {"abstract"}, "lost": {"missing prerequisites", "nowhere"},
		"conflicting": {"conflicts with previously-bound role one on n"}, "providing": {"tries to provide one"},
	} {
		t.Run(role, func(t *testing.T) {
			_, err := Bind(w.s, w.binding(role, "n"))
			w.refused(err, crowbar.Conflict, words...)
		})
	}
	_, err := Bind(w.s, Binding{Role: 999, Node: w.node("n"), Deployment: w.dep.ID})
	w.refused(err, crowbar.NotFound, "no role 999")
	_, err = Bind(w.s, Binding{Role: two.ID, Node: 999, Deployment: w.dep.ID})
	w.refused(err, crowbar.NotFound, "no node 999")
}

func TestOrderNamesTheCircle(t *testing.T) {
	w := &world{t: t}
	a, b, c := role("a x < b"), role("b x < c"), role("c x")
	a.Preceeds = []string{"c"}
	_, err := Order([]*crowbar.Role{&a, &b, &c})
	w.refused(err, crowbar.Invalid, "a requires b, which requires c, which is preceeded by a")
	c.Requires = []string{"nobody"}
	a.Preceeds = nil
	got, err := Order([]*crowbar.Role{&a, &b, &c})
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, r := range got {
		text += fmt.Sprintf("%s%d ", r.Name, r.Cohort)
	}
	w.want(text, "c0 b1 a2 ")
}

func TestImportAgain(t *testing.T) {
	roles := cluster()
	w := newWorld(t, roles...)
	catalog := func(r ...crowbar.Role) *crowbar.Catalog {
		return &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "b"}, Jigs: []crowbar.Jig{{Name: "noop", Active: true}}, Roles: r}
	}
	c, err := Import(w.s, catalog(roles...))
	if err != nil || len(c) != 0 {
		t.Fatalf("%d changes, %v", len(c), err)
	}
	was := w.s.RoleNamed("etcd").ID
	etcd := roles[5]
	etcd.Description = "new"
	roles[5] = etcd
	w.apply(Import(w.s, catalog(roles...)))
	if r := w.s.RoleNamed("etcd"); r.ID != was || r.Description != "new" {
		t.Errorf("etcd is %+v", r)
	}
	w.bind("minion@a")
	_, err = Import(w.s, catalog(roles[:8]...))
	w.refused(err, crowbar.Conflict, `"minion"`, "unbind")
	w.apply(Unbind(w.s, w.at("minion@a").ID))
	w.apply(Import(w.s, catalog(roles[:8]...)))
	if w.s.RoleNamed("minion") != nil {
		t.Error("minion is still there")
	}
}
