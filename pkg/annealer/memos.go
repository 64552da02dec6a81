package annealer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// memos is what runs that had nothing to do have left behind: what they were given, how they looked at the node, and what
// it said. A role is a function of just these (role.Role says so): while they are the same, there is nothing to do again.
// It is kept in memory alone: what is forgotten costs a look by the role and nothing else.
type memos struct {
	mu      sync.Mutex
	runs    map[crowbar.ID]memo    // by node-role
	glances map[crowbar.ID]*glance // by node
}

// memo is one run that had nothing to do.
type memo struct {
	seen
	given   sum
	wall    sum
	attempt uint64
	at      time.Time
}

// memoLife is how long a memo counts: what a role sees by the host's clock alone (an authority that is about to end) is
// seen again within a day.
const memoLife = 24 * time.Hour

// glance is what a node said when the looks of all that was due on it were made in one round trip.
type glance struct {
	answers map[crowbar.ID]sum
	then    map[crowbar.ID]moment // whose runs could change what was seen
	at      time.Time
}

// glanceLife is how long a glance counts for node-roles that wait for others.
const glanceLife = 30 * time.Second

// moment is where a node-role was.
type moment struct {
	attempt uint64
	running bool
}

func newMemos() *memos {
	return &memos{runs: map[crowbar.ID]memo{}, glances: map[crowbar.ID]*glance{}}
}

func (m *memos) of(id crowbar.ID) (memo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.runs[id]
	return o, ok
}

// remember keeps a run that came to a good end, if it only looked and found nothing to do; else the node may have changed.
func (m *memos) remember(w *crowbar.Work, in sum, saw seen, res role.Result, err error) {
	wall, ok := sumOf(res.Wall)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || !ok || in == (sum{}) || !saw.only || len(res.Changes) > 0 || w.Remove {
		delete(m.runs, w.NodeRole.ID)
		delete(m.glances, w.Node.ID)
		return
	}
	m.runs[w.NodeRole.ID] = memo{seen: saw, given: in, wall: wall, attempt: w.Attempt, at: time.Now()}
}

// answer is what the node said to a node-role's look, if nothing that runs before it on any node, and nothing on its own
// node, can have changed that since.
func (m *memos) answer(s *crowbar.Snapshot, nr *crowbar.NodeRole) (sum, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g := m.glances[nr.Node]
	if g == nil {
		return sum{}, false
	}
	a, ok := g.answers[nr.ID]
	if !ok || time.Since(g.at) > glanceLife || !g.holds(s, nr) {
		delete(m.glances, nr.Node)
		return sum{}, false
	}
	delete(g.answers, nr.ID) // it counts for one run
	if len(g.answers) == 0 {
		delete(m.glances, nr.Node)
	}
	return a, true
}

func (m *memos) saw(node crowbar.ID, g *glance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.glances[node] = g
}

func (g *glance) holds(s *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	for id := range before(s, nr) {
		if !still(s, id, g.then[id]) {
			return false
		}
	}
	return true
}

// still says that a node-role has changed nothing since: it has not run, or once, to the end that nothing was to do.
func still(s *crowbar.Snapshot, id crowbar.ID, then moment) bool {
	now := s.NodeRole(id)
	switch {
	case now == nil || now.State == crowbar.Transition:
		return false
	case now.Attempt == then.attempt && !then.running:
		return true
	case now.Attempt == then.attempt, now.Attempt == then.attempt+1 && !then.running:
		run := s.Run(now.Run)
		return run != nil && run.Attempt == now.Attempt && run.Outcome == "unchanged"
	}
	return false
}

// before is every node-role whose run can change what another one sees: its ancestors, and all on its node.
func before(s *crowbar.Snapshot, nr *crowbar.NodeRole) map[crowbar.ID]bool {
	found := map[crowbar.ID]bool{nr.ID: true}
	for queue := []*crowbar.NodeRole{nr}; len(queue) > 0; queue = queue[1:] {
		for _, l := range queue[0].Parents {
			if p := s.NodeRole(l.ID); p != nil && !found[l.ID] {
				found[l.ID] = true
				queue = append(queue, p)
			}
		}
	}
	for _, o := range s.NodeRolesOn(nr.Node) {
		found[o.ID] = true
	}
	delete(found, nr.ID)
	return found
}

// sumOf is the sum of a value's JSON; zero where it has none.
func sumOf(v any) (sum, bool) {
	b, err := json.Marshal(v)
	if err != nil {
		return sum{}, false
	}
	return sha256.Sum256(b), true
}

// given is the sum of all that a role is given for a run. The state of a peer that serves comes and goes with its own runs,
// and is no input.
func given(w *crowbar.Work, program string) sum {
	peers := slices.Clone(w.Peers)
	for i := range peers {
		if peers[i].Settled {
			peers[i].State = crowbar.Active
		}
	}
	s, _ := sumOf(struct {
		Role, Program, Node, Address, Deployment, Arch string
		Attribs                                        crowbar.Data
		Peers                                          []crowbar.Peer
		First, Again                                   bool
	}{w.Role.Name, program, w.Node.Short(), w.Node.Address, w.Deployment.Name, w.Node.Arch, w.Attribs, peers, w.First, w.Again})
	return s
}

