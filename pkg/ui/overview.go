package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// overview answers: is it fine, and if not, what do I do?
type overview struct {
	Headline, Detail string
	State            crowbar.State
	Empty            bool // nobody has made anything yet
	Needs            []cause
	More             int // causes that are not shown
	Deployments      []deployment
	Daemons          []crowbar.Daemon
	Certificates     []certificate
	Clusters         []cluster
	Found            []crowbar.Finding // by the daemon's last look at itself
	Nodes, Dark      int               // servers, and those that are not alive or not available
}

// cause is what somebody has to do something about. Node-roles of one role that failed in the same way are one.
type cause struct {
	Kind       crowbar.CauseKind
	Text       string
	Remedy     string
	Deployment string
	Commit     crowbar.ID // deployment that has something proposed
	At         []place    // the node-roles that are it
	Others     int        // node-roles that wait for it
	Ails       bool       // something that runs is not well
	Link       string     // where to look, instead of a node-role
}

type place struct {
	ID   crowbar.ID
	Node string
}

// Retry is the node-roles that can be tried again, as a script takes them.
func (c cause) Retry() string {
	if c.Kind != crowbar.CauseError {
		return ""
	}
	var ids []string
	for _, p := range c.At {
		ids = append(ids, p.ID.String())
	}
	return strings.Join(ids, " ")
}

// deployment is one for a list.
type deployment struct {
	*crowbar.Deployment
	Counts  counts
	Nodes   int
	State   string // proposed, committed, active, error, paused
	Mark    crowbar.State
	Left    crowbar.Duration // expected time to the end
	Unknown bool             // there are some without a record: it takes longer
	Parent  string
}

type certificate struct {
	*crowbar.Secret
	Deployment string
	Over       bool
}

const (
	soon      = 30 * 24 * time.Hour // certificates that end within this are shown
	mostNeeds = 20
)

func (u *UI) overview(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	all := countsOf(s.AllStates())
	o := overview{State: all.State(), Deployments: u.deploymentList(s), Certificates: ending(s, time.Now())}
	for n := range s.Nodes() {
		if n.System || n.Admin {
			continue
		}
		o.Nodes++
		if !n.Alive || !n.Available {
			o.Dark++
		}
	}
	if u.Daemons != nil {
		o.Daemons = u.Daemons()
	}
	o.Clusters = u.clusters(s)
	if u.Found != nil {
		o.Found = u.Found()
	}
	var err error
	if o.Needs, o.More, err = u.needs(s, o.Deployments); err != nil {
		return page{}, err
	}
	o.Needs = append(ailing(o), o.Needs...)
	o.Empty = o.Nodes == 0
	o.Headline, o.Detail = headline(all, o)
	if slices.ContainsFunc(o.Needs, func(c cause) bool { return c.Ails }) {
		o.State = crowbar.Error
	}
	return page{name: "overview", title: "Overview", menu: "/", live: "node_role.*,node.*,deployment.*", body: o}, nil
}

// needs collects what waits for a person, over some deployments.
func (u *UI) needs(s *crowbar.Snapshot, of []deployment) (needs []cause, more int, err error) {
	same := map[string]int{}
	for _, d := range of {
		if d.Counts.Active == d.Counts.Total() {
			continue
		}
		why, err := u.Engine.WhyAll(d.ID)
		if crowbar.KindOf(err) == crowbar.NotFound && err != nil {
			continue // deleted just now
		}
		if err != nil {
			return nil, 0, err
		}
		for _, c := range why.Causes {
			switch c.Kind {
			case crowbar.CauseRun, crowbar.CauseNext, crowbar.CauseRetry, crowbar.CausePlan:
				continue
			}
			key, n := needOf(s, d, c)
			i, had := same[key]
			if !had {
				same[key] = len(needs)
				needs = append(needs, n)
				continue
			}
			needs[i].At = append(needs[i].At, n.At...)
			needs[i].Others += n.Others
		}
	}
	slices.SortStableFunc(needs, func(a, b cause) int {
		return cmp.Or(cmp.Compare(slices.Index(crowbar.CauseKinds, a.Kind), slices.Index(crowbar.CauseKinds, b.Kind)), b.Others-a.Others)
	})
	if len(needs) > mostNeeds {
		return needs[:mostNeeds], len(needs) - mostNeeds, nil
	}
	return needs, 0, nil
}

