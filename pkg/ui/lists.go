package ui

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

type networkRow struct {
	*crowbar.Network
	Ranges         []*crowbar.Range
	Router         *crowbar.Router
	DeploymentName string
	Used           int
}

func (u *UI) networks(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	used := map[crowbar.ID]int{}
	for a := range s.Allocations() {
		used[a.Network]++
	}
	var out []networkRow
	for n := range s.Networks() {
		r := networkRow{Network: n, Ranges: s.RangesOf(n.ID), Router: s.RouterOf(n.ID), Used: used[n.ID]}
		if d := s.Deployment(n.Deployment); d != nil {
			r.DeploymentName = d.Name
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b networkRow) int { return cmp.Compare(a.Name, b.Name) })
	return page{name: "networks", title: "Networks", menu: "/networks", live: "network*", body: out}, nil
}

type barclampRow struct {
	*crowbar.Barclamp
	Roles []*crowbar.Role
}

func (u *UI) barclamps(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	roles := map[crowbar.ID][]*crowbar.Role{}
	for r := range s.Roles() {
		roles[r.Barclamp] = append(roles[r.Barclamp], r)
	}
	var out []barclampRow
	for b := range s.Barclamps() {
		slices.SortFunc(roles[b.ID], func(a, b *crowbar.Role) int {
			return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.Name, b.Name))
		})
		out = append(out, barclampRow{b, roles[b.ID]})
	}
	slices.SortFunc(out, func(a, b barclampRow) int { return cmp.Compare(a.Name, b.Name) })
	return page{name: "barclamps", title: "Barclamps", menu: "/barclamps", live: "barclamp.*,role.*", body: out}, nil
}

// rolePage is one role: what it asks for and what can be set.
type rolePage struct {
	*crowbar.Role
	BarclampName string
	Words        []string // its flags
	Attribs      []*crowbar.Attrib
	Children     []string // roles that require it
	Uses         []deployment
	Bound        counts
	Only         *crowbar.Deployment // whose node-roles are listed; nil = of all
	Steps        []step              // the most urgent first
	More         int                 // that are not listed
}

func (u *UI) role(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	key := r.PathValue("id")
	role := s.RoleNamed(key)
	if id, err := strconv.ParseUint(key, 10, 64); role == nil && err == nil {
		role = s.Role(crowbar.ID(id))
	}
	if role == nil {
		return page{}, crowbar.Errorf(crowbar.NotFound, "There is no role %q.", short(80, key))
	}
	p := rolePage{Role: role, Words: flags(role.Flags)}
	if b := s.Barclamp(role.Barclamp); b != nil {
		p.BarclampName = b.Name
	}
	for a := range s.Attribs() {
		if a.Role == role.ID {
			c := *a
			if c.Secret && c.Default != nil && c.Default != "" {
				c.Default = "(secret)"
			}
			p.Attribs = append(p.Attribs, &c)
		}
	}
	slices.SortFunc(p.Attribs, func(a, b *crowbar.Attrib) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
	for o := range s.Roles() {
		if slices.Contains(o.Requires, role.Name) {
			p.Children = append(p.Children, o.Name)
		}
	}
	slices.Sort(p.Children)
	for d := range s.Deployments() {
		e := deployment{Deployment: d}
		for nr := range s.EachOf(d.ID, role.ID) {
			e.Counts.add(nr.State)
			p.Bound.add(nr.State)
		}
		if e.Counts.Total() > 0 {
			e.Mark = e.Counts.State()
			p.Uses = append(p.Uses, e)
		}
	}
	if d, err := deploymentAt(s, r.URL.Query().Get("deployment")); err == nil {
		p.Only = d
	}
	u.places(s, &p)
	return page{name: "role", title: role.Name, menu: "/barclamps", live: "node_role.*,role.*", body: p}, nil
}

// places lists where a role is, what needs somebody first.
func (u *UI) places(s *crowbar.Snapshot, p *rolePage) {
	var all []*crowbar.NodeRole
	for d := range s.Deployments() {
		if p.Only == nil || p.Only.ID == d.ID {
			all = slices.AppendSeq(all, s.EachOf(d.ID, p.ID))
		}
	}
	urgent := []crowbar.State{crowbar.Error, crowbar.Transition, crowbar.Todo, crowbar.Blocked, crowbar.Proposed, crowbar.Active}
	slices.SortStableFunc(all, func(a, b *crowbar.NodeRole) int {
		return cmp.Or(cmp.Compare(slices.Index(urgent, a.State), slices.Index(urgent, b.State)), cmp.Compare(a.ID, b.ID))
	})
	why := u.Engine.WhyIn(s)
	for _, nr := range all[:min(len(all), mostListed)] {
		p.Steps = append(p.Steps, u.step(s, nr, why))
	}
	p.More = len(all) - len(p.Steps)
}

func flags(f crowbar.Flags) []string {
	var out []string
	for _, e := range []struct {
		is   bool
		word string
	}{{f.Milestone, "milestone"}, {f.Cluster, "cluster"}, {f.Implicit, "implicit"}, {f.Service, "service"}, {f.Bootstrap, "bootstrap"}, {f.Discovery, "discovery"},
		{f.Destructive, "destructive"}, {f.Abstract, "abstract"}, {f.Library, "library"}, {f.Powersave, "powersave"}} {
		if e.is {
			out = append(out, e.word)
		}
	}
	return out
}

type userPage struct {
	Users  []crowbar.User
	Tokens []crowbar.Token
}

func (u *UI) users(r *http.Request, _ *crowbar.Snapshot, _ Visitor) (page, error) {
	var p userPage
	if err := u.ask(r, "/api/v2/users", &p.Users); err != nil {
		return page{}, err
	}
	if err := u.ask(r, "/api/v2/tokens", &p.Tokens); err != nil {
		return page{}, err
	}
	return page{name: "users", title: "Users", menu: "/users", live: "user.*,token.*", body: p}, nil
}

type auditPage struct {
	Entries []crowbar.AuditEntry
	Further string
}

func (u *UI) audit(r *http.Request, _ *crowbar.Snapshot, _ Visitor) (page, error) {
	q := url.Values{"limit": {"100"}}
	if b, err := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64); err == nil && b > 0 {
		q.Set("before", strconv.FormatUint(b, 10))
	}
	var p auditPage
	if err := u.ask(r, "/api/v2/audit?"+q.Encode(), &p.Entries); err != nil {
		return page{}, err
	}
	if n := len(p.Entries); n == 100 {
		p.Further = "?before=" + strconv.FormatUint(p.Entries[n-1].Seq, 10)
	}
	return page{name: "audit", title: "Audit", menu: "/audit", body: p}, nil
}
