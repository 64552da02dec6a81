package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Actors has roles do their actions on nodes, beside runs.
type Actors interface {
	Knows(role, action string) bool
	// Look has an action done that only reads: what would change the node is refused.
	Look(ctx context.Context, w *crowbar.Work, action string, args crowbar.Data) (crowbar.Data, error)
	Do(ctx context.Context, w *crowbar.Work, action string, args crowbar.Data) (crowbar.Data, error)
}

// The actions by which strays are found and taken out.
const (
	seek    = "strays"
	expunge = "forget"
)

// seeker is the node-role that says for its role what of it is of nobody.
type seeker struct {
	role *crowbar.Role
	able []*crowbar.NodeRole // that can be asked, the best first
	work *crowbar.Work       // of the one that answered
	why  string              // why none has
	got  []crowbar.Stray
}

// attempts is how many of a role are asked, one after another, until one answers.
const attempts = 2

// Strays compares what a deployment's cluster itself says with the node-roles: one node-role of each role that can say it is
// asked, all at the same time. With mend, what can be mended is, while nothing of the deployment runs.
func (e *Engine) Strays(ctx context.Context, deployment crowbar.ID, mend bool, by Actors) (*crowbar.Strays, error) {
	d := &draft{s: e.View()}
	dep, err := d.deployment(deployment)
	if err != nil {
		return nil, err
	}
	if mend {
		if err := quiet(d.s, dep); err != nil {
			return nil, err
		}
	}
	list := seekers(d.s, dep.ID, by)
	var all sync.WaitGroup
	for _, sk := range list {
		all.Go(func() { e.ask(ctx, sk, d.s, by) })
	}
	all.Wait()
	out := &crowbar.Strays{Deployment: dep.Name, Asked: []string{}, Found: []crowbar.Stray{}, Unknown: []crowbar.StrayAnswer{}}
	for _, sk := range list {
		if sk.why != "" {
			out.Unknown = append(out.Unknown, crowbar.StrayAnswer{Role: sk.role.Name, Reason: sk.why})
			continue
		}
		out.Asked = append(out.Asked, sk.work.Node.Short()+"/"+sk.role.Name)
		for i := range sk.got {
			if mend {
				e.mend(ctx, dep.ID, sk, &sk.got[i], by)
			}
		}
		out.Found = append(out.Found, sk.got...)
	}
	return out, e.loose(ctx, dep.ID, mend, out)
}

// quiet is a Conflict while something of a deployment runs: it may be in the middle of what looks like a stray.
func quiet(s *crowbar.Snapshot, dep *crowbar.Deployment) error {
	for nr := range s.NodeRoles() {
		if nr.Deployment == dep.ID && nr.State == crowbar.Transition {
			return crowbar.Errorf(crowbar.Conflict, "mend what is of no node in deployment %s: %s runs: wait for its end (kubeclamp converge %s --wait-only)", dep.Name, place(s, nr), dep.Name)
		}
	}
	return nil
}

// seekers is one for each role that can say it, those that come last in a cluster first: so etcd is the last to lose a member.
func seekers(s *crowbar.Snapshot, deployment crowbar.ID, by Actors) []*seeker {
	of := map[crowbar.ID]*seeker{}
	for nr := range s.NodeRoles() {
		r := s.Role(nr.Role)
		if nr.Deployment != deployment || nr.RunCount == 0 || r == nil {
			continue
		}
		sk := of[r.ID]
		if sk == nil {
			sk = &seeker{role: r, why: "no node that has it is alive, and it active there"}
			of[r.ID] = sk
		}
		if n := s.Node(nr.Node); n != nil && n.Alive && nr.Settled() && nr.State != crowbar.Transition {
			sk.able = append(sk.able, nr)
		}
	}
	out := slices.Collect(maps.Values(of))
	out = slices.DeleteFunc(out, func(sk *seeker) bool { return !by.Knows(sk.role.Name, seek) })
	for _, sk := range out {
		slices.SortStableFunc(sk.able, func(a, b *crowbar.NodeRole) int { return cmp.Compare(a.State, b.State) }) // active is 0
	}
	cohort := func(sk *seeker) int {
		if len(sk.able) == 0 {
			return 0
		}
		return sk.able[0].Cohort
	}
	slices.SortFunc(out, func(a, b *seeker) int {
		return cmp.Or(cmp.Compare(cohort(b), cohort(a)), cmp.Compare(a.role.Name, b.role.Name))
	})
	return out
}

