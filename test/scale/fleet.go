package main

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const masters = 3

// catalog is a barclamp in the shape of the real one: a chain of implicit roles on each node, small cluster roles on three
// masters, and a worker role that needs both and looks at the masters, as k8s-minion does.
func catalog(roles int) *crowbar.Catalog {
	c := &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "scale", Description: "A fleet that is simulated"},
		Jigs: []crowbar.Jig{{Name: "noop", Class: "noop", Active: true}}}
	add := func(r crowbar.Role, requires ...string) {
		r.Jig, r.Requires = "noop", requires
		c.Roles = append(c.Roles, r)
		for i := range 3 {
			name := fmt.Sprintf("%s-%d", r.Name, i)
			c.Attribs = append(c.Attribs, crowbar.CatalogAttrib{RoleName: r.Name, Attrib: crowbar.Attrib{Name: name, Map: "scale/" + r.Name + "/" + name, Default: "value", Writable: true, Schema: crowbar.Data{"type": "str"}}})
		}
	}
	service, implicit, cluster := crowbar.Flags{Service: true}, crowbar.Flags{Implicit: true}, crowbar.Flags{Cluster: true, Milestone: true}
	lock := func(name string) []crowbar.Exclusive {
		return []crowbar.Exclusive{{Name: name, Limit: 1, Gate: "peers-active"}}
	}
	add(crowbar.Role{Name: "config", Flags: service})
	add(crowbar.Role{Name: "prep", Flags: implicit}, "config")
	add(crowbar.Role{Name: "proxy", Flags: implicit}, "prep", "config")
	add(crowbar.Role{Name: "store", Flags: cluster, Exclusive: lock("store-membership")}, "prep", "proxy")
	add(crowbar.Role{Name: "master", Flags: cluster, Exclusive: lock("master-membership")}, "prep", "proxy", "store", "config")
	before := "proxy"
	for i := range roles - 4 { // prep, proxy, overlay, worker
		name := fmt.Sprintf("step%02d", i)
		add(crowbar.Role{Name: name, Flags: implicit}, "prep", before)
		before = name
	}
	add(crowbar.Role{Name: "overlay", Flags: implicit}, before, "store", "config")
	add(crowbar.Role{Name: "worker", Flags: crowbar.Flags{Milestone: true}, Peers: []string{"master"}}, "overlay", "master", "config")
	return c
}

// build makes the nodes and binds everything, many at once, as callers of the API would.
func (p *process) build(ctx context.Context, nodes int) error {
	dep, err := p.engine.CreateDeployment(ctx, "fleet", "", 0)
	if err != nil {
		return err
	}
	p.deployment = dep.ID
	s := p.engine.View()
	for i := range masters {
		n, err := p.node(ctx, i)
		if err != nil {
			return err
		}
		for _, name := range []string{"store", "master"} {
			if _, err := p.engine.Bind(ctx, s.RoleNamed(name).ID, n, dep.ID); err != nil {
				return err
			}
		}
	}
	return each(nodes, 256, func(i int) error {
		n, err := p.node(ctx, i)
		if err != nil {
			return err
		}
		_, err = p.engine.Bind(ctx, s.RoleNamed("worker").ID, n, dep.ID)
		return err
	})
}

// node is the i-th node, made if it is not there.
func (p *process) node(ctx context.Context, i int) (crowbar.ID, error) {
	name := fmt.Sprintf("n%05d.scale.internal", i)
	if n := p.engine.View().NodeNamed(name); n != nil {
		return n.ID, nil
	}
	n, err := p.engine.CreateNode(ctx, crowbar.Node{Name: name, Address: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), Jig: "noop", Deployment: p.deployment, Alive: true, Available: true})
	if err != nil {
		return 0, err
	}
	return n.ID, nil
}

// each calls do for 0..n-1, up to limit at once, and gives the first error.
func each(n, limit int, do func(i int) error) error {
	work, ended := make(chan int), make(chan error, limit)
	for range limit {
		go func() {
			var first error
			for i := range work {
				if err := do(i); err != nil && first == nil {
					first = err
				}
			}
			ended <- first
		}()
	}
	for i := range n {
		work <- i
	}
	close(work)
	var first error
	for range limit {
		if err := <-ended; err != nil && first == nil {
			first = err
		}
	}
	return first
}
