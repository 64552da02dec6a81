package skew

import (
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// cluster is etcd, a master and a minion on each of two nodes, with the versions that they have.
type cluster struct {
	t   *testing.T
	s   *crowbar.Snapshot
	dep crowbar.ID
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, s: crowbar.NewSnapshot()}
	c.apply(crowbar.Change{Put: &crowbar.Deployment{ID: c.s.Next(), Name: "k8s"}})
	c.dep = c.s.DeploymentNamed("k8s").ID
	var cat crowbar.Catalog
	cat.Barclamp.Name, cat.Jigs = "b", []crowbar.Jig{{Name: "noop", Active: true}}
	for _, r := range []string{"etcd", "k8s-master", "k8s-minion"} {
		cat.Roles = append(cat.Roles, crowbar.Role{Name: r, Jig: "noop", Flags: crowbar.Flags{Cluster: true}})
	}
	for name, role := range map[string]string{"etcd-version": "etcd", "kubernetes-version": "k8s-master"} {
		cat.Attribs = append(cat.Attribs, crowbar.CatalogAttrib{RoleName: role, Attrib: crowbar.Attrib{Name: name, Map: name, Default: "", Writable: true}})
	}
	changes, err := graph.Import(c.s, &cat)
	c.must(err)
	c.apply(changes...)
	for _, n := range []string{"n1", "n2"} {
		c.apply(crowbar.Change{Put: &crowbar.Node{ID: c.s.Next(), Name: n, Alive: true, Available: true}})
		for _, r := range cat.Roles {
			changes, err := graph.Bind(c.s, graph.Binding{Role: c.s.RoleNamed(r.Name).ID, Node: c.s.NodeNamed(n).ID, Deployment: c.dep})
			c.must(err)
			c.apply(changes...)
		}
	}
	return c
}

func (c *cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) apply(changes ...crowbar.Change) { c.s = c.s.Apply(c.s.Rev()+1, changes...) }

// has says what runs: "role@node version".
func (c *cluster) has(what ...string) {
	for _, w := range what {
		place, v, _ := strings.Cut(w, " ")
		role, node, _ := strings.Cut(place, "@")
		nr := *c.s.NodeRoleOn(c.s.NodeNamed(node).ID, c.s.RoleNamed(role).ID)
		p := programs[slices.IndexFunc(programs, func(p program) bool { return p.role == role })]
		nr.Wall, nr.RunCount, nr.State = crowbar.Data{p.wall: v}, 1, crowbar.Active
		c.apply(crowbar.Change{Put: &nr})
	}
}

// want sets an attrib of the deployment, or of one node-role.
func (c *cluster) want(attrib, value, at string) {
	a := c.s.AttribNamed(attrib)
	if at == "" {
		dr := *c.s.DeploymentRoleOf(c.dep, a.Role)
		dr.Committed = crowbar.Data{attrib: value}
		c.apply(crowbar.Change{Put: &dr})
		return
	}
	role, node, _ := strings.Cut(at, "@")
	nr := *c.s.NodeRoleOn(c.s.NodeNamed(node).ID, c.s.RoleNamed(role).ID)
	nr.Committed = crowbar.Data{attrib: value}
	c.apply(crowbar.Change{Put: &nr})
}

func catalogued(component string) ([]string, error) {
	return map[string][]string{"etcd": {"v3.7.3", "v3.6.16", "v3.6.1", "v3.8.0"}, "kubernetes": {"v1.37.2", "v1.36.3", "v1.38.0", "v1.33.0"}}[component], nil
}

func TestCheck(t *testing.T) {
	now := []string{"etcd@n1 3.6.16", "etcd@n2 3.6.16", "k8s-master@n1 v1.36.3", "k8s-master@n2 v1.36.3", "k8s-minion@n1 v1.36.3", "k8s-minion@n2 v1.36.3"}
	pin := [][3]string{{"etcd-version", "v3.6.16"}, {"kubernetes-version", "v1.36.3"}}
	for name, x := range map[string]struct {
		has    []string
		want   [][3]string // attrib, value, role@node
		says   string
		behind int
	}{
		"as it is":                  {want: pin},
		"nothing runs yet":          {has: []string{"etcd@n1 ", "etcd@n2 ", "k8s-master@n1 ", "k8s-master@n2 ", "k8s-minion@n1 ", "k8s-minion@n2 "}, want: [][3]string{{"etcd-version", "v3.8.0"}}},
		"the defaults, one up":      {behind: 6},
		"a patch back":              {want: append(pin[1:], [3]string{"etcd-version", "v3.6.1"}), behind: 2},
		"unknown":                   {want: [][3]string{{"kubernetes-version", "v1.35.0"}}, says: `kubernetes-version is "v1.35.0" for n1: the artifact catalogue has v1.37.2, v1.36.3, v1.38.0, v1.33.0: choose one`},
		"two up":                    {want: [][3]string{{"kubernetes-version", "v1.38.0"}}, says: "the API server goes up one minor version at a time, and n1 has 1.36: set kubernetes-version to a version v1.37.x first, and to v1.38.0 when all"},
		"etcd two up":               {want: [][3]string{{"etcd-version", "v3.8.0"}}, says: "etcd goes up one minor version at a time"},
		"two up, half-way":          {has: []string{"k8s-master@n1 v1.37.2"}, want: [][3]string{{"kubernetes-version", "v1.38.0"}}, says: "and n2 has 1.36"},
		"back":                      {has: []string{"etcd@n1 3.7.3", "etcd@n2 3.7.3"}, want: pin, says: "etcd cannot go back from 3.7 to v3.6.16"},
		"back, half-way":            {has: []string{"etcd@n1 3.7.3", "k8s-master@n1 v1.37.2"}, want: pin, behind: 2},
		"a kubelet that is too old": {has: []string{"k8s-minion@n2 v1.33.0"}, want: pin[:1], says: "the kubelet on n2 has v1.33.0: it may be three minor versions older at most"},
		"a kubelet three older":     {has: []string{"k8s-minion@n2 v1.33.0"}, want: pin, behind: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			c.has(now...)
			c.has(x.has...)
			for _, w := range x.want {
				c.want(w[0], w[1], w[2])
			}
			behind, err := Check(c.s, c.dep, catalogued)
			switch {
			case x.says == "" && err != nil:
				t.Error(err)
			case x.says != "" && (err == nil || crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), x.says)):
				t.Errorf("%v; want %s", err, x.says)
			case x.says == "" && len(behind) != x.behind:
				t.Errorf("%d are behind, want %d", len(behind), x.behind)
			}
		})
	}
}

func TestKubeletBeforeItsMasters(t *testing.T) {
	newer := []found{{node: "n1", want: "v1.37.2"}}
	if err := kubelets([]found{{node: "n2", want: "v1.36.3"}}, newer); err == nil || !strings.Contains(err.Error(), "never newer than an API server") {
		t.Error(err)
	}
}
