package ui

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// shipped is a state that has what a barclamp's file has, and some free nodes in two racks.
func shipped(t *testing.T, file string, nodes int) *crowbar.Snapshot {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := barclamp.Parse(barclamp.File{Path: file, Data: b})
	if err != nil {
		t.Fatal(err)
	}
	c.Barclamp.ID = 10
	objects := []crowbar.Object{&c.Barclamp, &crowbar.Deployment{ID: 30, Name: "system"}, &crowbar.Group{ID: 90, Name: "a", Category: "rack"}, &crowbar.Group{ID: 91, Name: "b", Category: "rack"}}
	for i := range c.Roles {
		c.Roles[i].ID = crowbar.ID(1000 + i)
		objects = append(objects, &c.Roles[i])
	}
	for i := range c.Attribs {
		a := &c.Attribs[i].Attrib
		a.ID = crowbar.ID(2000 + i)
		objects = append(objects, a)
	}
	for i := range nodes {
		objects = append(objects, &crowbar.Node{ID: crowbar.ID(101 + i), Name: fmt.Sprintf("n%02d.example", i+1), Address: fmt.Sprintf("10.1.0.%d", i+1), Deployment: 30, Groups: []crowbar.ID{crowbar.ID(90 + i/((nodes+1)/2))}})
	}
	var changes []crowbar.Change
	for _, o := range objects {
		changes = append(changes, crowbar.Change{Put: o})
	}
	return crowbar.NewSnapshot().Apply(7, changes...)
}

func opened(s *crowbar.Snapshot, q url.Values) *wizardPage {
	var of *crowbar.Wizard
	for b := range s.Barclamps() {
		of = b.Wizard()
	}
	w := &wizardPage{Wizard: of, chosen: readChosen(q, of), Problems: map[string]string{}, s: s}
	w.findNodes()
	return w
}

// TestWizardSpread: the services of the shipped barclamp and of another one go where their blocks say, for each number of
// nodes; an even number of voters is never the wizard's own idea.
func TestWizardSpread(t *testing.T) {
	for _, tc := range []struct {
		file  string
		nodes int
		want  string
	}{
		{"../../barclamp.yaml", 1, "101|101|101|101|"},
		{"../../barclamp.yaml", 2, "101|102|101|101|"},
		{"../../barclamp.yaml", 3, "101-103|101-103|101|101|"},
		{"../../barclamp.yaml", 5, "101-102,104|103,105|101|101|"}, // not all masters in one rack
		{"../../barclamp.yaml", 12, "101-102,107|103-106,108-112|101|101|"},
		{"../../test/barclamps/good/kompos8.yml", 6, "101|102-106||"},
	} {
		s := shipped(t, tc.file, tc.nodes)
		w := opened(s, url.Values{"nodes": {fmt.Sprintf("101-%d", 100+tc.nodes)}})
		w.place()
		var got []string
		for _, ids := range w.In {
			got = append(got, writeIDs(ids))
		}
		if strings.Join(got, "|") != tc.want {
			t.Errorf("%s, %d nodes: %s, want %s", tc.file, tc.nodes, strings.Join(got, "|"), tc.want)
		}
	}
}

// TestWizardResize: more masters come from the minions, and go back to them.
func TestWizardResize(t *testing.T) {
	s := shipped(t, "../../barclamp.yaml", 8)
	w := opened(s, url.Values{"nodes": {"101-108"}})
	w.place()
	for _, tc := range []struct {
		n    int
		want [2]int
	}{{5, [2]int{5, 3}}, {1, [2]int{1, 7}}, {3, [2]int{3, 5}}, {100, [2]int{8, 1}}} {
		w.resize(0, tc.n)
		if got := [2]int{len(w.In[0]), len(w.In[1])}; got != tc.want {
			t.Errorf("%d masters: %v masters and minions, want %v", tc.n, got, tc.want)
		}
	}
}

// TestWizardAdvice: what a number of etcd members is good for.
func TestWizardAdvice(t *testing.T) {
	s := shipped(t, "../../barclamp.yaml", 1)
	w := opened(s, nil)
	for n, want := range map[int]string{0: "on no node", 1: "nothing takes over", 2: "stand the loss of 0, as 1 do", 3: "3 members stand the loss of 1.", 4: "loss of 1, as 3 do", 5: "5 members stand the loss of 2.", 9: "waits for 5 members"} {
		if got, bad := advice(s, w.Services[0], n); !strings.Contains(got, want) || bad == (n == 3 || n == 5) {
			t.Errorf("%d: %q (a warning: %v), want %q", n, got, bad, want)
		}
	}
	if got, _ := advice(s, w.Services[1], 2); got != "" {
		t.Errorf("minions do not vote: %q", got)
	}
}

