package ui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// nodePage is one node.
type nodePage struct {
	nodeRow
	Steps    []step
	Attribs  []origin
	Addrs    []address
	Groups   []string
	Timeline []moment
	Found    []pairOf // what discovery says
}

// step is a node-role for a list.
type step struct {
	*crowbar.NodeRole
	RoleName, NodeName, DeploymentName string
	Why                                string
	Expected                           crowbar.Duration
}

// origin is the value of an attrib and where it comes from.
type origin struct {
	crowbar.Explanation
	From, Where string
	Writable    bool
}

type address struct{ Network, Range, IP string }

type pairOf struct{ Name, Value string }

// moment is one thing that happened.
type moment struct {
	At            time.Time
	What, Outcome string
	State         crowbar.State
	Link          string
	Lines         []string
}

func (u *UI) node(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	n, err := nodeAt(s, r.PathValue("id"))
	if err != nil {
		return page{}, err
	}
	p := nodePage{nodeRow: nodeOf(s, n)}
	why := u.Engine.WhyIn(s)
	for nr := range s.EachOn(n.ID) {
		p.Steps = append(p.Steps, u.step(s, nr, why))
	}
	slices.SortFunc(p.Steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), cmp.Compare(a.RoleName, b.RoleName))
	})
	for _, al := range s.AllocationsOf(n.ID) {
		a := address{IP: al.IP().String()}
		if net := s.Network(al.Network); net != nil {
			a.Network = net.Name
		}
		if rg := s.Range(al.Range); rg != nil {
			a.Range = rg.Name
		}
		p.Addrs = append(p.Addrs, a)
	}
	for _, g := range n.Groups {
		if g := s.Group(g); g != nil {
			p.Groups = append(p.Groups, g.Name)
		}
	}
	var masked crowbar.Node
	if err := u.ask(r, "/api/v2/nodes/"+n.ID.String(), &masked); err != nil {
		return page{}, err
	}
	for _, k := range slices.Sorted(keys(masked.Discovery)) {
		p.Found = append(p.Found, pairOf{k, short(400, pretty(masked.Discovery[k]))})
	}
	p.Timeline = timeline(s, p.Steps)
	if p.Attribs, err = u.origins(s, p.Steps...); err != nil {
		return page{}, err
	}
	return page{name: "node", title: n.Name, menu: "/nodes", live: "node_role.*,run.*,node.*", body: p}, nil
}

func keys(d crowbar.Data) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range d {
			if !yield(k) {
				return
			}
		}
	}
}

func (u *UI) step(s *crowbar.Snapshot, nr *crowbar.NodeRole, why func(crowbar.ID) string) step {
	st := step{NodeRole: nr, Expected: u.Engine.Expected(nr)}
	if r := s.Role(nr.Role); r != nil {
		st.RoleName = r.Name
	}
	if n := s.Node(nr.Node); n != nil {
		st.NodeName = n.Short()
	}
	if d := s.Deployment(nr.Deployment); d != nil {
		st.DeploymentName = d.Name
	}
	if nr.State != crowbar.Active && nr.State != crowbar.Transition && why != nil {
		st.Why = why(nr.ID)
	}
	return st
}

// mostMoments is how many entries a timeline has at most.
const mostMoments = 60

// timeline is the runs and the changes of state of some node-roles, newest first.
func timeline(s *crowbar.Snapshot, steps []step) []moment {
	var out []moment
	for _, st := range steps {
		out = append(out, moment{At: st.CreatedAt, What: st.RoleName + " bound", State: crowbar.Proposed, Link: "/node_roles/" + st.ID.String()})
		if st.State != crowbar.Active && st.State != crowbar.Transition && !st.Since.Equal(st.CreatedAt) {
			out = append(out, moment{At: st.Since, What: st.RoleName + " " + st.State.String(), State: st.State, Outcome: st.Why, Link: "/node_roles/" + st.ID.String()})
		}
		for _, run := range s.RunsOf(st.ID) {
			out = append(out, ranAt(run, st.RoleName))
		}
	}
	slices.SortStableFunc(out, func(a, b moment) int { return b.At.Compare(a.At) })
	return out[:min(len(out), mostMoments)]
}

func ranAt(run *crowbar.Run, role string) moment {
	m := moment{At: run.Started, What: role + " began to run", State: crowbar.Transition, Lines: run.Changes,
		Link: "/node_roles/" + run.NodeRole.String() + "?attempt=" + strconv.FormatUint(run.Attempt, 10)}
	if !run.Finished.IsZero() {
		m.At, m.What, m.State = run.Finished, role+" ran", crowbar.Active
		m.Outcome = run.Outcome + " after " + span(run.Finished.Sub(run.Started))
		if run.Outcome != "changed" && run.Outcome != "unchanged" {
			m.State = crowbar.Error
		}
	}
	return m
}

// nodeAt finds a node by id, name or short name.
func nodeAt(s *crowbar.Snapshot, key string) (*crowbar.Node, error) {
	if n := s.NodeNamed(key); n != nil {
		return n, nil
	}
	if id, err := strconv.ParseUint(key, 10, 64); err == nil {
		if n := s.Node(crowbar.ID(id)); n != nil {
			return n, nil
		}
	}
	if like := s.NodesLike(strings.ToLower(key), ""); len(like) == 1 {
		return like[0], nil
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "There is no node %q.", short(80, key))
}

func deploymentAt(s *crowbar.Snapshot, key string) (*crowbar.Deployment, error) {
	if d := s.DeploymentNamed(key); d != nil {
		return d, nil
	}
	if id, err := strconv.ParseUint(key, 10, 64); err == nil {
		if d := s.Deployment(crowbar.ID(id)); d != nil {
			return d, nil
		}
	}
	return nil, crowbar.Errorf(crowbar.NotFound, "There is no deployment %q.", short(80, key))
}

// origins is the attribs that node-roles are given, each once.
func (u *UI) origins(s *crowbar.Snapshot, steps ...step) ([]origin, error) {
	var out []origin
	seen := map[string]bool{}
	for _, st := range steps {
		all, err := u.Engine.Explain(st.ID, "")
		if crowbar.KindOf(err) == crowbar.NotFound && err != nil {
			continue // it went away just now
		}
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			if !seen[x.Attrib] {
				seen[x.Attrib] = true
				out = append(out, originOf(s, x))
			}
		}
	}
	slices.SortFunc(out, func(a, b origin) int { return cmp.Compare(a.Attrib, b.Attrib) })
	return out, nil
}

func originOf(s *crowbar.Snapshot, x crowbar.Explanation) origin {
	o := origin{Explanation: x, From: "made by the host"}
	for _, l := range x.Layers {
		if l.Wins {
			o.From, o.Where = l.Name, l.Where
		}
	}
	if a := s.AttribNamed(x.Attrib); a != nil {
		o.Writable = a.Writable && x.Computed == ""
	}
	return o
}
