package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/picture"
)

// graphPage is what comes before what: the roles of a deployment, or what is on a node.
type graphPage struct {
	Deployment *crowbar.Deployment
	Node       *crowbar.Node // nil = of a deployment
	Mark       crowbar.State
	Counts     counts
	Drawn      drawn
	Critical   []*spot // in order
	Takes      crowbar.Duration
}

// drawn is a picture with everything in its place.
type drawn struct {
	Title         string
	Width, Height int
	Bands         []picture.Band
	Lines         []stroke
	Spots         []*spot // by cohort and name
}

// spot is a box: a role, or a node-role.
type spot struct {
	Key, Name, Note string
	State           crowbar.State
	Link, About     string
	Cohort          int
	Elsewhere       bool // on another node than the page's
	Critical        bool
	After           []*spot // what comes right before it
	X, Y, W, H      int

	takes time.Duration
}

// stroke is a line between two.
type stroke struct {
	Path           string
	Soft, Critical bool
}

func (u *UI) deploymentGraph(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	d, err := deploymentAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	g := graphPage{Deployment: d, Counts: countsOf(s.States(d.ID))}
	g.Mark = g.Counts.State()
	var spots []*spot
	var edges []picture.Edge
	took := longest(s, func(run *crowbar.Run) bool { return run.Deployment == d.ID }, func(run *crowbar.Run) crowbar.ID { return run.Role })
	var roles []*crowbar.Role
	for role := range s.Roles() {
		if sp := spotOf(s, d, role); sp != nil {
			sp.takes = took[role.ID]
			spots, roles = append(spots, sp), append(roles, role)
		}
	}
	for _, role := range roles {
		for _, name := range role.Requires {
			for _, p := range standing(roles, name) {
				edges = append(edges, picture.Edge{From: p, To: role.Name})
			}
		}
		for _, later := range role.Preceeds {
			edges = append(edges, picture.Edge{From: role.Name, To: later, Soft: true})
		}
	}
	g.draw("Roles of deployment "+d.Name, spots, edges)
	return page{name: "graph", title: "Graph of " + d.Name, menu: "/deployments", live: "node_role.*", body: g}, nil
}

// spotOf is a role of a deployment, nil where it is on no node.
func spotOf(s *crowbar.Snapshot, d *crowbar.Deployment, role *crowbar.Role) *spot {
	var c counts
	var only *crowbar.NodeRole
	for nr := range s.EachOf(d.ID, role.ID) {
		c.add(nr.State)
		only = nr
	}
	if c.Total() == 0 {
		return nil
	}
	sp := &spot{Key: role.Name, Name: role.Name, State: c.State(), Cohort: role.Cohort, Note: fmt.Sprintf("%d of %d active", c.Active, c.Total()),
		About: role.Description, Link: "/roles/" + role.ID.String() + "?deployment=" + d.ID.String()}
	if c.Total() == 1 {
		sp.Link, sp.Note = "/node_roles/"+only.ID.String(), c.State().String()
	}
	return sp
}

// standing is the role of a name, or else those that provide it.
func standing(roles []*crowbar.Role, name string) []string {
	if slices.ContainsFunc(roles, func(r *crowbar.Role) bool { return r.Name == name }) {
		return []string{name}
	}
	var out []string
	for _, r := range roles {
		if slices.Contains(r.Provides, name) {
			out = append(out, r.Name)
		}
	}
	return out
}

