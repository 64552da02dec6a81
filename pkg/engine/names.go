package engine

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// label says what is wrong with one part of a host name.
func label(l string) error {
	switch {
	case l == "" || len(l) > 63:
		return fmt.Errorf("%q has %d characters, want 1 to 63", l, len(l))
	case l != strings.ToLower(l):
		return fmt.Errorf("%q is not in lower case: Kubernetes takes host names in lower case only, write %q", l, strings.ToLower(l))
	case l[0] == '-' || l[len(l)-1] == '-':
		return fmt.Errorf("%q begins or ends with a hyphen", l)
	}
	for _, c := range l {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q has a %q: only a-z, 0-9 and hyphens make a host name", l, c)
		}
	}
	return nil
}

func hostName(n string) error {
	if len(n) > 253 {
		return fmt.Errorf("it has %d characters, want 253 at most", len(n))
	}
	for l := range strings.SplitSeq(n, ".") {
		if err := label(l); err != nil {
			return err
		}
	}
	if short, _, _ := strings.Cut(n, "."); strings.Trim(short, "0123456789") == "" {
		return fmt.Errorf("%q is only digits and would be taken for an address", short)
	}
	return nil
}

// addressed refuses a node that people add without the address that its jig needs; a server that registers itself, as
// OpenCrowbar's do, may get one later.
func addressed(n crowbar.Node) error {
	if n.Address == "" && (n.Jig == "" || n.Jig == "ssh") {
		return crowbar.Errorf(crowbar.Invalid, "address: it is missing; want the IP address by which other nodes reach it")
	}
	return nil
}

// bootEnvs is what a node can boot into: its disk, discovery, or the installer of an operating system.
var bootEnvs = regexp.MustCompile(`^(local|sledgehammer|unknown|[a-zA-Z0-9][-._a-zA-Z0-9]*-install)$`)

// checkNode says whether the draft can hold this node, beside all others.
func checkNode(d *draft, n *crowbar.Node) error {
	if err := hostName(n.Name); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "name: %w", err)
	}
	if _, err := d.deployment(n.Deployment); err != nil {
		return err
	}
	if n.Address != "" {
		a, err := netip.ParseAddr(n.Address)
		if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
			return crowbar.Errorf(crowbar.Invalid, "address %q: want the one IP address by which other nodes reach it", n.Address)
		}
		n.Address = a.Unmap().String()
	}
	if n.BootEnv != "" && !bootEnvs.MatchString(n.BootEnv) {
		return crowbar.Errorf(crowbar.Invalid, "bootenv %q: there are local, sledgehammer, unknown, and NAME-install", n.BootEnv)
	}
	if n.SSH.Port < 0 || n.SSH.Port > 65535 {
		return crowbar.Errorf(crowbar.Invalid, "ssh port %d: want 1 to 65535, or 0 for 22", n.SSH.Port)
	}
	if n.Jig != "" && d.s.JigNamed(n.Jig) == nil {
		var known []string
		for j := range d.s.Jigs() {
			known = append(known, j.Name)
		}
		slices.Sort(known)
		return crowbar.Errorf(crowbar.Invalid, "jig %q: there is none of this name; there are %s", n.Jig, strings.Join(known, ", "))
	}
	for _, o := range d.s.NodesLike(n.Short(), n.Address) {
		switch {
		case o.ID == n.ID:
		case o.Name == n.Name:
			return crowbar.Errorf(crowbar.Conflict, "node %d (%s) has the name %q already: give this one another name", o.ID, o.Address, o.Name)
		case o.Short() == n.Short() && !o.System:
			return crowbar.Errorf(crowbar.Conflict, "node %q (%s) and %q (%s) would both be %q in the cluster: give one of them another first label", o.Name, o.Address, n.Name, n.Address, n.Short())
		case n.Address != "" && o.Address == n.Address:
			return crowbar.Errorf(crowbar.Conflict, "node %q has the address %s already: two nodes cannot share one", o.Name, o.Address)
		}
	}
	return nil
}
