package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// cluster is how the two things do that a cluster stands on: its etcd, and the pool of its API servers.
type cluster struct {
	Deployment *crowbar.Deployment
	Members    int // of etcd
	Well       int // of them, by their node-roles and nodes
	Ill        []step
	Pool       *poolPage
}

// Quorum is how many members of etcd have to be well.
func (c cluster) Quorum() int { return c.Members/2 + 1 }

// Spare is how many members may be lost.
func (c cluster) Spare() int { return max(0, c.Well-c.Quorum()) }

// Lost says that etcd has no quorum, by what is known.
func (c cluster) Lost() bool { return c.Members > 0 && c.Well < c.Quorum() }

// clusters is all deployments that have an etcd or API servers.
func (u *UI) clusters(s *crowbar.Snapshot) []cluster {
	etcd := s.RoleNamed("etcd")
	pools := u.pools(s)
	why := u.Engine.WhyIn(s)
	var out []cluster
	for d := range s.Deployments() {
		c := cluster{Deployment: d}
		if etcd != nil {
			for nr := range s.EachOf(d.ID, etcd.ID) {
				if nr.RunCount == 0 || nr.Removing {
					continue // no member yet, or on its way out
				}
				c.Members++
				if n := s.Node(nr.Node); n != nil && n.Alive && nr.State != crowbar.Error {
					c.Well++
				} else {
					c.Ill = append(c.Ill, u.step(s, nr, why))
				}
			}
		}
		for i := range pools {
			if pools[i].Deployment == d.ID {
				c.Pool = &pools[i]
			}
		}
		if c.Members > 0 || c.Pool != nil {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b cluster) int { return cmp.Compare(a.Deployment.Name, b.Deployment.Name) })
	return out
}

// poolPage is the pool of a deployment.
type poolPage struct {
	crowbar.PoolHealth
	DeploymentName string
	Clashes        string // a deployment that has the same name for its pool
	Out            []step // API servers that are no members, and why
}

// Bad says that some member does not answer.
func (p poolPage) Bad() bool {
	return slices.ContainsFunc(p.Members, func(m crowbar.PoolMember) bool { return m.Known && !m.Well })
}

// FailsOpen says that none answers, so that all are given out.
func (p poolPage) FailsOpen() bool {
	return len(p.Members) > 0 && p.Well() == 0 && !slices.ContainsFunc(p.Members, func(m crowbar.PoolMember) bool { return !m.Known })
}

func (u *UI) pools(s *crowbar.Snapshot) []poolPage {
	if u.Pools == nil {
		return nil
	}
	master := s.RoleNamed("k8s-master")
	why := u.Engine.WhyIn(s)
	var out []poolPage
	for _, p := range u.Pools() {
		d := s.Deployment(p.Deployment)
		if d == nil {
			continue
		}
		e := poolPage{PoolHealth: p, DeploymentName: d.Name}
		if o := s.Deployment(p.Clash); o != nil {
			e.Clashes = o.Name
		}
		if master != nil {
			for nr := range s.EachOf(d.ID, master.ID) {
				if !nr.Settled() {
					e.Out = append(e.Out, u.step(s, nr, why))
				}
			}
		}
		out = append(out, e)
	}
	return out
}

// ailing is what runs and is not well: the worst first.
func ailing(o overview) []cause {
	var lost, out []cause
	for _, c := range o.Clusters {
		ill := make([]place, len(c.Ill))
		for i, st := range c.Ill {
			ill[i] = place{st.ID, st.NodeName}
		}
		if c.Lost() {
			lost = append(lost, cause{Ails: true, Kind: crowbar.CauseError, Deployment: c.Deployment.Name, At: ill, Text: fmt.Sprintf("etcd has no quorum: %d of %d members are well, %d are needed", c.Well, c.Members, c.Quorum()),
				Remedy: "Bring back the nodes of its members; nothing in the cluster can be written before."})
		} else if c.Well < c.Members && c.Spare() == 0 {
			lost = append(lost, cause{Ails: true, Kind: crowbar.CauseNode, Deployment: c.Deployment.Name, At: ill, Text: fmt.Sprintf("etcd has just its quorum: %d of %d members are well", c.Well, c.Members), Remedy: "One more that is lost stops the cluster."})
		}
		if p := c.Pool; p != nil && p.Clashes != "" && c.Deployment.ID < p.Clash { // the other one need not say it again
			out = append(out, cause{Ails: true, Kind: crowbar.CauseError, Deployment: c.Deployment.Name, Link: "/dns", Text: fmt.Sprintf("deployment %s has the same pool name %s", p.Clashes, p.Name), Remedy: "Only one of the two is answered for: set kubernetes-pool-name of one, and commit it."})
		}
		if p := c.Pool; p != nil && p.Bad() {
			var says []string
			for _, m := range p.Members {
				if m.Known && !m.Well {
					says = append(says, m.Node+": "+cmp.Or(m.Error, "no answer"))
				}
			}
			out = append(out, cause{Ails: true, Kind: crowbar.CauseError, Deployment: c.Deployment.Name, Link: "/dns", Text: fmt.Sprintf("%d of %d API servers are out of the pool %s", len(p.Members)-p.Well(), len(p.Members), p.Name), Remedy: strings.Join(says, "; ")})
		}
	}
	for _, f := range o.Found {
		if f.Grade == crowbar.GradeWrong {
			lost = append(lost, cause{Ails: true, Kind: crowbar.CauseError, Deployment: "this daemon", Text: f.Check + ": " + f.Says, Remedy: f.Remedy})
		}
	}
	return append(lost, out...)
}

func (u *UI) dns(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	return page{name: "dns", title: "DNS pool", menu: "/dns", live: "node_role.*,node.*", body: u.pools(s)}, nil
}
