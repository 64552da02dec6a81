package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// perPage is how many rows a list shows at once.
const perPage = 50

// nodeList is one page of the nodes that a filter lets through.
type nodeList struct {
	Rows             []nodeRow
	Filter           nodeFilter
	Deployments      []string
	Found, All       int
	From, To         int // of Found, from 1
	Earlier, Further string
	Sorts            []sorting
	Choices          []choice              // roles that can be put on nodes
	Targets          []*crowbar.Deployment // to which nodes can be moved
}

type nodeFilter struct{ Text, Deployment, State string }

// sorting is the head of a column by which rows can be put in order.
type sorting struct{ Name, At, Order string }

type nodeRow struct {
	*crowbar.Node
	DeploymentName string
	State          string // a node-role's state, or dark
	Mark           crowbar.State
	Roles          counts
	OS, Hardware   string
	Seen           time.Time
}

func (u *UI) nodes(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	q := r.URL.Query()
	l := nodeList{Filter: nodeFilter{strings.TrimSpace(q.Get("q")), q.Get("deployment"), q.Get("state")}}
	for d := range s.Deployments() {
		l.Deployments, l.Targets = append(l.Deployments, d.Name), append(l.Targets, d)
	}
	slices.Sort(l.Deployments)
	slices.SortFunc(l.Targets, func(a, b *crowbar.Deployment) int { return cmp.Compare(a.Name, b.Name) })
	l.Choices = choices(s)
	var rows []nodeRow
	for n := range s.Nodes() {
		if n.System {
			continue
		}
		l.All++
		if row := nodeOf(s, n); l.Filter.takes(row) {
			rows = append(rows, row)
		}
	}
	by, down := strings.CutPrefix(q.Get("sort"), "-")
	sortNodes(rows, by, down)
	l.Found = len(rows)
	from, _ := strconv.Atoi(q.Get("from")) // what is no number is the first page
	from = min(max(from, 0), max(0, l.Found-1))
	l.Rows = rows[from:min(from+perPage, l.Found)]
	l.From, l.To = min(from+1, l.Found), from+len(l.Rows)
	if from > 0 {
		l.Earlier = with(q, "from", strconv.Itoa(max(0, from-perPage)))
	}
	if l.To < l.Found {
		l.Further = with(q, "from", strconv.Itoa(l.To))
	}
	l.Sorts = sorts(q, by, down)
	return page{name: "nodes", title: "Nodes", menu: "/nodes", live: "node_role.*,node.*", body: l}, nil
}

func nodeOf(s *crowbar.Snapshot, n *crowbar.Node) nodeRow {
	row := nodeRow{Node: n, Seen: n.UpdatedAt}
	if d := s.Deployment(n.Deployment); d != nil {
		row.DeploymentName = d.Name
	}
	for nr := range s.EachOn(n.ID) {
		row.Roles.add(nr.State)
		if nr.Since.After(row.Seen) {
			row.Seen = nr.Since
		}
	}
	row.Mark = row.Roles.State()
	switch {
	case !n.Alive:
		row.State = "dark"
	case !n.Available:
		row.State = "reserved"
	case row.Roles.Total() == 0:
		row.State = "idle"
	default:
		row.State = row.Mark.String()
	}
	row.OS, row.Hardware = facts(n)
	if r := s.RoleNamed("node-prep"); r != nil && (row.OS == "" || row.Hardware == "") { // what nobody has discovered the first role has seen
		if nr := s.NodeRoleOn(n.ID, r.ID); nr != nil {
			seen, _ := nr.Wall["node-prep-system"].(map[string]any)
			os, hardware := facts(&crowbar.Node{Discovery: seen, Arch: n.Arch})
			row.OS, row.Hardware = cmp.Or(row.OS, os), cmp.Or(row.Hardware, hardware)
		}
	}
	return row
}

// facts is what was found out about a node, as far as it says.
func facts(n *crowbar.Node) (os, hardware string) {
	text := func(path ...string) string {
		var v any = n.Discovery
		for _, p := range path {
			m, ok := v.(map[string]any)
			if !ok {
				return ""
			}
			v = m[p]
		}
		if v == nil {
			return ""
		}
		return pretty(v)
	}
	os = cmp.Or(text("os", "pretty_name"), text("os", "name"), text("os"))
	cpus := cmp.Or(text("cpu", "count"), text("cpus"))
	if cpus != "" {
		hardware = cpus + " CPU"
	}
	for _, e := range []struct {
		key, unit string
		per       float64
	}{{"memory_mib", "GiB", 1024}, {"disk_gib", "GiB disk", 1}} {
		var d map[string]any = n.Discovery
		if v, is := d[e.key].(float64); is && v > 0 {
			hardware += fmt.Sprintf(", %.0f %s", v/e.per, e.unit)
		}
	}
	hardware = strings.TrimPrefix(hardware, ", ")
	if n.Arch != "" {
		hardware = strings.TrimSpace(n.Arch + " " + hardware)
	}
	return short(60, os), short(60, hardware)
}

func (f nodeFilter) takes(row nodeRow) bool {
	text := strings.ToLower(f.Text)
	return (f.Deployment == "" || f.Deployment == row.DeploymentName) && (f.State == "" || f.State == row.State) &&
		(text == "" || strings.Contains(strings.ToLower(row.Name+" "+row.Address+" "+row.Description), text))
}

func sortNodes(rows []nodeRow, by string, down bool) {
	slices.SortStableFunc(rows, func(a, b nodeRow) int {
		c := 0
		switch by {
		case "state":
			c = cmp.Compare(urgency(a), urgency(b))
		case "deployment":
			c = cmp.Compare(a.DeploymentName, b.DeploymentName)
		case "address":
			c = cmp.Compare(a.Address, b.Address)
		case "changed":
			c = b.Seen.Compare(a.Seen)
		}
		if down {
			c = -c
		}
		if c == 0 {
			c = cmp.Compare(a.Name, b.Name)
			if down && (by == "" || by == "name") {
				c = -c
			}
		}
		return c
	})
}

// urgency puts first what needs somebody.
func urgency(r nodeRow) int {
	return slices.Index([]string{"error", "dark", "reserved", "transition", "todo", "blocked", "proposed", "active", "idle"}, r.State)
}

func sorts(q url.Values, by string, down bool) []sorting {
	var out []sorting
	for _, name := range []string{"name", "state", "deployment", "address", "changed"} {
		st := sorting{Name: name, At: with(q, "sort", name, "from", "")}
		if name == cmp.Or(by, "name") {
			st.Order = "ascending"
			if down {
				st.Order = "descending"
			} else {
				st.At = with(q, "sort", "-"+name, "from", "")
			}
		}
		out = append(out, st)
	}
	return out
}

// with is the address of the same page with other parameters: names and values in turn, "" takes one out.
func with(q url.Values, pairs ...string) string {
	next := url.Values{}
	for k, v := range q {
		next[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		if next.Del(pairs[i]); pairs[i+1] != "" {
			next.Set(pairs[i], pairs[i+1])
		}
	}
	return "?" + next.Encode()
}

// States is what a node can be.
func (nodeList) States() []string {
	return []string{"active", "transition", "todo", "blocked", "error", "proposed", "dark", "reserved", "idle"}
}
