package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
	"pgregory.net/rapid"
)

// fakePKI makes a value for everything, and one secret for each, as the real one does.
type fakePKI struct{ fail error }

func (p *fakePKI) Value(s *crowbar.Snapshot, w crowbar.Computed) (any, []crowbar.Change, error) {
	if p.fail != nil {
		return nil, nil, p.fail
	}
	name := w.Attrib
	if w.Node != "" {
		name = "leaf/" + w.Attrib + "/" + w.Node
	}
	var value any = "value of " + name
	if w.Leaf != nil {
		value = map[string]any{"cert": "CERT " + name, "key": "KEY " + name, "ca": "CA"}
	}
	if s.SecretNamed(w.Deployment, name) != nil {
		return value, nil, nil
	}
	return value, []crowbar.Change{{Put: &crowbar.Secret{ID: s.Next(), Deployment: w.Deployment, Name: name}}}, nil
}

func (p *fakePKI) Shared(s *crowbar.Snapshot, name, mine string) (string, []crowbar.Change, error) {
	return mine, []crowbar.Change{{Put: &crowbar.Secret{ID: s.Next(), Name: name}}}, nil
}

func (p *fakePKI) Look(*crowbar.Secret) (crowbar.Certificate, bool, error) {
	return crowbar.Certificate{}, false, nil
}

func (p *fakePKI) Due(*crowbar.Secret) bool { return false }

func (p *fakePKI) Turn(*crowbar.Snapshot, *crowbar.Secret, string, *crowbar.Duration) ([]crowbar.Change, error) {
	return nil, nil
}

type world struct {
	*Engine
	t     *testing.T
	store *storetest.Memory
	pki   *fakePKI
	ring  *pki.Ring
	clock time.Time
}

func build(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, store: storetest.NewMemory(), pki: &fakePKI{}, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	ring, err := pki.NewRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	w.Engine = New(Config{Store: w.store, PKI: w.pki, Ring: ring, Owner: "me", Now: func() time.Time { w.clock = w.clock.Add(time.Second); return w.clock }})
	if err := w.Import(t.Context(), catalog(t)); err != nil {
		t.Fatal(err)
	}
	return w
}

const small = `
barclamp: { name: small, version: "1.0" }
jigs:
  - { name: ssh, class: SSH }
  - { name: noop, class: Noop }
attribs:
  - { name: zone, map: zone, default: a, schema: { type: str } }
roles:
  - name: config
    jig: noop
    flags: [service]
    attribs:
      - { name: domain, map: net/domain, default: x.org, schema: { type: str } }
  - name: base
    jig: ssh
    flags: [implicit]
    wants-attribs: [zone]
  - name: db
    jig: ssh
    flags: [cluster, milestone]
    requires: [base, config]
    wants-attribs: [domain]
    attribs:
      - { name: db-port, map: db/port, default: 5432, schema: { type: int } }
      - { name: db-password, map: db/password, default: "", secret: true, schema: { type: str } }
      - { name: db-leaf, map: db/leaf, secret: true, leaf: { authority: db, common_name: "{{node}}", usages: [server] } }
      - { name: db-token, map: db/token, secret: true, generate: random-32 }
  - name: app
    jig: ssh
    flags: [milestone]
    requires: [base, db]
`

