// Package zone reads DNS pools out of a snapshot: which name stands for which servers. It does not know how names are
// served, or which of the servers are well.
package zone

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The roles and attribs that make a pool.
const (
	memberRole = "k8s-master"
	serverRole = "dns-pool"
	nameAttrib = "kubernetes-pool-name"
	portAttrib = "kubernetes-api-port"
	ttlAttrib  = "dns-pool-ttl"
)

// Pool is one name that stands for several servers.
type Pool struct {
	Deployment crowbar.ID
	Name       string // lower case, without the last dot
	Port       int    // TCP port on which members serve
	TTL        int    // seconds, 1 to 5
	Members    []Host // settled API servers, by name
	Servers    []Host // settled name servers of the pool, by name
}

// Host is a node.
type Host struct {
	Node    string `json:"node"` // short host name
	Address string `json:"address"`
}

// Addresses is the members' addresses.
func (p Pool) Addresses() []string {
	out := make([]string, len(p.Members))
	for i, m := range p.Members {
		out[i] = m.Address
	}
	return out
}

// Pools is the pool of every deployment that has API servers bound, by name. Membership is a view of the state: who is
// settled is in, who is unbound or failed is not.
func Pools(s *crowbar.Snapshot) []Pool {
	master := s.RoleNamed(memberRole)
	if master == nil {
		return nil
	}
	var out []Pool
	for d := range s.Deployments() {
		if len(s.NodeRolesOf(d.ID, master.ID)) == 0 {
			continue
		}
		p := Pool{Deployment: d.ID, Members: settled(s, d.ID, master)}
		p.Name, _ = value(s, d, nameAttrib).(string)
		p.Name = strings.ToLower(strings.Trim(p.Name, "."))
		if p.Name == "" {
			continue
		}
		p.Port = number(value(s, d, portAttrib), 6443)
		p.TTL = min(max(number(value(s, d, ttlAttrib), 2), 1), 5)
		if r := s.RoleNamed(serverRole); r != nil {
			p.Servers = settled(s, d.ID, r)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func settled(s *crowbar.Snapshot, deployment crowbar.ID, r *crowbar.Role) []Host {
	var out []Host
	for _, nr := range s.NodeRolesOf(deployment, r.ID) {
		if n := s.Node(nr.Node); nr.Settled() && n != nil && n.Address != "" {
			out = append(out, Host{Node: n.Short(), Address: n.Address})
		}
	}
	slices.SortFunc(out, func(a, b Host) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// value is what is committed for an attrib in the nearest deployment upward whose role has it, else its default.
func value(s *crowbar.Snapshot, d *crowbar.Deployment, name string) any {
	a := s.AttribNamed(name)
	if a == nil {
		return nil
	}
	seen := map[crowbar.ID]bool{}
	for ; d != nil && !seen[d.ID]; d = s.Deployment(d.Parent) {
		seen[d.ID] = true
		if dr := s.DeploymentRoleOf(d.ID, a.Role); dr != nil {
			if v := dig(dr.Committed, a.Map); v != nil {
				return v
			}
			break
		}
	}
	return a.Default
}

func dig(at any, path string) any {
	for _, word := range strings.Split(path, "/") {
		m, _ := at.(crowbar.Data)
		at = m[word]
	}
	return at
}

func number(v any, otherwise int) int {
	if f, ok := v.(float64); ok && f >= 1 {
		return int(f)
	}
	return otherwise
}
