package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// users is which node-roles are given something of which secrets.
type users struct {
	of    map[crowbar.ID][]crowbar.ID // secret -> node-roles, parents first
	kinds map[crowbar.ID]string       // secret -> how its key is generated
}

// usersOf asks of every node-role what it is given that the host makes. A leaf uses its authority as well.
func usersOf(s *crowbar.Snapshot) (users, error) {
	u := users{of: map[crowbar.ID][]crowbar.ID{}, kinds: map[crowbar.ID]string{}}
	for nr := range s.NodeRoles() {
		in, err := attrib.Collect(s, nr)
		if err != nil {
			return u, err
		}
		for _, c := range in.Computed {
			names := []string{c.Secret()}
			if c.Leaf != nil {
				names = append(names, crowbar.AuthoritySecret(c.Leaf.Authority))
			}
			for _, n := range names {
				sec := keptAt(s, c.Deployment, n)
				if sec == nil {
					continue
				}
				if !slices.Contains(u.of[sec.ID], nr.ID) {
					u.of[sec.ID] = append(u.of[sec.ID], nr.ID)
				}
				if c.Generate != "" {
					u.kinds[sec.ID] = c.Generate
				}
			}
		}
	}
	for _, list := range u.of {
		slices.SortFunc(list, func(a, b crowbar.ID) int {
			return cmp.Or(cmp.Compare(s.NodeRole(a).Cohort, s.NodeRole(b).Cohort), cmp.Compare(a, b))
		})
	}
	return u, nil
}

// keptAt is a secret of a deployment, or of the nearest one above that has it.
func keptAt(s *crowbar.Snapshot, deployment crowbar.ID, name string) *crowbar.Secret {
	for at, hops := s.Deployment(deployment), 0; at != nil && hops < 64; at, hops = s.Deployment(at.Parent), hops+1 {
		if sec := s.SecretNamed(at.ID, name); sec != nil {
			return sec
		}
	}
	return nil
}

// Certificates is every authority, leaf and key of the state, authorities first.
func (e *Engine) Certificates() ([]crowbar.Certificate, error) {
	s := e.View()
	u, err := usersOf(s)
	if err != nil {
		return nil, err
	}
	out := []crowbar.Certificate{}
	for sec := range s.Secrets() {
		c, ok, err := e.PKI.Look(sec)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if dep := s.Deployment(sec.Deployment); dep != nil {
			c.Deployment = dep.Name
		}
		for _, id := range u.of[sec.ID] {
			c.UsedBy = append(c.UsedBy, spelled(s, s.NodeRole(id)))
		}
		if sec.Rotation != nil {
			c.Waits = waits(s, u.of[sec.ID])
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b crowbar.Certificate) int {
		return cmp.Or(strings.Compare(a.Deployment, b.Deployment), strings.Compare(a.What, b.What), strings.Compare(a.Node, b.Node), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

// waits is a line for each node-role that a phase waits for.
func waits(s *crowbar.Snapshot, list []crowbar.ID) []string {
	out := []string{}
	for _, nr := range graph.Unsettled(s, list) {
		why := graph.Why(s, nr.ID)
		if why == "" {
			why = nr.State.String()
		}
		out = append(out, spelled(s, nr)+": "+why)
	}
	return out
}

func spelled(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	node, role := nr.Node.String(), nr.Role.String()
	if n := s.Node(nr.Node); n != nil {
		node = n.Short()
	}
	if r := s.Role(nr.Role); r != nil {
		role = r.Name
	}
	return node + "/" + role
}

// Renew makes the leaves anew that are wished, by having the node-roles applied that are given them, and says which they are.
// Those whose node-role cannot run now are a Conflict if they were named; if not, they are left for later.
func (e *Engine) Renew(ctx context.Context, w crowbar.RenewWish) (names []string, err error) {
	err = e.change(ctx, func(d *draft) error {
		names = []string{}
		u, err := usersOf(d.s)
		if err != nil {
			return err
		}
		var runs []crowbar.ID
		for _, sec := range e.wished(d.s, w) {
			if left := graph.Unsettled(d.s, u.of[sec.ID]); len(left) > 0 || !mayBegin(d.s, u.of[sec.ID]) {
				if w.Name != "" && w.Node != "" {
					return crowbar.Errorf(crowbar.Conflict, "%s is not made anew now: %s", sec.Name, strings.Join(waits(d.s, u.of[sec.ID]), "; "))
				}
				continue
			}
			names = append(names, sec.Name)
			runs = append(runs, u.of[sec.ID]...)
			if w.All {
				d.drop(sec) // the run finds none, and makes one
			}
		}
		return d.add(graph.Refresh(d.s, runs), nil)
	})
	return names, err
}

func mayBegin(s *crowbar.Snapshot, list []crowbar.ID) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(id crowbar.ID) bool { return !graph.MayBegin(s, s.NodeRole(id)) })
}

// wished is the leaves that a wish is about.
func (e *Engine) wished(s *crowbar.Snapshot, w crowbar.RenewWish) []*crowbar.Secret {
	var out []*crowbar.Secret
	for sec := range s.Secrets() {
		parts := strings.SplitN(sec.Name, "/", 3)
		if parts[0] != "leaf" || len(parts) < 3 {
			continue
		}
		named := w.Name == "" || w.Name == sec.Name || w.Name == parts[1]
		if named && (w.Node == "" || w.Node == parts[2]) && (w.All || e.PKI.Due(sec)) {
			out = append(out, sec)
		}
	}
	return out
}