// unchanged says that a run needs no role: what the role is given is as it was the last time that it had nothing to do, and
// so is what the node says. in is the sum of what it is given.
func (a *Annealer) unchanged(ctx context.Context, w *crowbar.Work, name string, j jig.Jig, log *runLog) (in sum, same bool) {
	r, err := a.Roles(w.Role.Name)
	if err != nil {
		return sum{}, false // the run itself tells
	}
	program := ""
	if p, ok := r.(interface{ Program() string }); ok {
		program = p.Program()
	}
	in = given(w, program)
	m, known := a.memos.of(w.NodeRole.ID)
	if !known || w.Remove || w.Force {
		return in, false
	}
	wall, _ := sumOf(w.NodeRole.Wall)
	if m.given != in || m.wall != wall || time.Since(m.at) > memoLife || !a.sameArtifacts(ctx, m.stats, w.Node.Arch) {
		log.line("what the role is given has changed since attempt %d", m.attempt)
		return in, false
	}
	answer, ok := a.memos.answer(a.Engine.View(), &w.NodeRole)
	if !ok {
		answer, ok = a.glance(ctx, w, name, j, log)
	}
	switch {
	case !ok:
		return in, false
	case answer != m.answer:
		log.line("the node's answer has changed since attempt %d", m.attempt)
		return in, false
	}
	log.line("all is as at attempt %d, when there was nothing to do: what the role is given, and what the node says", m.attempt)
	return in, true
}

func (a *Annealer) sameArtifacts(ctx context.Context, stats map[string]role.Artifact, arch string) bool {
	for name, was := range stats {
		if a.Artifacts == nil {
			return false
		}
		if now, err := a.Artifacts.Stat(ctx, name, arch); err != nil || now != was {
			return false
		}
	}
	return true
}

// glanceLimit is how long a node may take for all its looks; after that each role looks for itself.
const glanceLimit = 30 * time.Second

// glance makes the looks of all that is due on the node of a run, in one round trip, and gives the answer to the run's own.
func (a *Annealer) glance(ctx context.Context, w *crowbar.Work, name string, j jig.Jig, log *runLog) (sum, bool) {
	s := a.Engine.View() // from before the node is asked: what runs later counts as later
	ids, looks := a.memos.due(s, w)
	whole, split, err := jig.Batch(looks)
	if err != nil {
		log.line("look at everything at once: %s", err)
		return sum{}, false
	}
	d, _, err := a.reach(ctx, w, name, j, log)
	if err != nil {
		return sum{}, false // the run itself tells
	}
	whole.Timeout = glanceLimit
	began := time.Now()
	rec := &recorder{conn: d.conn, redial: d.redial, log: log}
	exit, err := rec.look(ctx, whole)
	rec.saw(ctx, err)
	a.conns.put(d, err != nil)
	if err != nil {
		log.line("look at everything at once: %s", err)
		return sum{}, false
	}
	g := &glance{answers: map[crowbar.ID]sum{}, then: map[crowbar.ID]moment{}, at: began}
	for i, e := range split(exit) {
		g.answers[ids[i]] = answered(e.Code, e.Stdout, e.Stderr)
		for id := range before(s, s.NodeRole(ids[i])) {
			if o := s.NodeRole(id); o != nil {
				g.then[id] = moment{o.Attempt, o.State == crowbar.Transition}
			}
		}
	}
	log.line("looked for %d node-roles at once (%s)", len(ids), since(began))
	own, ok := g.answers[w.NodeRole.ID]
	delete(g.answers, w.NodeRole.ID)
	if len(g.answers) > 0 {
		a.memos.saw(w.Node.ID, g)
	}
	return own, ok
}

// due is the looks of a run and of all that waits to run on its node.
func (m *memos) due(s *crowbar.Snapshot, w *crowbar.Work) (ids []crowbar.ID, looks []jig.Cmd) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, nr := range s.NodeRolesOn(w.Node.ID) {
		waits := (nr.State == crowbar.Todo || nr.State == crowbar.Blocked) && !nr.Removing && !nr.Force
		o, known := m.runs[nr.ID]
		if !known || !waits && nr.ID != w.NodeRole.ID {
			continue
		}
		if c, err := o.look.cmd(); err == nil {
			c.Env = withClock(c.Env)
			ids, looks = append(ids, nr.ID), append(looks, c)
		}
	}
	return ids, looks
}

// withClock tells a command the time here, in nanoseconds since 1970, so that it can compare the clocks on the node.
func withClock(env map[string]string) map[string]string {
	env = maps.Clone(env)
	if env == nil {
		env = map[string]string{}
	}
	env["KUBECLAMP_NOW"] = strconv.FormatInt(time.Now().UnixNano(), 10)
	return env
}
