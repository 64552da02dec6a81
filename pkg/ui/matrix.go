package ui

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// perPart is how many rows of a matrix come with one answer; a script fetches the others as they come into sight.
const perPart = 100

// matrix is the roles of a deployment on its nodes.
type matrix struct {
	deployment
	Columns  []column
	Rows     []row
	Services []step // on the phantom
	Choices  []choice
	Filter   string
	Found    int
	From, To int
	Earlier  string
	Further  string
	Causes   []cause
	More     int
	Edits    []string // attribs that are proposed anew
	Writes   bool
}

// column is a role that is bound to some node.
type column struct {
	*crowbar.Role
	Counts  counts
	Bound   int
	DepRole crowbar.ID
}

// row is a node. A cell is the node-role there, nil for none.
type row struct {
	*crowbar.Node
	Elsewhere string // its own deployment, where that is another
	Dark      bool
	Cells     []*crowbar.NodeRole
}

// choice is a role that can be put on nodes.
type choice struct {
	Name, Description string
	Milestone         bool
}

func (u *UI) matrix(r *http.Request, s *crowbar.Snapshot, v Visitor) (page, error) {
	d, err := deploymentAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	q := r.URL.Query()
	m := matrix{deployment: u.deploymentOf(s, d), Filter: strings.TrimSpace(q.Get("q")), Writes: v.Writes()}
	u.fill(&m, s, q)
	name := "matrix"
	if q.Has("rows") && r.Header.Get("X-Part") != "" { // a script wants more rows
		name = "rows"
	}
	if name == "matrix" {
		m.Choices = choices(s)
		if m.Causes, m.More, err = u.needs(s, []deployment{m.deployment}); err != nil {
			return page{}, err
		}
		m.Causes = slices.DeleteFunc(m.Causes, func(c cause) bool { return c.Commit != 0 }) // the page's own button says it
		m.Edits = edits(s, d)
	}
	return page{name: name, title: d.Name, menu: "/deployments", body: m}, nil
}

func (u *UI) deploymentOf(s *crowbar.Snapshot, d *crowbar.Deployment) deployment {
	e := deployment{Deployment: d, Counts: countsOf(s.States(d.ID))}
	e.Mark, e.State = e.Counts.State(), stateOf(d, e.Counts)
	if e.Counts.Left() > 0 {
		left := u.left(s)[d.ID]
		e.Left, e.Unknown = left.most, left.unknown
	}
	if p := s.Deployment(d.Parent); p != nil && p.ID != d.ID {
		e.Parent = p.Name
	}
	return e
}

// fill makes the columns, and those of the rows that were asked for.
func (u *UI) fill(m *matrix, s *crowbar.Snapshot, q url.Values) {
	d := m.Deployment
	at := map[crowbar.ID]int{}
	for r := range s.Roles() {
		dr := s.DeploymentRoleOf(d.ID, r.ID)
		c := column{Role: r}
		if dr != nil {
			c.DepRole = dr.ID
		}
		for nr := range s.EachOf(d.ID, r.ID) {
			c.Counts.add(nr.State)
			c.Bound++
		}
		if c.Bound == 0 && (dr == nil || r.Flags.Service || r.Flags.Implicit) {
			continue
		}
		m.Columns = append(m.Columns, c)
	}
	var nodes []*crowbar.Node
	here := map[crowbar.ID]bool{}
	for n := range s.Nodes() {
		if n.Deployment == d.ID && !n.System {
			nodes, here[n.ID] = append(nodes, n), true
		}
	}
	why := u.Engine.WhyIn(s)
	m.Columns = slices.DeleteFunc(m.Columns, func(c column) bool {
		for nr := range s.EachOf(d.ID, c.ID) {
			n := s.Node(nr.Node)
			if n == nil {
				continue
			}
			if n.System {
				m.Services = append(m.Services, u.step(s, nr, why))
			} else if !here[n.ID] {
				nodes, here[n.ID] = append(nodes, n), true
			}
		}
		return c.Flags.Service
	})
	slices.SortFunc(m.Columns, func(a, b column) int { return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.Name, b.Name)) })
	slices.SortFunc(m.Services, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.RoleName, b.RoleName))
	})
	for i, c := range m.Columns {
		at[c.ID] = i
	}
	if m.Filter != "" {
		text := strings.ToLower(m.Filter)
		nodes = slices.DeleteFunc(nodes, func(n *crowbar.Node) bool { return !strings.Contains(n.Name, text) })
	}
	slices.SortFunc(nodes, func(a, b *crowbar.Node) int { return cmp.Compare(a.Name, b.Name) })
	m.cut(s, nodes, at, q)
}

func (m *matrix) cut(s *crowbar.Snapshot, nodes []*crowbar.Node, at map[crowbar.ID]int, q url.Values) {
	m.Found = len(nodes)
	from, _ := strconv.Atoi(q.Get("from")) // what is no number is the beginning
	from = min(max(from, 0), m.Found)
	m.From, m.To = from, min(from+perPart, m.Found)
	if from > 0 {
		m.Earlier = with(q, "from", strconv.Itoa(max(0, from-perPart)))
	}
	if m.To < m.Found {
		m.Further = with(q, "from", strconv.Itoa(m.To), "rows", "")
	}
	for _, n := range nodes[from:m.To] {
		r := row{Node: n, Dark: !n.Alive || !n.Available, Cells: make([]*crowbar.NodeRole, len(m.Columns))}
		if o := s.Deployment(n.Deployment); n.Deployment != m.ID && o != nil {
			r.Elsewhere = o.Name
		}
		for nr := range s.EachOn(n.ID) {
			if i, ok := at[nr.Role]; ok && nr.Deployment == m.ID {
				r.Cells[i] = nr
			}
		}
		m.Rows = append(m.Rows, r)
	}
}