// TestWizardSettings: what is typed becomes values, networks are held against each other and the nodes, and addresses go with
// the network that they lie in.
func TestWizardSettings(t *testing.T) {
	s := shipped(t, "../../barclamp.yaml", 3)
	for _, tc := range []struct {
		name string
		said map[string]string
		set  map[string]any
		bad  map[string]string
	}{
		{"nothing", nil, map[string]any{}, nil},
		{"the default", map[string]string{"flannel-backend": "vxlan"}, map[string]any{}, nil},
		{"a service network", map[string]string{"kubernetes-service-cidr": "172.20.0.0/16"}, map[string]any{"kubernetes-service-cidr": "172.20.0.0/16", "kubernetes-service-ip": "172.20.0.1", "kubernetes-dns-ip": "172.20.0.10"}, nil},
		{"no network", map[string]string{"kubernetes-pod-cidr": "10.244.0.0/40"}, map[string]any{"kubernetes-pod-cidr": "10.244.0.0/40"}, map[string]string{"kubernetes-pod-cidr": "Want a network such as"}},
		{"an address for a network", map[string]string{"kubernetes-pod-cidr": "10.9.8.7/16"}, map[string]any{"kubernetes-pod-cidr": "10.9.8.7/16"}, map[string]string{"kubernetes-pod-cidr": "Want the network: 10.9.0.0/16"}},
		{"two that overlap", map[string]string{"kubernetes-pod-cidr": "10.96.128.0/17"}, map[string]any{"kubernetes-pod-cidr": "10.96.128.0/17"}, map[string]string{"kubernetes-service-cidr": "overlaps kubernetes-pod-cidr"}},
		{"one with a node in it", map[string]string{"kubernetes-pod-cidr": "10.1.0.0/16"}, map[string]any{"kubernetes-pod-cidr": "10.1.0.0/16"}, map[string]string{"kubernetes-pod-cidr": "the address of node n01"}},
		{"an address outside", map[string]string{"kubernetes-dns-ip": "10.97.0.10"}, map[string]any{"kubernetes-dns-ip": "10.97.0.10"}, map[string]string{"kubernetes-dns-ip": "has to lie in kubernetes-service-cidr"}},
	} {
		q := url.Values{"nodes": {"101-103"}}
		for k, v := range tc.said {
			q.Set("v."+k, v)
		}
		set, bad := opened(s, q).attribs()
		if fmt.Sprint(set) != fmt.Sprint(tc.set) || len(bad) != len(tc.bad) {
			t.Errorf("%s: %v and %v, want %v and %v", tc.name, set, bad, tc.set, tc.bad)
		}
		for k, want := range tc.bad {
			if !strings.Contains(bad["v."+k], want) {
				t.Errorf("%s: %s: %q, want %q", tc.name, k, bad["v."+k], want)
			}
		}
	}
}

// TestWizardAddress: an address holds all that was chosen, however much that is.
func TestWizardAddress(t *testing.T) {
	s := shipped(t, "../../barclamp.yaml", 1000)
	w := opened(s, url.Values{"name": {"big"}, "nodes": {"101-1100"}, "v.flannel-backend": {"udp"}})
	w.place()
	at := w.address(stepReview)
	if len(at) > 500 {
		t.Errorf("the address of 1000 nodes in a row has %d bytes", len(at))
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	again := opened(s, u.Query())
	if again.Into != "big" || !slices.Equal(again.Nodes, w.Nodes) || again.Values["flannel-backend"] != "udp" {
		t.Errorf("%+v", again.chosen)
	}
	for i := range w.In {
		if writeIDs(again.In[i]) != writeIDs(w.In[i]) {
			t.Errorf("service %d: %v, want %v", i, again.In[i], w.In[i])
		}
	}
	if got := readIDs("1,x,3-5,9-7,18446744073709551615,4-"); writeIDs(got) != "1,3-5" {
		t.Errorf("a list with mistakes: %v", got)
	}
}
