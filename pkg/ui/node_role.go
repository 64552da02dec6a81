package ui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// nodeRolePage is one role on one node.
type nodeRolePage struct {
	step
	Role              *crowbar.Role
	Node              *crowbar.Node
	Parents, Children []step
	Inputs            []origin
	Outputs           []pairOf
	Attempts          []attempt
	Attempt           uint64 // whose log is shown
	Shown             *crowbar.Run
	More              int // children that are not listed
	Compared          *comparison
	Given, Back       []pairOf // what the shown attempt was given and gave back, where its log says so
}

type attempt struct {
	*crowbar.Run
	State crowbar.State
	Shown bool
}

// Whole says that the failure has more to it than its one line.
func (p nodeRolePage) Whole() bool { return strings.Contains(strings.TrimSpace(p.Failure), "\n") }

const mostChildren = 40

func (u *UI) nodeRole(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	nr, err := nodeRoleAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	why := u.Engine.WhyIn(s)
	p := nodeRolePage{step: u.step(s, nr, why), Role: s.Role(nr.Role), Node: s.Node(nr.Node), Attempt: nr.Attempt}
	if p.Role == nil || p.Node == nil {
		return page{}, crowbar.Errorf(crowbar.NotFound, "The role or the node of node-role %s is gone.", nr.ID)
	}
	for _, l := range nr.Parents {
		if parent := s.NodeRole(l.ID); parent != nil {
			p.Parents = append(p.Parents, u.step(s, parent, why))
		}
	}
	children := s.Children(nr.ID)
	for _, c := range children[:min(len(children), mostChildren)] {
		p.Children = append(p.Children, u.step(s, c, nil))
	}
	p.More = len(children) - len(p.Children)
	if n, err := strconv.ParseUint(r.URL.Query().Get("attempt"), 10, 64); err == nil && n > 0 {
		p.Attempt = n
	}
	p.attempts(s)
	p.Compared = u.compare(r, s, &p)
	if p.Shown != nil && !p.Shown.Finished.IsZero() {
		log := u.logOf(r, nr.ID, p.Shown.Attempt)
		p.Given, p.Back = pairsOf(told(log, "given")), pairsOf(told(log, "gave back"))
	}
	if p.Inputs, err = u.origins(s, p.step); err != nil {
		return page{}, err
	}
	for _, k := range slices.Sorted(keys(nr.Wall)) {
		text := "(secret)"
		if a := s.AttribNamed(k); !crowbar.HasSealed(nr.Wall[k]) && (a == nil || !a.Secret) {
			text = short(2000, pretty(nr.Wall[k]))
		}
		p.Outputs = append(p.Outputs, pairOf{k, text})
	}
	return page{name: "node_role", title: p.RoleName + " on " + p.NodeName, menu: "/deployments", live: "node_role.*,run.*", body: p}, nil
}

func (p *nodeRolePage) attempts(s *crowbar.Snapshot) {
	runs := s.RunsOf(p.ID)
	slices.SortFunc(runs, func(a, b *crowbar.Run) int { return cmp.Compare(b.Attempt, a.Attempt) })
	for _, run := range runs {
		a := attempt{run, ranAt(run, "").State, run.Attempt == p.Attempt}
		if a.Shown {
			p.Shown = run
		}
		p.Attempts = append(p.Attempts, a)
	}
}

func nodeRoleAt(s *crowbar.Snapshot, key string) (*crowbar.NodeRole, error) {
	if id, err := strconv.ParseUint(key, 10, 64); err == nil {
		if nr := s.NodeRole(crowbar.ID(id)); nr != nil {
			return nr, nil
		}
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "There is no node-role %q.", short(80, key))
}