func catalog(t *testing.T) *crowbar.Catalog {
	t.Helper()
	c, err := barclamp.Parse(barclamp.File{Path: "small.yml", Data: []byte(small)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) apply(c crowbar.Cluster) {
	w.t.Helper()
	if err := w.Apply(w.t.Context(), c, false); err != nil {
		w.t.Fatal(err)
	}
}

func two() crowbar.Cluster {
	return crowbar.Cluster{Deployment: "k", Attribs: map[string]any{"db-port": 7, "zone": "z1", "db-password": "hunter22"}, Nodes: []crowbar.ClusterNode{
		{Name: "n1.a.b", Address: "10.0.0.1", Roles: []string{"db"}},
		{Name: "n2.a.b", Address: "10.0.0.2", Roles: []string{"app", "db"}, Attribs: map[string]any{"zone": "z2"}},
	}}
}

// drain runs everything that can run, and gives its names in order.
func (w *world) drain(outcome func(*crowbar.Work) crowbar.Outcome) []string {
	w.t.Helper()
	var ran []string
	for i := 0; ; i++ {
		next := graph.Runnable(w.View())
		if len(next) == 0 {
			return ran
		}
		if i > 500 {
			w.t.Fatalf("it does not come to rest: %v", ran[len(ran)-20:])
		}
		work, err := w.Begin(w.t.Context(), next[0].ID)
		if err != nil {
			w.t.Fatal(err)
		}
		ran = append(ran, work.Role.Name+"@"+work.Node.Short())
		if err := w.Finish(w.t.Context(), next[0].ID, work.Attempt, outcome(work)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func well(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{Changes: []string{"x"}} }

func (w *world) nr(role, node string) *crowbar.NodeRole {
	w.t.Helper()
	s := w.View()
	for nr := range s.NodeRoles() {
		if s.Role(nr.Role).Name == role && s.Node(nr.Node).Short() == node {
			return nr
		}
	}
	w.t.Fatalf("no %s on %s", role, node)
	return nil
}

func TestImport(t *testing.T) {
	w := build(t)
	s := w.View()
	sys := s.DeploymentNamed(System)
	if sys == nil || !sys.System || sys.Stored != crowbar.DeploymentCommitted || s.Node(sys.Phantom) == nil || !s.Node(sys.Phantom).System {
		t.Errorf("system deployment: %+v", sys)
	}
	if sys.CreatedAt.IsZero() || sys.UpdatedAt.IsZero() {
		t.Error("no stamps")
	}
	if err := w.Import(t.Context(), catalog(t)); err != nil || w.View().Rev() != s.Rev() {
		t.Errorf("the same catalog again changed something: %v", err)
	}
}

func TestCreateNodeRefuses(t *testing.T) {
	w := build(t)
	if _, err := w.CreateNode(t.Context(), crowbar.Node{Name: "n1.a.b", Address: "10.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	rev := w.View().Rev()
	for what, c := range map[string]struct {
		node crowbar.Node
		kind crowbar.ErrorKind
		says []string
	}{
		"upper case":   {crowbar.Node{Name: "N2.a.b", Address: "10.0.0.2"}, crowbar.Invalid, []string{"lower case", `"n2"`}},
		"underscore":   {crowbar.Node{Name: "n_2", Address: "10.0.0.2"}, crowbar.Invalid, []string{"n_2"}},
		"hyphen":       {crowbar.Node{Name: "-n2", Address: "10.0.0.2"}, crowbar.Invalid, []string{"hyphen"}},
		"empty label":  {crowbar.Node{Name: "n2..b", Address: "10.0.0.2"}, crowbar.Invalid, []string{"1 to 63"}},
		"digits":       {crowbar.Node{Name: "10", Address: "10.0.0.2"}, crowbar.Invalid, []string{"digits"}},
		"taken":        {crowbar.Node{Name: "n1.a.b", Address: "10.0.0.2"}, crowbar.Conflict, []string{"n1.a.b"}},
		"short taken":  {crowbar.Node{Name: "n1.c.d", Address: "10.0.0.2"}, crowbar.Conflict, []string{"n1.a.b", "n1.c.d"}},
		"address":      {crowbar.Node{Name: "n2", Address: "10.0.0.1"}, crowbar.Conflict, []string{"n1.a.b", "10.0.0.1"}},
		"mapped":       {crowbar.Node{Name: "n2", Address: "::ffff:10.0.0.1"}, crowbar.Conflict, []string{"n1.a.b"}},
		"bad address":  {crowbar.Node{Name: "n2", Address: "10.0.0.256"}, crowbar.Invalid, []string{"10.0.0.256"}},
		"no such jig":  {crowbar.Node{Name: "n2", Address: "10.0.0.2", Jig: "x"}, crowbar.Invalid, []string{"noop, ssh"}},
		"no such home": {crowbar.Node{Name: "n2", Address: "10.0.0.2", Deployment: 999}, crowbar.NotFound, []string{"999"}},
	} {
		_, err := w.CreateNode(t.Context(), c.node)
		if crowbar.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not name %q", what, err, s)
			}
		}
	}
	if w.View().Rev() != rev {
		t.Error("a refused node changed the state")
	}
}

func TestApplyAndRun(t *testing.T) {
	w := build(t)
	plan, err := w.planned(two())
	if err != nil {
		t.Fatal(err)
	}
	w.apply(two())
	var planned []string
	for _, s := range plan {
		planned = append(planned, s.Role+"@"+s.Node)
	}
	got := map[string]*crowbar.Work{}
	ran := w.drain(func(work *crowbar.Work) crowbar.Outcome {
		got[work.Role.Name+"@"+work.Node.Short()] = work
		return well(work)
	})
	slices.Sort(planned)
	if slices.Sort(ran); !slices.Equal(ran, planned) || len(ran) != 6 {
		t.Errorf("ran %v\nplanned %v", ran, planned)
	}
	work := got["db@n2"]
	if work.Attribs["db-port"] != 7.0 || work.Attribs["domain"] != "x.org" || work.Deployment.Name != "k" || work.Attempt != 1 || work.Again || len(work.Peers) == 0 {
		t.Errorf("%+v", work)
	}
	for _, secret := range []string{"hunter22", "KEY leaf/db-leaf/n2", "value of db-token"} {
		if !slices.Contains(work.Secrets, secret) {
			t.Errorf("%q is not among the secrets %v", secret, work.Secrets)
		}
	}
	if slices.Contains(work.Secrets, "CA") || got["db@n1"].First == got["db@n2"].First {
		t.Error(work.Secrets, got["db@n1"].First, got["db@n2"].First)
	}
	if got["base@n1"].Attribs["zone"] != "z1" || got["base@n2"].Attribs["zone"] != "z2" {
		t.Error(got["base@n1"].Attribs, got["base@n2"].Attribs)
	}
	nr := w.nr("db", "n2")
	if run := w.View().Run(work.Run); run == nil || run.Outcome != "changed" || !run.Finished.After(run.Started) || nr.Since.Before(run.Finished) {
		t.Errorf("run %+v, since %v", run, nr.Since)
	}
	rev := w.View().Rev()
	w.apply(two())
	if steps, err := w.planned(two()); err != nil || len(steps) > 0 || w.View().Rev() != rev || len(graph.Runnable(w.View())) > 0 {
		t.Errorf("the same again is not nothing: %v %v ", steps, err)
	}
	if v, err := w.AttribIn(crowbar.KindNodeRole, nr.ID, "db-password", "all"); v != masked || err != nil {
		t.Errorf("a secret is shown: %v %v", v, err)
	}
	if v, err := w.Reveal(t.Context(), nr.ID, "db-leaf"); err != nil || v.(map[string]any)["key"] != "KEY leaf/db-leaf/n2" {
		t.Error(v, err)
	}
	rep, err := w.Report(w.View().DeploymentNamed("k").ID, time.Time{})
	if err != nil || len(rep.Runs) != 6 || len(rep.Path) == 0 || rep.Critical > rep.Wall {
		t.Errorf("%+v %v", rep, err)
	}
	fresh := *nr
	fresh.RunCount = 0
	if w.Expected(&fresh) != crowbar.Duration(time.Second) || w.Expected(nr) != 0 {
		t.Errorf("a first run takes as long as first runs did, a rerun is unknown until one was seen: %v %v", w.Expected(&fresh), w.Expected(nr))
	}
}

func TestApplySaysAllThatIsWrong(t *testing.T) {
	w := build(t)
	rev := w.View().Rev()
	c := two()
	c.Nodes[0].Roles = []string{"db", "nosuch"}
	c.Nodes[1].Address = "10.0.0.1"
	c.Nodes[0].Attribs = map[string]any{"db-port": "x"}
	c.Attribs["nosuch-attrib"] = 1
	for _, dry := range []bool{true, false} {
		err := w.Apply(t.Context(), c, dry)
		if err == nil || w.View().Rev() != rev {
			t.Fatalf("%v, revision %d was %d", err, w.View().Rev(), rev)
		}
		for _, s := range []string{"\nnodes[0].roles[1]: ", "\nnodes[1]: ", "\nattribs.nosuch-attrib: ", "\nnodes[0].attribs.db-port: "} {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%q is not in:\n%v", s, err)
			}
		}
	}
	if err := w.Apply(t.Context(), two(), true); err != nil || w.View().Rev() != rev {
		t.Errorf("dry: %v", err)
	}
}

func TestBeginWithoutValues(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.pki.fail = errors.New("the authority is sealed")
	for range 20 {
		for _, nr := range graph.Runnable(w.View()) {
			if work, err := w.Begin(t.Context(), nr.ID); err == nil {
				_ = w.Finish(t.Context(), nr.ID, work.Attempt, well(nil))
			}
		}
	}
	nr := w.nr("db", "n1")
	if nr.State != crowbar.Error || !strings.Contains(nr.Failure, "the authority is sealed") {
		t.Errorf("%s %q", nr.State, nr.Failure)
	}
	w.pki.fail = nil
	if err := w.Retry(t.Context(), nr.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(well)
	if nr := w.nr("db", "n1"); nr.State != crowbar.Active || nr.Failure != "" {
		t.Errorf("%s %q", nr.State, nr.Failure)
	}
}

func TestRunsAreKeptShort(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	dep := w.View().DeploymentNamed("k").ID
	for range 7 {
		if err := w.Rerun(t.Context(), dep); err != nil {
			t.Fatal(err)
		}
		w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} })
	}
	id, n := w.nr("db", "n1").ID, 0
	for r := range w.View().Runs() {
		if r.NodeRole == id {
			n++
		}
	}
	if n != w.KeepRuns {
		t.Errorf("%d runs", n)
	}
}

func TestFinishStale(t *testing.T) {
	w := build(t)
	w.apply(two())
	id := graph.Runnable(w.View())[0].ID
	work, err := w.Begin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	other := New(Config{Store: w.store, PKI: w.pki, Ring: w.ring, Owner: "other"})
	if err := other.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if nr := w.View().NodeRole(id); nr.State != crowbar.Todo || w.View().Run(work.Run).Outcome != "lost" || w.View().Run(work.Run).Finished.IsZero() {
		t.Errorf("%s, %+v", nr.State, w.View().Run(work.Run))
	}
	if err := w.Finish(t.Context(), id, work.Attempt, well(nil)); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a stale finish: %v", err)
	}
	again, err := other.Begin(t.Context(), id)
	if err != nil || again.Attempt != work.Attempt+1 {
		t.Error(again, err)
	}
	if err := other.Reclaim(t.Context()); err != nil || w.View().NodeRole(id).State != crowbar.Transition {
		t.Error("its own run was reclaimed", err)
	}
}

func TestDeleteNode(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	n2 := w.View().NodeNamed("n2.a.b").ID
	if err := w.DeleteNode(t.Context(), n2, false); err != nil {
		t.Fatal(err)
	}
	if n := w.View().Node(n2); n == nil || !n.Removing {
		t.Fatal("the node went before its roles were taken off")
	}
	db := w.View().RoleNamed("db").ID
	if _, err := w.Bind(t.Context(), db, n2, w.View().DeploymentNamed("k").ID); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("bound to a node that is being deleted: %v", err)
	}
	var removed []string
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Remove {
			removed = append(removed, work.Role.Name)
		}
		return crowbar.Outcome{}
	})
	if !slices.Equal(removed, []string{"app", "db", "base"}) {
		t.Errorf("removed %v", removed)
	}
	s := w.View()
	if s.Node(n2) != nil || len(s.NodeRolesOn(n2)) != 0 || s.SecretNamed(s.DeploymentNamed("k").ID, "leaf/db-leaf/n2") != nil {
		t.Error("something of the node is left")
	}
	n1 := s.NodeNamed("n1.a.b").ID
	if err := w.SetAlive(t.Context(), n1, false); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteNode(t.Context(), n1, true); err != nil {
		t.Fatal(err)
	}
	if w.View().Node(n1) != nil || len(w.View().NodeRolesOn(n1)) != 0 {
		t.Error("something of the dead node is left")
	}
	if err := w.DeleteDeployment(t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	for o := range w.View().All(crowbar.KindSecret) {
		t.Errorf("left: %+v", o)
	}
	if w.View().NodeNamed("k-phantom.internal.local") != nil || w.View().Count(crowbar.KindNodeRole) != 0 {
		t.Error("something of the deployment is left")
	}
}