// choices is the roles that a person puts on nodes: those that others do not bring along. What is meant to be chosen comes
// first.
func choices(s *crowbar.Snapshot) []choice {
	var out []choice
	for r := range s.Roles() {
		if f := r.Flags; f.Abstract || f.Implicit || f.Bootstrap || f.Library || f.Service {
			continue
		}
		out = append(out, choice{r.Name, r.Description, r.Flags.Milestone})
	}
	slices.SortFunc(out, func(a, b choice) int {
		return cmp.Or(truth(b.Milestone)-truth(a.Milestone), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// edits is the roles for which values are proposed that do not count yet.
func edits(s *crowbar.Snapshot, d *crowbar.Deployment) []string {
	var out []string
	for r := range s.Roles() {
		if dr := s.DeploymentRoleOf(d.ID, r.ID); dr != nil && dr.Proposed != nil {
			out = append(out, r.Name)
		}
	}
	slices.Sort(out)
	return out
}

// assignment is what comes of a role being put on nodes.
type assignment struct {
	Deployment *crowbar.Deployment
	Role       *crowbar.Role
	Nodes      []string
	Comes      []coming
	Refused    string
}

// coming is a role, and the nodes on which it would be new.
type coming struct {
	Name, Description string
	Asked, Service    bool
	Nodes             []string
}

const mostAssigned = 5000

// assign shows what a role brings along, before anything is changed.
func (u *UI) assign(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	d, err := deploymentAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	q := r.URL.Query()
	role := s.RoleNamed(q.Get("role"))
	if role == nil {
		return page{}, crowbar.Errorf(crowbar.NotFound, "There is no role %q.", short(80, q.Get("role")))
	}
	a := assignment{Deployment: d, Role: role}
	var ids []crowbar.ID
	for name := range strings.SplitSeq(strings.Join(q["node"], ","), ",") {
		n, err := nodeAt(s, name)
		if err != nil {
			return page{}, err
		}
		if ids, a.Nodes = append(ids, n.ID), append(a.Nodes, n.Name); len(ids) > mostAssigned {
			return page{}, crowbar.Errorf(crowbar.Invalid, "At most %d nodes at once.", mostAssigned)
		}
	}
	after, err := u.Preview(s, role.ID, ids, d.ID)
	if err != nil {
		a.Refused = err.Error()
	} else {
		a.Comes = comes(s, after, role)
	}
	return page{name: "assign", title: "Put " + role.Name + " on " + plural(len(ids), "node", "nodes"), menu: "/deployments", body: a}, nil
}

// comes is the node-roles that one state has and the one before has not, by role in the order in which they will run.
func comes(was, is *crowbar.Snapshot, asked *crowbar.Role) []coming {
	by := map[crowbar.ID][]string{}
	for id := range is.Changed(was, crowbar.KindNodeRole) {
		nr := is.NodeRole(id)
		if nr == nil || was.NodeRole(id) != nil {
			continue
		}
		if n := is.Node(nr.Node); n != nil {
			by[nr.Role] = append(by[nr.Role], n.Short())
		}
	}
	var roles []*crowbar.Role
	for id := range by {
		roles = append(roles, is.Role(id))
	}
	slices.SortFunc(roles, func(a, b *crowbar.Role) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.Name, b.Name))
	})
	var out []coming
	for _, r := range roles {
		slices.Sort(by[r.ID])
		out = append(out, coming{r.Name, r.Description, r.ID == asked.ID, r.Flags.Service, by[r.ID]})
	}
	return out
}

// commitPage is what a commit would set going.
type commitPage struct {
	Deployment *crowbar.Deployment
	foreseen
	Refused string
	Counts  counts
}

// foreseen is a plan for a reader.
type foreseen struct {
	Plan   *crowbar.Plan
	Groups []planned
	Range  string
}

func foresee(p *crowbar.Plan) foreseen {
	f := foreseen{Plan: p, Groups: plannedBy(p)}
	if p.High > p.Low {
		f.Range = span(time.Duration(p.Low)) + " to " + span(time.Duration(p.High))
	}
	return f
}

// planned is the steps of one role.
type planned struct {
	Role, Do, Why string
	Nodes         []string
	Expected      crowbar.Duration
}

// commit shows the plan: what would run, where, and for how long.
func (u *UI) commit(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	d, err := deploymentAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	c := commitPage{Deployment: d, Counts: countsOf(s.States(d.ID))}
	if p, err := u.Engine.Foresee(r.Context(), crowbar.PlanFor{Deployment: d.Name}, nil); err != nil {
		c.Refused = err.Error()
	} else {
		c.foreseen = foresee(p)
	}
	return page{name: "commit", title: "Commit " + d.Name, menu: "/deployments", body: c}, nil
}

func plannedBy(p *crowbar.Plan) []planned {
	var out []planned
	at := map[[3]string]int{}
	for _, st := range p.Steps {
		k := [3]string{st.Role, st.Do, st.Why}
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, planned{Role: st.Role, Do: st.Do, Why: st.Why})
		}
		out[i].Nodes = append(out[i].Nodes, st.Node)
		out[i].Expected = max(out[i].Expected, st.Expected)
	}
	return out
}