// company is what a node-role sees of others, and besides everybody of its own role, wherever that is.
func company(s *crowbar.Snapshot, nr *crowbar.NodeRole, seen []crowbar.Peer) []crowbar.Peer {
	out := slices.Clone(seen)
	for o := range s.NodeRoles() {
		if o.Role != nr.Role || slices.ContainsFunc(seen, func(p crowbar.Peer) bool { return p.NodeRole == o.ID }) {
			continue
		}
		if n := s.Node(o.Node); n != nil {
			out = append(out, crowbar.Peer{NodeRole: o.ID, Role: s.Role(o.Role).Name, Node: n.Short(), Address: n.Address, State: o.State,
				Settled: o.Settled() && o.Deployment == nr.Deployment, Alive: n.Alive, Wall: o.Wall})
		}
	}
	return out
}

// ask asks one of a role; where it does not answer, another one, and the first one's reason is told where none does.
func (e *Engine) ask(ctx context.Context, sk *seeker, s *crowbar.Snapshot, by Actors) {
	for i, nr := range sk.able[:min(len(sk.able), attempts)] {
		got, err := e.askOne(ctx, sk, s, nr, by)
		if err == nil {
			sk.got, sk.why = got, ""
			return
		}
		if i == 0 {
			sk.why = oneLine(err.Error())
		}
	}
}

func (e *Engine) askOne(ctx context.Context, sk *seeker, s *crowbar.Snapshot, nr *crowbar.NodeRole, by Actors) (got []crowbar.Stray, err error) {
	w, err := e.work(&draft{s: s}, nr.ID)
	if err != nil {
		return nil, err
	}
	if w.Peers, w.Secrets, err = e.openPeers(company(s, nr, w.Peers), w.Secrets); err != nil {
		return nil, err
	}
	said, err := by.Look(ctx, w, seek, nil)
	if err != nil {
		return nil, err
	}
	got, err = crowbar.StraysIn(said)
	for i := range got {
		got[i].Role, got[i].Mended, got[i].Failure = sk.role.Name, false, ""
	}
	sk.work = w
	return got, err
}

// mend mends one stray, if it still is one by the state of now.
func (e *Engine) mend(ctx context.Context, deployment crowbar.ID, sk *seeker, x *crowbar.Stray, by Actors) {
	var err error
	switch x.Mend {
	case crowbar.MendForget:
		s := e.View()
		err = quiet(s, s.Deployment(deployment))
		for nr := range s.NodeRoles() {
			if n := s.Node(nr.Node); err == nil && nr.Role == sk.role.ID && n != nil && (n.Short() == x.Node || x.Address != "" && n.Address == x.Address) {
				err = crowbar.Errorf(crowbar.Conflict, "%s has role %s by now", n.Short(), sk.role.Name)
			}
		}
		if err == nil {
			_, err = by.Do(ctx, sk.work, expunge, crowbar.Data{"node": cmp.Or(x.Node, x.Name), "address": x.Address})
		}
	case crowbar.MendRerun:
		err = e.rerunOn(ctx, deployment, sk.role.ID, x.Node)
	default:
		return
	}
	if x.Mended = err == nil; err != nil {
		x.Failure = oneLine(err.Error())
	}
}

// rerunOn has what a node holds of a role run again, in full.
func (e *Engine) rerunOn(ctx context.Context, deployment, role crowbar.ID, node string) error {
	return e.change(ctx, func(d *draft) error {
		for nr := range d.s.EachOf(deployment, role) {
			if n := d.s.Node(nr.Node); n == nil || n.Short() != node {
				continue
			}
			if err := d.add(graph.Retry(d.s, nr.ID)); err != nil {
				return err
			}
			c := *d.s.NodeRole(nr.ID)
			c.Force = true
			d.put(&c)
			return nil
		}
		return crowbar.Errorf(crowbar.NotFound, "there is no such node-role on node %s by now", node)
	})
}

// loose is the certificates of nodes that there are no more, in the daemon's own state.
func (e *Engine) loose(ctx context.Context, deployment crowbar.ID, mend bool, out *crowbar.Strays) error {
	of := func(s *crowbar.Snapshot) (lost []*crowbar.Secret) {
		there := map[string]bool{}
		for n := range s.Nodes() {
			there[n.Short()] = true
		}
		for sec := range s.Secrets() {
			if sec.Deployment == deployment && isLeaf(sec) && !there[sec.Name[strings.LastIndex(sec.Name, "/")+1:]] {
				lost = append(lost, sec)
			}
		}
		return lost
	}
	lost := of(e.View())
	for _, sec := range lost {
		parts := strings.Split(sec.Name, "/")
		out.Found = append(out.Found, crowbar.Stray{What: "certificate", Name: sec.Name, Node: parts[len(parts)-1], Mend: crowbar.MendDrop, Mended: mend,
			Says: fmt.Sprintf("it was made for node %s, and there is no such node", parts[len(parts)-1])})
	}
	if len(lost) == 0 || !mend {
		return ctx.Err()
	}
	return e.change(ctx, func(d *draft) error {
		for _, sec := range of(d.s) {
			d.drop(sec)
		}
		return nil
	})
}