// What runs on a node that is deleted ends, and is taken off then.
func TestDeleteNodeWhileItRuns(t *testing.T) {
	w := build(t)
	w.apply(two())
	nr := w.nr("base", "n2")
	work, err := w.Begin(t.Context(), nr.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteNode(t.Context(), nr.Node, false); err != nil {
		t.Fatal(err)
	}
	if now := w.View().NodeRole(nr.ID); now == nil || now.State != crowbar.Transition || !now.Removing || !w.View().Node(nr.Node).Removing {
		t.Fatalf("while it runs: %+v", now)
	}
	if err := w.Finish(t.Context(), nr.ID, work.Attempt, well(work)); err != nil {
		t.Fatal(err)
	}
	var removed []string
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Remove {
			removed = append(removed, work.Role.Name)
		}
		return crowbar.Outcome{}
	})
	if !slices.Equal(removed, []string{"base"}) || w.View().Node(nr.Node) != nil {
		t.Errorf("removed %v, and the node is %+v", removed, w.View().Node(nr.Node))
	}
}

func TestHostKey(t *testing.T) {
	w := build(t)
	n, err := w.CreateNode(t.Context(), crowbar.Node{Name: "n1", Address: "10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"ssh-ed25519 AAAA", "ssh-ed25519 AAAA\n"} {
		if err := w.RecordHostKey(t.Context(), n.ID, key); err != nil {
			t.Fatal(err)
		}
	}
	err = w.RecordHostKey(t.Context(), n.ID, "ssh-ed25519 BBBB")
	if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "--host-key") || w.View().Node(n.ID).SSH.HostKey != "ssh-ed25519 AAAA" {
		t.Errorf("another key: %v", err)
	}
}

