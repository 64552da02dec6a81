package zone

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// OwnService is the name of the daemon's own name server in DNS name filters. There is no other yet, and a filter of a
// service that there is not makes no names.
const OwnService = "system"

// Names is a zone that DNS name filters fill: the addresses of each name in it.
type Names struct {
	Zone  string              // lower case, without the last dot
	Hosts map[string][]string // first label -> addresses
}

// clause is one condition of a matcher.
type clause struct{ subject, attrib, value string }

var (
	clauseRule = regexp.MustCompile(`^\s*(?:(net\.category|net\.name|range\.name|deployment\.name)\s*==\s*|(node\.role)\s+has\s+|node\.attr\.([-_.a-zA-Z0-9]+)\s*==\s*)"([^"]*)"\s*$`)
	wordRule   = regexp.MustCompile(`\{\{\s*([^{}]*?)\s*\}\}`)
	labelRule  = regexp.MustCompile(`^[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?$`)
)

func parse(matcher string) ([]clause, error) {
	var out []clause
	for text := range strings.SplitSeq(matcher, ",") {
		m := clauseRule.FindStringSubmatch(text)
		if m == nil {
			return nil, crowbar.Errorf(crowbar.Invalid, `matcher: %q is no condition: there are net.category, net.name, range.name, deployment.name, node.attr.NAME == "x", and node.role has "x"; a comma stands between two`, strings.TrimSpace(text))
		}
		out = append(out, clause{subject: cmp.Or(m[1], m[2]), attrib: m[3], value: m[4]})
	}
	return out, nil
}

// CheckFilter says whether a filter can be understood.
func CheckFilter(f *crowbar.DNSNameFilter) error {
	if _, err := parse(f.Matcher); err != nil {
		return err
	}
	known := words(nil, &crowbar.Allocation{}, &crowbar.Node{}, &crowbar.Network{})
	for _, m := range wordRule.FindAllStringSubmatch(f.Template, -1) {
		if _, ok := known[m[1]]; !ok {
			return crowbar.Errorf(crowbar.Invalid, "template %q: there is no {{%s}}; there are node.name, node.id, node.mac, node.deployment, network.name, network.range, network.category", f.Template, m[1])
		}
	}
	if name := fill(f.Template, map[string]string{}); strings.ContainsAny(name, "{} ") || !strings.Contains(f.Template, ".") || name == "" {
		return crowbar.Errorf(crowbar.Invalid, "template %q: want a name with its zone, such as {{node.name}}.example.com", f.Template)
	}
	return nil
}

// words is what a template may ask for.
func words(s *crowbar.Snapshot, a *crowbar.Allocation, n *crowbar.Node, net *crowbar.Network) map[string]string {
	out := map[string]string{"node.name": n.Short(), "node.id": n.ID.String(), "node.mac": mac(n), "node.deployment": "",
		"network.name": net.Name, "network.category": net.Category, "network.range": ""}
	if s == nil {
		return out
	}
	if d := s.Deployment(n.Deployment); d != nil {
		out["node.deployment"] = d.Name
	}
	if r := s.Range(a.Range); r != nil {
		out["network.range"] = r.Name
	}
	return out
}

// mac is the node's first hardware address, as it was told (hint-admin-macs), with '-' for ':'.
func mac(n *crowbar.Node) string {
	v, _ := crowbar.Dig(n.Hint, "admin_macs")
	if list, ok := v.([]any); ok && len(list) > 0 {
		v = list[0]
	}
	first, _, _ := strings.Cut(crowbar.Text(v), ",")
	return strings.ReplaceAll(strings.TrimSpace(first), ":", "-")
}

func fill(template string, with map[string]string) string {
	return strings.ToLower(strings.Trim(wordRule.ReplaceAllStringFunc(template, func(w string) string {
		return with[wordRule.FindStringSubmatch(w)[1]]
	}), "."))
}