// needOf is a cause for a reader, and a key that it shares with those that are the same.
func needOf(s *crowbar.Snapshot, d deployment, c crowbar.Cause) (string, cause) {
	n := cause{Kind: c.Kind, Text: c.Cause, Remedy: c.Remedy, Deployment: d.Name, Others: len(c.Waiting)}
	key := string(c.Kind) + "\n" + d.Name + "\n" + c.Cause
	if c.Kind == crowbar.CauseProposed {
		n.Commit, n.Remedy = d.ID, "" // the button is the remedy
	}
	nr := s.NodeRole(c.NodeRole)
	if nr == nil {
		return key, n
	}
	if slices.ContainsFunc(c.Waiting, func(w crowbar.Waiting) bool { return w.ID == c.NodeRole }) {
		n.Others--
	}
	at, role := s.Node(nr.Node), s.Role(nr.Role)
	if at == nil || role == nil {
		return key, n
	}
	n.At = []place{{nr.ID, at.Short()}}
	if c.Kind == crowbar.CauseError {
		n.Text, n.Remedy = role.Name+": "+nr.Status, "" // the buttons are the remedy
		key = "error\n" + d.Name + "\n" + role.Name + "\n" + nr.Status
	}
	return key, n
}

func headline(c counts, o overview) (string, string) {
	servers := plural(o.Nodes, "node", "nodes")
	if n := len(ailing(o)); n > 0 && c.Error == 0 {
		return plural(n, "thing is not well", "things are not well"), fmt.Sprintf("%d of %d node-roles are active on %s.", c.Active, c.Total(), servers)
	}
	switch {
	case o.Nodes == 0:
		return "No nodes yet", "Add the servers that are to become a cluster."
	case c.Error > 0:
		return plural(c.Error, "node-role is in error", "node-roles are in error"), fmt.Sprintf("%d of %d are active on %s.", c.Active, c.Total(), servers)
	case c.Left() > 0:
		return "Converging", fmt.Sprintf("%d of %d node-roles are active on %s.", c.Active, c.Total(), servers)
	case c.Proposed > 0:
		return plural(c.Proposed, "node-role is proposed", "node-roles are proposed"), "Nothing of it runs before it is committed."
	case o.Dark > 0:
		return plural(o.Dark, "node is dark", "nodes are dark"), fmt.Sprintf("All %d node-roles are active.", c.Total())
	}
	return "Everything is active", fmt.Sprintf("%s on %s.", plural(c.Total(), "node-role", "node-roles"), servers)
}

// deploymentList is all deployments, those that need somebody first.
func (u *UI) deploymentList(s *crowbar.Snapshot) []deployment {
	nodes := map[crowbar.ID]int{}
	for n := range s.Nodes() {
		if !n.System {
			nodes[n.Deployment]++
		}
	}
	left := u.left(s)
	var out []deployment
	for d := range s.Deployments() {
		e := deployment{Deployment: d, Counts: countsOf(s.States(d.ID)), Nodes: nodes[d.ID], Left: left[d.ID].most, Unknown: left[d.ID].unknown}
		e.Mark = e.Counts.State()
		e.State = stateOf(d, e.Counts)
		if p := s.Deployment(d.Parent); p != nil && p.ID != d.ID {
			e.Parent = p.Name
		}
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b deployment) int {
		return cmp.Or(b.Counts.Error-a.Counts.Error, truth(b.Counts.Total() > 0)-truth(a.Counts.Total() > 0), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func stateOf(d *crowbar.Deployment, c counts) string {
	switch {
	case d.Stored == crowbar.DeploymentProposed:
		return "proposed"
	case c.Error > 0:
		return "error"
	case d.Paused:
		return "paused"
	case c.Active == c.Total():
		return "active"
	}
	return "committed"
}

// remaining is the expected time to the end of a deployment.
type remaining struct {
	most    crowbar.Duration
	unknown bool
}

// left adds up, node by node, what the recorded runs say of those that are still to run; the node that takes longest counts.
func (u *UI) left(s *crowbar.Snapshot) map[crowbar.ID]remaining {
	out := map[crowbar.ID]remaining{}
	if countsOf(s.AllStates()).Left() == 0 {
		return out
	}
	type at struct{ deployment, node crowbar.ID }
	busy := map[at]time.Duration{}
	for nr := range s.NodeRoles() {
		switch nr.State {
		case crowbar.Todo, crowbar.Blocked, crowbar.Transition:
		default:
			continue
		}
		d := time.Duration(u.Engine.Expected(nr))
		o := out[nr.Deployment]
		o.unknown = o.unknown || d == 0
		if nr.State == crowbar.Transition {
			d = max(0, d-time.Since(nr.Since))
		}
		k := at{nr.Deployment, nr.Node}
		busy[k] += d
		o.most = max(o.most, crowbar.Duration(busy[k]))
		out[nr.Deployment] = o
	}
	return out
}

// ending is the certificates that end soon, the first to end first.
func ending(s *crowbar.Snapshot, now time.Time) []certificate {
	var out []certificate
	for x := range s.Secrets() {
		if x.NotAfter.IsZero() || x.NotAfter.Sub(now) > soon {
			continue
		}
		c := certificate{Secret: x, Over: x.NotAfter.Before(now)}
		if d := s.Deployment(x.Deployment); d != nil {
			c.Deployment = d.Name
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return out
}

func (u *UI) deployments(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	return page{name: "deployments", title: "Deployments", menu: "/deployments", live: "node_role.*,deployment.*", body: u.deploymentList(s)}, nil
}