func TestDeployments(t *testing.T) {
	w := build(t)
	d, err := w.CreateDeployment(t.Context(), "k8s", "test", 0)
	if err != nil || d.Parent != w.View().DeploymentNamed(System).ID || w.View().NodeNamed("k8s-phantom.internal.local").ID != d.Phantom {
		t.Fatal(d, err)
	}
	for _, name := range []string{"k8s", "K8s", "", "a b"} {
		if _, err := w.CreateDeployment(t.Context(), name, "", 0); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if err := w.Pause(t.Context(), d.ID, true); err != nil || !w.View().Deployment(d.ID).Paused {
		t.Error(err)
	}
	if err := w.DeleteDeployment(t.Context(), d.Parent); crowbar.KindOf(err) != crowbar.Conflict {
		t.Error(err)
	}
	if err := w.Pause(t.Context(), 999, true); crowbar.KindOf(err) != crowbar.NotFound {
		t.Error(err)
	}
}

// TestRealBarclamp converges the shipped roles on three masters and two workers.
func TestRealBarclamp(t *testing.T) {
	b, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: b})
	if err != nil {
		t.Fatal(err)
	}
	w := build(t)
	if err := w.Import(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	doc := crowbar.Cluster{Deployment: "k8s"}
	for i := range 5 {
		n := crowbar.ClusterNode{Name: fmt.Sprintf("m%d", i), Address: fmt.Sprintf("10.0.1.%d", i+1), Roles: []string{"k8s-minion"}}
		if i < 3 {
			n.Roles = []string{"k8s-minion", "etcd", "k8s-master", "dns-pool"}
		}
		if i == 0 {
			n.Roles = append(n.Roles, "k8s-addons", "k8s-ready")
		}
		doc.Nodes = append(doc.Nodes, n)
	}
	plan, err := w.planned(doc)
	if err != nil {
		t.Fatal(err)
	}
	w.apply(doc)
	ran := w.drain(well)
	var planned []string
	for _, s := range plan {
		planned = append(planned, s.Role+"@"+s.Node)
	}
	slices.Sort(planned)
	if slices.Sort(ran); !slices.Equal(ran, planned) {
		t.Errorf("ran %d: %v\nplanned %d: %v", len(ran), ran, len(planned), planned)
	}
	for nr := range w.View().NodeRoles() {
		if nr.State != crowbar.Active {
			t.Errorf("%s: %s", place(w.View(), nr), w.Why(nr.ID))
		}
	}
}

