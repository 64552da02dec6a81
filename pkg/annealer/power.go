package annealer

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// reboot answers before the node goes down, so that whoever asked learns that it was asked.
const reboot = `(sleep 1; systemctl reboot || reboot) </dev/null >/dev/null 2>&1 &`

// Reboot has a server start anew, by the jig that its roles are run by. It is a Conflict while a role runs there, and on
// the machine that the daemon itself is on.
func (a *Annealer) Reboot(ctx context.Context, node crowbar.ID) error {
	s := a.Engine.View()
	n := s.Node(node)
	if n == nil {
		return crowbar.Errorf(crowbar.NotFound, "reboot: there is no node %d", node)
	}
	for _, nr := range s.NodeRolesOn(node) {
		if r := s.Role(nr.Role); nr.State == crowbar.Transition && r != nil {
			return crowbar.Errorf(crowbar.Conflict, "reboot node %q: %s is running there: wait for its end", n.Name, r.Name)
		}
	}
	name := n.Jig
	if name == "" {
		name = "ssh"
	}
	j, ok := a.Jigs[name]
	switch {
	case n.System || name == "local":
		return crowbar.Errorf(crowbar.Conflict, "reboot node %q: it is the daemon's own machine, or none: do that by hand", n.Name)
	case !ok:
		return crowbar.Errorf(crowbar.Conflict, "reboot node %q: this daemon has no jig %q", n.Name, name)
	}
	conn, err := j.Dial(ctx, n)
	if err != nil {
		return fmt.Errorf("reboot node %q: %w", n.Name, err)
	}
	defer conn.Close()
	if _, err := jig.Run(ctx, conn, jig.Script(reboot)); err != nil {
		return fmt.Errorf("reboot node %q: %w", n.Name, err)
	}
	a.Log.Info("reboot", "node", n.Name)
	return nil
}
