package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/network"
)

// CreateNodeIn is CreateNode of a server that says in which network it is and by which address (with or without prefix
// length): it wants that address there, and has the network's role bound, all or nothing.
func (e *Engine) CreateNodeIn(ctx context.Context, n crowbar.Node, in crowbar.ID, address string) (*crowbar.Node, error) {
	err := e.change(ctx, func(d *draft) error {
		net := d.s.Network(in)
		if net == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no network %d", in)
		}
		n := n
		n.Hint = network.Wished(n.Hint, net, address)
		if err := createNode(d, n); err != nil {
			return err
		}
		r, made := d.s.RoleNamed(network.RoleName(net.Name)), d.s.NodeNamed(n.Name)
		if r == nil || made == nil {
			return crowbar.Errorf(crowbar.Conflict, "network %q has no role to bind", net.Name)
		}
		if d.s.NodeRoleOn(made.ID, r.ID) != nil {
			return nil
		}
		_, err := bind(d, r.ID, made.ID, made.Deployment)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("create node %q: %w", n.Name, err)
	}
	return e.View().NodeNamed(n.Name), nil
}