// TestConflicts: engines of several daemons on one state, and a store that refuses at random; every verb that said yes is in
// the state, once, and nothing else is.
func TestConflicts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := build(t)
		n := 0
		refusals := rapid.SliceOfN(rapid.Bool(), 30, 30).Draw(rt, "refusals")
		w.store.Refuse = func(at crowbar.Rev, _ []crowbar.Change) error { // called under the store's lock
			n++
			if refusals[n%len(refusals)] {
				return crowbar.Errorf(crowbar.Conflict, "refused")
			}
			return nil
		}
		if !slices.Contains(refusals, false) {
			return
		}
		daemons := rapid.IntRange(2, 4).Draw(rt, "daemons")
		counts := rapid.SliceOfN(rapid.IntRange(1, 6), daemons, daemons).Draw(rt, "verbs")
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := map[string]crowbar.ID{}
		for d, count := range counts {
			e := New(Config{Store: w.store, PKI: w.pki, Owner: fmt.Sprint("d", d)})
			wg.Go(func() {
				for i := range count {
					name := fmt.Sprintf("n%d", i) // several daemons want the same names: one gets each
					got, err := e.CreateNode(t.Context(), crowbar.Node{Name: name, Address: fmt.Sprintf("10.0.%d.%d", d, i)})
					mu.Lock()
					if err == nil {
						if made[name] != 0 {
							t.Errorf("%s was made twice", name)
						}
						made[name] = got.ID
					} else if crowbar.KindOf(err) != crowbar.Conflict {
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		ids := map[crowbar.ID]bool{}
		for node := range w.View().Nodes() {
			if node.System {
				continue
			}
			if made[node.Name] != node.ID || ids[node.ID] {
				t.Errorf("%s has id %d, its maker was told %d", node.Name, node.ID, made[node.Name])
			}
			ids[node.ID] = true
		}
		if len(ids) != len(made) {
			t.Errorf("%d nodes, %d were made", len(ids), len(made))
		}
	})
}

func TestGivesUp(t *testing.T) {
	w := build(t)
	w.store.Refuse = func(crowbar.Rev, []crowbar.Change) error { return crowbar.Errorf(crowbar.Conflict, "always") }
	_, err := w.CreateNode(t.Context(), crowbar.Node{Name: "n1", Address: "10.0.0.1"})
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "gave up") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Pause(ctx, w.View().DeploymentNamed(System).ID, true); err == nil {
		t.Error("worked after its context ended")
	}
}
