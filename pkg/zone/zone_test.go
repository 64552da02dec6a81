package zone

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestPools(t *testing.T) {
	s := crowbar.NewSnapshot()
	put := func(o ...crowbar.Object) {
		for _, one := range o {
			s = s.Apply(s.Rev()+1, crowbar.Change{Put: one})
		}
	}
	put(&crowbar.Role{ID: 1, Name: "k8s-master"}, &crowbar.Role{ID: 2, Name: "dns-pool"}, &crowbar.Role{ID: 3, Name: "k8s-config"},
		&crowbar.Attrib{ID: 4, Name: "kubernetes-pool-name", Role: 3, Map: "kubernetes/pool/name", Default: "API.example.com."},
		&crowbar.Attrib{ID: 5, Name: "kubernetes-api-port", Role: 3, Map: "kubernetes/api/port", Default: 6443.0},
		&crowbar.Attrib{ID: 6, Name: "dns-pool-ttl", Role: 2, Map: "dns_pool/ttl", Default: 60.0},
		&crowbar.Deployment{ID: 10, Name: "system"}, &crowbar.Deployment{ID: 11, Name: "k8s", Parent: 10}, &crowbar.Deployment{ID: 12, Name: "other", Parent: 10},
		&crowbar.DeploymentRole{ID: 13, Deployment: 10, Role: 3, Committed: crowbar.Data{"kubernetes": crowbar.Data{"api": crowbar.Data{"port": 443.0}}}},
		&crowbar.Node{ID: 21, Name: "b.example.com", Address: "10.0.0.2"}, &crowbar.Node{ID: 22, Name: "a.example.com", Address: "10.0.0.1"},
		&crowbar.Node{ID: 23, Name: "c.example.com", Address: "10.0.0.3"}, &crowbar.Node{ID: 24, Name: "d.example.com"})
	master := func(id, node crowbar.ID, st crowbar.State, runs int, removing bool) {
		put(&crowbar.NodeRole{ID: id, Deployment: 11, Node: node, Role: 1, State: st, RunCount: runs, Removing: removing})
	}
	master(31, 21, crowbar.Active, 1, false)
	master(32, 22, crowbar.Todo, 2, false) // runs again: it serves meanwhile
	master(33, 23, crowbar.Todo, 0, false) // never ran
	master(34, 24, crowbar.Active, 1, false)
	put(&crowbar.NodeRole{ID: 35, Deployment: 11, Node: 23, Role: 2, State: crowbar.Active, RunCount: 1})

	want := Pool{Deployment: 11, Name: "api.example.com", Port: 443, TTL: 5, Members: []Host{{"a", "10.0.0.1"}, {"b", "10.0.0.2"}}, Servers: []Host{{"c", "10.0.0.3"}}}
	if d := cmp.Diff([]Pool{want}, Pools(s)); d != "" {
		t.Error(d)
	}
	for name, gone := range map[string]func(){"in error": func() { master(31, 21, crowbar.Error, 1, false) }, "unbound": func() { master(31, 21, crowbar.Active, 1, true) }} {
		t.Run(name, func(t *testing.T) {
			gone()
			if got := Pools(s)[0].Addresses(); len(got) != 1 || got[0] != "10.0.0.1" {
				t.Errorf("members are %v", got)
			}
		})
	}
}

func TestNoPool(t *testing.T) {
	if p := Pools(crowbar.NewSnapshot()); len(p) != 0 {
		t.Errorf("%v", p)
	}
}
