package attrib

import (
	"net/netip"
	"regexp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// compute asks for the value of an attrib that the host makes. It belongs to the deployment in which its role is; a leaf,
// to the one in which its authority is.
func compute(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib) (crowbar.Computed, error) {
	c := crowbar.Computed{Attrib: a.Name, Generate: a.Generate, Authority: a.Authority, Deployment: nr.Deployment}
	if a.Role != 0 {
		c.Deployment = home(s, nr.Deployment, a.Role)
	}
	if a.Leaf == nil {
		return c, nil
	}
	for authority := range s.Attribs() {
		if authority.Authority == a.Leaf.Authority {
			c.Deployment = home(s, nr.Deployment, authority.Role)
		}
	}
	n := s.Node(nr.Node)
	if n == nil {
		return c, crowbar.Errorf(crowbar.NotFound, "attrib %q: node %s is gone", a.Name, nr.Node)
	}
	c.Node = n.Short()
	leaf, err := fill(s, nr, n, a)
	c.Leaf = leaf
	return c, err
}

var wordRule = regexp.MustCompile(`\{\{\s*(node|address|attrib\s+([-_.a-zA-Z0-9]+))\s*\}\}`)

// filler replaces words in a leaf's names, and keeps the first thing that is wrong.
type filler struct {
	s   *crowbar.Snapshot
	nr  *crowbar.NodeRole
	n   *crowbar.Node
	a   *crowbar.Attrib
	err error
}

func fill(s *crowbar.Snapshot, nr *crowbar.NodeRole, n *crowbar.Node, a *crowbar.Attrib) (*crowbar.Leaf, error) {
	f := &filler{s: s, nr: nr, n: n, a: a}
	l := *a.Leaf
	l.CommonName, l.Organization, l.DNS, l.IP = f.text(l.CommonName), f.texts(l.Organization), f.texts(l.DNS), f.texts(l.IP)
	for _, ip := range l.IP {
		if _, err := netip.ParseAddr(ip); err != nil && f.err == nil {
			f.err = crowbar.Errorf(crowbar.Invalid, "attrib %q: %q is not an IP address for a certificate of node %q: set the node's address, or mend the leaf in the barclamp", a.Name, ip, n.Name)
		}
	}
	return &l, f.err
}

func (f *filler) texts(list []string) []string {
	var out []string
	for _, t := range list {
		out = append(out, f.text(t))
	}
	return out
}

func (f *filler) text(t string) string {
	return wordRule.ReplaceAllStringFunc(t, func(word string) string {
		m := wordRule.FindStringSubmatch(word)
		switch {
		case m[1] == "node":
			return f.n.Short()
		case m[1] == "address":
			return f.n.Address
		}
		other := f.s.AttribNamed(m[2])
		if other == nil || computed(other) {
			if f.err == nil {
				f.err = crowbar.Errorf(crowbar.NotFound, "attrib %q asks for attrib %q, which no barclamp has as a plain value: mend the leaf in the barclamp", f.a.Name, m[2])
			}
			return ""
		}
		v, _ := resolve(f.s, f.nr, other, false)
		if f.err == nil && (IsSecret(other) || crowbar.HasSealed(v)) {
			f.err = crowbar.Errorf(crowbar.Invalid, "attrib %q asks for attrib %q, which is secret and cannot stand in a certificate: mend the leaf in the barclamp", f.a.Name, m[2])
		}
		return crowbar.Text(v)
	})
}