func (u *UI) nodeGraph(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	n, err := nodeAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	g := graphPage{Node: n, Deployment: s.Deployment(n.Deployment)}
	took := longest(s, func(*crowbar.Run) bool { return true }, func(run *crowbar.Run) crowbar.ID { return run.NodeRole })
	var spots []*spot
	var edges []picture.Edge
	seen := map[crowbar.ID]bool{}
	add := func(nr *crowbar.NodeRole) {
		role, at := s.Role(nr.Role), s.Node(nr.Node)
		if seen[nr.ID] || role == nil || at == nil {
			return
		}
		seen[nr.ID] = true
		sp := &spot{Key: nr.ID.String(), Name: role.Name, State: nr.State, Note: nr.State.String(), Cohort: nr.Cohort, Link: "/node_roles/" + nr.ID.String(), About: nr.Status, takes: took[nr.ID]}
		if nr.Node != n.ID {
			sp.Elsewhere, sp.Note = true, "on "+short(24, at.Short())
			if at.System {
				sp.Note = "service"
			}
		}
		spots = append(spots, sp)
	}
	for nr := range s.EachOn(n.ID) {
		g.Counts.add(nr.State)
		add(nr)
		for _, l := range nr.Parents {
			if p := s.NodeRole(l.ID); p != nil {
				add(p)
				edges = append(edges, picture.Edge{From: p.ID.String(), To: nr.ID.String(), Soft: l.Soft})
			}
		}
	}
	g.Mark = g.Counts.State()
	g.draw("Node-roles of "+n.Name, spots, edges)
	return page{name: "graph", title: "Graph of " + n.Short(), menu: "/nodes", live: "node_role.*", body: g}, nil
}

// longest is how long the longest good run of each took that is on record.
func longest(s *crowbar.Snapshot, take func(*crowbar.Run) bool, of func(*crowbar.Run) crowbar.ID) map[crowbar.ID]time.Duration {
	out := map[crowbar.ID]time.Duration{}
	for run := range s.Runs() {
		if !run.Remove && (run.Outcome == "changed" || run.Outcome == "unchanged") && take(run) {
			out[of(run)] = max(out[of(run)], run.Finished.Sub(run.Started))
		}
	}
	return out
}

// draw gives everything its place, and marks the chain that takes longest.
func (g *graphPage) draw(title string, spots []*spot, edges []picture.Edge) {
	at := map[string]*spot{}
	from := picture.Graph{Title: title, Ranked: true, Edges: edges}
	for _, sp := range spots {
		at[sp.Key] = sp
		from.Vertices = append(from.Vertices, picture.Vertex{Key: sp.Key, Label: short(40, sp.Name), Note: sp.Note + "    ", Mark: "  ", Rank: sp.Cohort})
	}
	slices.SortFunc(spots, func(a, b *spot) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	l := from.Reduced().Layout(picture.Across)
	for _, b := range l.Boxes {
		sp := at[b.Key]
		sp.X, sp.Y, sp.W, sp.H = b.X, b.Y, b.W, b.H
	}
	for _, e := range l.Edges {
		at[e.To].After = append(at[e.To].After, at[e.From])
	}
	g.critical(spots)
	g.Drawn = drawn{Title: title, Width: l.Width, Height: l.Height, Bands: l.Bands, Spots: spots}
	for _, line := range l.Lines {
		g.Drawn.Lines = append(g.Drawn.Lines, stroke{line.Path(picture.Across), line.Soft, g.follows(at[line.From], at[line.To])})
	}
}

// critical finds the chain that takes longest together by what is on record; spots come in order of cohort, so that what comes
// before one has been looked at before it.
func (g *graphPage) critical(spots []*spot) {
	whole, via := map[*spot]time.Duration{}, map[*spot]*spot{}
	var end *spot
	for _, sp := range spots {
		for _, p := range sp.After {
			if p.Cohort >= sp.Cohort {
				continue // a circle, or what says it comes later: no chain goes through it
			}
			if via[sp] == nil || whole[p] > whole[via[sp]] {
				via[sp] = p
			}
		}
		whole[sp] = sp.takes + whole[via[sp]]
		if end == nil || whole[sp] > whole[end] {
			end = sp
		}
	}
	if end == nil || whole[end] == 0 {
		return
	}
	g.Takes = crowbar.Duration(whole[end])
	for sp := end; sp != nil; sp = via[sp] {
		sp.Critical = true
		g.Critical = append(g.Critical, sp)
	}
	slices.Reverse(g.Critical)
}

// follows says that two come right after each other on the chain that takes longest.
func (g *graphPage) follows(a, b *spot) bool {
	i := slices.Index(g.Critical, a)
	return i >= 0 && i+1 < len(g.Critical) && g.Critical[i+1] == b
}

// Told is what a reader without the picture is told of a box.
func (sp *spot) Told() string {
	text := sp.Name + ": " + sp.State.String()
	if sp.Note != sp.State.String() {
		text += ", " + sp.Note
	}
	if sp.Critical {
		text += ", on the critical path"
	}
	return text
}
