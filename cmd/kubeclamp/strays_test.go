package main

import (
	"context"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// leave has something in the cluster that is of no node.
func (r *rehearsal) leave(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := crowbar.Stray{Role: args[0], What: args[1], Name: args[2], Address: args[3], Says: "it is of no node", Mend: crowbar.Mend(args[4])}
	if x.Mend == crowbar.MendByHand {
		x.Remedy = "stop it"
	}
	r.left = append(r.left, x)
}

// Knows says that two roles can tell.
func (*rehearsal) Knows(name, _ string) bool { return name == "etcd" || name == "k8s-minion" }

// Look tells what was left.
func (r *rehearsal) Look(_ context.Context, w *crowbar.Work, _ string, _ crowbar.Data) (crowbar.Data, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dark[w.Node.Short()] {
		return nil, crowbar.Errorf(crowbar.Unavailable, "reach node %s: no answer in 10s", w.Node.Short())
	}
	return role.Found(slices.DeleteFunc(slices.Clone(r.left), func(x crowbar.Stray) bool { return x.Role != w.Role.Name }))
}

// Do takes it out, unless the script says that this fails.
func (r *rehearsal) Do(_ context.Context, w *crowbar.Work, _ string, args crowbar.Data) (crowbar.Data, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if why := r.said[w.Node.Short()+"/"+w.Role.Name]; why != "" {
		return nil, crowbar.Errorf(crowbar.Unavailable, "%s", why)
	}
	r.left = slices.DeleteFunc(r.left, func(x crowbar.Stray) bool { return x.Name == args["node"] })
	return nil, nil
}