// Entries is the name of every allocation by every filter that takes it, by priority of the filter and then by
// allocation. A name that is none for DNS is left out.
func Entries(s *crowbar.Snapshot) []crowbar.DNSNameEntry {
	filters := slices.SortedFunc(s.DNSNameFilters(), func(a, b *crowbar.DNSNameFilter) int { return cmp.Compare(a.Priority, b.Priority) })
	var out []crowbar.DNSNameEntry
	for _, f := range filters {
		clauses, err := parse(f.Matcher)
		if err != nil || f.Service != OwnService {
			continue
		}
		for a := range s.Allocations() {
			n, net := s.Node(a.Node), s.Network(a.Network)
			if n == nil || net == nil || slices.ContainsFunc(clauses, func(c clause) bool { return !c.holds(s, a, n, net) }) {
				continue
			}
			e := crowbar.DNSNameEntry{ID: pair(a.ID, f.ID), Allocation: a.ID, Filter: f.ID, Name: fill(f.Template, words(s, a, n, net)), RRType: "AAAA", Address: a.IP().String()}
			if a.IP().Is4() {
				e.RRType = "A"
			}
			e.CreatedAt, e.UpdatedAt = a.CreatedAt, a.UpdatedAt
			if valid(e.Name) {
				out = append(out, e)
			}
		}
	}
	return out
}

// pair is a number that no other pair has (Cantor's): the id of an entry that is not stored.
func pair(a, b crowbar.ID) crowbar.ID { return (a+b)*(a+b+1)/2 + b }

func valid(name string) bool {
	labels := strings.Split(name, ".")
	return len(labels) > 1 && len(name) <= 253 && !slices.ContainsFunc(labels, func(l string) bool { return !labelRule.MatchString(l) })
}

func (c clause) holds(s *crowbar.Snapshot, a *crowbar.Allocation, n *crowbar.Node, net *crowbar.Network) bool {
	switch c.subject {
	case "net.category":
		return net.Category == c.value
	case "net.name":
		return net.Name == c.value
	case "range.name":
		r := s.Range(a.Range)
		return r != nil && r.Name == c.value
	case "deployment.name":
		d := s.Deployment(n.Deployment)
		return d != nil && d.Name == c.value
	case "node.role":
		r := s.RoleNamed(c.value)
		return r != nil && s.NodeRoleOn(n.ID, r.ID) != nil
	}
	return crowbar.Text(nodeValue(s, n, c.attrib)) == c.value
}

// nodeValue is an attrib as a node has it: what is said of the node, of the node-role on it, of its deployment, the default.
func nodeValue(s *crowbar.Snapshot, n *crowbar.Node, name string) any {
	a := s.AttribNamed(name)
	if a == nil || a.Secret {
		return nil
	}
	from := []crowbar.Data{n.Hint}
	d := s.Deployment(n.Deployment)
	if a.Role == 0 {
		from = append(from, n.Discovery)
	} else if nr := s.NodeRoleOn(n.ID, a.Role); nr != nil {
		if v := nr.Wall[a.Name]; v != nil {
			return v
		}
		from, d = append([]crowbar.Data{nr.Committed, nr.Sys}, n.Hint), s.Deployment(nr.Deployment)
	}
	for _, one := range from {
		if v, ok := crowbar.Dig(one, a.Map); ok {
			return v
		}
	}
	if a.Role == 0 {
		return a.Default
	}
	return value(s, d, name)
}

// Filled is the zones of all entries, by name; the text up to the first dot of an entry's name is the name in its zone.
func Filled(s *crowbar.Snapshot) []Names {
	zones := map[string]map[string][]string{}
	for _, e := range Entries(s) {
		host, in, _ := strings.Cut(e.Name, ".")
		if zones[in] == nil {
			zones[in] = map[string][]string{}
		}
		if ip, err := netip.ParseAddr(e.Address); err == nil && !slices.Contains(zones[in][host], ip.String()) {
			zones[in][host] = append(zones[in][host], ip.String())
		}
	}
	out := make([]Names, 0, len(zones))
	for in, hosts := range zones {
		for _, list := range hosts {
			slices.Sort(list)
		}
		out = append(out, Names{Zone: in, Hosts: hosts})
	}
	slices.SortFunc(out, func(a, b Names) int { return strings.Compare(a.Zone, b.Zone) })
	return out
}
