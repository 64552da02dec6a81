package native

import (
	"maps"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// identify finds out which node of the lists this is: the one with an address of this machine. One that is in no list goes by its
// host name, and by the address at which the server came in.
func (n *node) identify() error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	n.name, _, _ = strings.Cut(strings.ToLower(host), ".")
	if came := strings.Fields(n.Getenv("SSH_CONNECTION")); len(came) == 4 {
		n.address = came[2]
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, l := range barclamp.NodeLists {
		for _, name := range slices.Sorted(maps.Keys(n.lists[l.Role])) {
			address := n.lists[l.Role][name]
			if slices.ContainsFunc(own, func(a net.Addr) bool { ip, ok := a.(*net.IPNet); return ok && ip.IP.Equal(net.ParseIP(address)) }) {
				n.name, n.address = name, address
				return nil
			}
		}
	}
	return nil
}

// peers is what the role sees of others: of roles that have a list of nodes, all of those; of others, the one on this node.
func (n *node) peers() []role.Peer {
	var out []role.Peer
	for _, name := range append([]string{n.role.Name}, n.ancestors(n.role.Name)...) {
		if n.role.Peers != nil && !slices.Contains(n.role.Peers, name) {
			continue
		}
		list, listed := n.lists[name]
		if !listed {
			if wall, known := n.remembered(name); known {
				out = append(out, role.Peer{Role: name, Node: n.name, Address: n.address, State: crowbar.Active, Settled: true, Alive: true, Wall: wall})
			}
			continue
		}
		first, _ := n.value(barclamp.AttribFounder).(string)
		for _, other := range slices.Sorted(maps.Keys(list)) {
			p := role.Peer{Role: name, Node: other, Address: list[other], State: crowbar.Active, Settled: name != n.role.Name, Alive: true, First: other == first}
			if name == n.role.Name {
				p.State = crowbar.Transition // nobody says how far the others are
			}
			if other == n.name {
				p.Wall, _ = n.remembered(name)
			}
			out = append(out, p)
		}
	}
	return out
}

// before is the nodes of the same role that come first: the founder, then by name.
func (n *node) before(on role.Target) []role.Peer {
	var out []role.Peer
	for _, p := range on.PeersOf(n.role.Name) {
		if !on.First && p.Node != on.Node && (p.First || p.Node < on.Node) {
			out = append(out, p)
		}
	}
	return out
}

// ancestors is the roles that one comes after.
func (n *node) ancestors(name string) (out []string) {
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		for _, r := range n.catalog.Roles {
			if r.Name != todo[0] {
				continue
			}
			for _, p := range append(slices.Clone(r.Requires), preceding(n.catalog.Roles, r.Name)...) {
				if p != name && !slices.Contains(out, p) {
					out, todo = append(out, p), append(todo, p)
				}
			}
		}
	}
	return out
}

func preceding(roles []crowbar.Role, name string) (out []string) {
	for _, r := range roles {
		if slices.Contains(r.Preceeds, name) {
			out = append(out, r.Name)
		}
	}
	return out
}
