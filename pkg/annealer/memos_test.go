package annealer

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// bench is two nodes, which are folders of this machine, and a chain of six roles that each keep one file.
type bench struct {
	*Annealer
	engine *engine.Engine
	t      *testing.T
	dir    string

	mu     sync.Mutex
	execs  map[string]int // by node
	called []string       // roles, as "r3@a"
	breaks func() error   // what an Exec ends with, if set
	also   func(name string, on role.Target, wrote bool)
	looks  string // more for every look's script

	programs map[string]string // of roles, where it is not the first
}

const chain = `
barclamp: { name: chain, version: "1.0" }
jigs: [{ name: ssh, class: SSH }]
roles:
  - name: r1
    jig: ssh
    flags: [cluster]
    attribs: [{ name: r1-text, map: r1/text, default: one, schema: { type: str } }]
`

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), execs: map[string]int{}}
	b.engine = engine.New(engine.Config{Store: memory(), Owner: "a"})
	b.Annealer = New(Config{Engine: b.engine, Jigs: map[string]jig.Jig{"ssh": b}, LogDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
		Roles: func(name string) (role.Role, error) { return keeps{name, b}, nil }})
	doc := chain
	for i := 2; i <= 6; i++ {
		doc += fmt.Sprintf("  - name: r%d\n    jig: ssh\n    requires: [r%d]\n    attribs: [{ name: r%d-text, map: r%d/text, default: text, schema: { type: str } }]\n", i, i-1, i, i)
	}
	c, err := barclamp.Parse(barclamp.File{Path: "chain.yml", Data: []byte(doc)})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.engine.Import(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	all := []string{"r1", "r2", "r3", "r4", "r5", "r6"}
	b.apply(crowbar.Cluster{Deployment: "k", Nodes: []crowbar.ClusterNode{{Name: "a", Address: "10.0.0.1", Roles: all}, {Name: "b", Address: "10.0.0.2", Roles: all}}})
	for n := range b.engine.View().Nodes() { // a look needs no first question for what is known
		if !n.System {
			if _, err := b.engine.UpdateNode(t.Context(), n.ID, func(n *crowbar.Node) error { n.Arch = "amd64"; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b
}

func (b *bench) apply(c crowbar.Cluster) {
	b.t.Helper()
	if err := b.engine.Apply(b.t.Context(), c, false); err != nil {
		b.t.Fatal(err)
	}
}

// Dial gives a connection to a node: this machine, and a count.
func (b *bench) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	c, err := local.New().Dial(ctx, n)
	return &countedConn{c, n.Short(), b}, err
}

type countedConn struct {
	jig.Conn
	node string
	b    *bench
}

func (c *countedConn) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	c.b.mu.Lock()
	c.b.execs[c.node]++
	broken := c.b.breaks
	c.b.mu.Unlock()
	if broken != nil {
		if err := broken(); err != nil {
			return jig.Exit{}, err
		}
	}
	return c.Conn.Exec(ctx, cmd)
}

// keeps is a role that keeps DIR/NODE/NAME at its attrib's text, and gives the text back.
type keeps struct {
	name string
	b    *bench
}

func (r keeps) Describe() role.Info { return role.Info{Name: r.name} }

// Program is the one that the role is.
func (r keeps) Program() string { return r.b.programs[r.name] }

func (r keeps) file(node string) string { return filepath.Join(r.b.dir, node, r.name) }

func (r keeps) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	r.b.mu.Lock()
	r.b.called = append(r.b.called, r.name+"@"+on.Node)
	r.b.mu.Unlock()
	want, file := on.Attribs[r.name+"-text"].(string), r.file(on.Node)
	c := jig.Script(`cat "$1" 2>/dev/null; echo "$WORD" >&2`+"\n"+r.b.looks, file)
	c.Env = map[string]string{"WORD": "it's a 'word'"}
	var out strings.Builder
	if on.Arch == "amd64" && r.name == "r2" { // as a role in a process of its own has it
		c.Stdout = &out
		c.Stdin = struct{ *strings.Reader }{c.Stdin.(*strings.Reader)}
	}
	exit, err := on.Conn.Exec(ctx, c)
	if err != nil {
		return role.Result{}, err
	}
	res := role.Result{Wall: crowbar.Data{r.name + "-wall": want}}
	wrong := !strings.HasPrefix(string(exit.Stdout)+out.String(), want+"\n")
	if wrong {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil { // the nodes are on this machine
			return res, err
		}
		if err := on.Conn.Put(ctx, file, 0o600, strings.NewReader(want+"\n")); err != nil {
			return res, err
		}
		res.Changes = []role.Change{{What: "file", Name: file, Do: "change"}}
	}
	if r.b.also != nil {
		r.b.also(r.name, on, wrong)
	}
	return res, nil
}

// converge anneals until all is active, and gives how many commands each node ran and which roles were called.
func (b *bench) converge() (execs map[string]int, called []string) {
	b.t.Helper()
	b.execs, b.called = map[string]int{}, nil
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	for s := range b.engine.Watch(ctx) {
		if someError(s) {
			b.t.Error("a node-role is in error")
			cancel()
		}
		if allActive(s) {
			cancel()
		}
	}
	<-done
	if !allActive(b.engine.View()) {
		b.t.Fatal("it does not converge")
	}
	slices.Sort(b.called)
	return b.execs, b.called
}

func (b *bench) rerun() (map[string]int, []string) {
	b.t.Helper()
	if err := b.engine.Rerun(b.t.Context(), b.engine.View().DeploymentNamed("k").ID); err != nil {
		b.t.Fatal(err)
	}
	return b.converge()
}

// settled is a bench on which everything has been found in order once.
func settled(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.converge()
	if execs, called := b.rerun(); len(called) != 12 || execs["a"] != 6 {
		t.Fatalf("the first rerun: %v, %v", execs, called)
	}
	b.quiet()
	return b
}

// quiet wants a rerun to be one command a node, and none to be called.
func (b *bench) quiet() {
	b.t.Helper()
	if execs, called := b.rerun(); execs["a"] != 1 || execs["b"] != 1 || len(called) > 0 {
		b.t.Fatalf("nothing changed, and there were %v commands, and calls of %v", execs, called)
	}
	s := b.engine.View()
	for nr := range s.NodeRoles() {
		if !s.Node(nr.Node).System && (nr.Status != "nothing to do" || s.Run(nr.Run).Outcome != "unchanged" || len(nr.Wall) != 1) {
			b.t.Errorf("%s on %s: %q, %q, wall %v", s.Role(nr.Role).Name, s.Node(nr.Node).Short(), nr.Status, s.Run(nr.Run).Outcome, nr.Wall)
		}
	}
}

func (b *bench) wants(execs map[string]int, called []string, onA, onB int, calls ...string) {
	b.t.Helper()
	if execs["a"] != onA || execs["b"] != onB || !slices.Equal(called, calls) {
		b.t.Errorf("%v commands, calls of %v; want %d, %d and %v", execs, called, onA, onB, calls)
	}
}

func (b *bench) read(node, name string) string {
	b.t.Helper()
	text, err := os.ReadFile(keeps{name, b}.file(node))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(text)
}

func (b *bench) spoil(node, name string) {
	b.t.Helper()
	if err := os.WriteFile(keeps{name, b}.file(node), []byte("by hand\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func TestARerunIsOneCommandANode(t *testing.T) {
	b := settled(t)
	b.quiet()
	b.looks = "# another program asks otherwise\n" // it is never asked
	b.quiet()
}

func TestAChangeByHandIsMended(t *testing.T) {
	b := settled(t)
	b.spoil("a", "r3")
	execs, called := b.rerun()
	// all looks; r3's own look, fence (and file); the looks of what is left
	b.wants(execs, called, 4, 1, "r3@a")
	if got := b.read("a", "r3"); got != "text\n" {
		t.Errorf("r3 is %q", got)
	}
	if nr := b.nr("r3", "a"); nr.Status != "1 change" {
		t.Errorf("status %q", nr.Status)
	}
	execs, called = b.rerun()
	b.wants(execs, called, 2, 1, "r3@a") // one that has changed something looks once more
	b.quiet()
}

func (b *bench) nr(name, node string) *crowbar.NodeRole {
	return (&rig{t: b.t, engine: b.engine}).nr(name, node)
}

// TestWhatAParentDoesIsSeen: what was seen before a parent changed the node is not believed.
func TestWhatAParentDoesIsSeen(t *testing.T) {
	b := settled(t)
	b.spoil("a", "r3")
	b.also = func(name string, on role.Target, wrote bool) {
		if name == "r3" && wrote {
			b.spoil("a", "r5") // as it was before the rerun's one look
		}
	}
	_, called := b.rerun()
	if !slices.Equal(called, []string{"r3@a", "r5@a"}) || b.read("a", "r5") != "text\n" {
		t.Errorf("calls of %v, r5 is %q", called, b.read("a", "r5"))
	}
}

// TestWhatAParentElsewhereDoesIsSeen: r1 is a cluster's, so that r2 on node b comes after r1 on node a as well.
func TestWhatAParentElsewhereDoesIsSeen(t *testing.T) {
	b := settled(t)
	b.spoil("a", "r1")
	looked := make(chan struct{})
	b.also = func(name string, on role.Target, wrote bool) {
		if name == "r1" && on.Node == "a" && wrote {
			<-looked // b has been looked at, down to its r4
			b.spoil("b", "r4")
		}
	}
	go func() {
		for s := range b.engine.Watch(t.Context()) {
			if nr := b.nr("r1", "b"); nr.RunCount == 4 && s.NodeRole(nr.ID).State == crowbar.Active {
				close(looked)
				return
			}
		}
	}()
	_, called := b.rerun()
	if !slices.Equal(called, []string{"r1@a", "r4@b"}) || b.read("b", "r4") != "text\n" {
		t.Errorf("calls of %v, r4 on b is %q", called, b.read("b", "r4"))
	}
}

func TestAChangedAttribRunsItsRoleAlone(t *testing.T) {
	b := settled(t)
	nr := b.nr("r5", "a")
	if err := b.engine.Propose(t.Context(), nr.Deployment); err != nil {
		t.Fatal(err)
	}
	if err := b.engine.Set(t.Context(), crowbar.KindNodeRole, nr.ID, "r5-text", "new"); err != nil {
		t.Fatal(err)
	}
	if err := b.engine.Commit(t.Context(), nr.Deployment); err != nil {
		t.Fatal(err)
	}
	if _, called := b.rerun(); slices.Contains(called, "r4@a") || !slices.Contains(called, "r5@a") || b.read("a", "r5") != "new\n" {
		t.Errorf("calls of %v, r5 is %q", called, b.read("a", "r5"))
	}
}

func TestAnotherProgramIsCalled(t *testing.T) {
	b := settled(t)
	b.programs = map[string]string{"r4": "another"}
	execs, called := b.rerun()
	b.wants(execs, called, 2, 2, "r4@a", "r4@b")
	b.quiet()
}

func TestForceCallsEveryRole(t *testing.T) {
	b := settled(t)
	if err := b.engine.Force(t.Context(), b.engine.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	execs, called := b.converge()
	if len(called) != 12 || execs["a"] != 6 {
		t.Errorf("%v commands, calls of %v", execs, called)
	}
	b.quiet()
}

// TestALookThatChangesIsNeverBelieved: a clock in it, for one.
func TestALookThatChangesIsNeverBelieved(t *testing.T) {
	b := newBench(t)
	b.looks = "date +%N\n"
	b.converge()
	b.rerun()
	if _, called := b.rerun(); len(called) != 12 {
		t.Errorf("calls of %v", called)
	}
}

// TestTheTimeOfTheHostIsTold: the look's answer holds while the clocks do.
func TestTheTimeOfTheHostIsTold(t *testing.T) {
	b := newBench(t)
	b.looks = "[ $(($(date +%s%N) - KUBECLAMP_NOW)) -lt 20000000000 ] && echo near\n"
	b.converge()
	b.rerun()
	b.quiet()
}

func TestOneThatCannotBeLookedAtIsRun(t *testing.T) {
	for name, err := range map[string]error{
		"link": crowbar.Errorf(crowbar.Unavailable, "the connection to a broke"), "other": crowbar.Errorf(crowbar.Invalid, "no"),
	} {
		t.Run(name, func(t *testing.T) {
			b := settled(t)
			var once sync.Once
			b.breaks = func() (out error) {
				once.Do(func() { out = err })
				return out
			}
			// A link that is dead is made anew for the look. Any other trouble is the run's own to find, as ever.
			b.rerun()
			b.breaks = nil
			b.quiet()
		})
	}
}

func TestStill(t *testing.T) {
	for name, c := range map[string]struct {
		then    moment
		attempt uint64
		state   crowbar.State
		outcome string
		want    bool
	}{
		"not run since":       {moment{3, false}, 3, crowbar.Active, "changed", true},
		"runs now":            {moment{3, false}, 4, crowbar.Transition, "", false},
		"found nothing":       {moment{3, false}, 4, crowbar.Active, "unchanged", true},
		"changed something":   {moment{3, false}, 4, crowbar.Active, "changed", false},
		"failed":              {moment{3, false}, 4, crowbar.Error, "failed", false},
		"was lost":            {moment{3, false}, 4, crowbar.Todo, "lost", false},
		"ran then, no change": {moment{3, true}, 3, crowbar.Active, "unchanged", true},
		"ran then, a change":  {moment{3, true}, 3, crowbar.Active, "changed", false},
		"ran then and again":  {moment{3, true}, 4, crowbar.Active, "unchanged", false},
		"ran twice":           {moment{3, false}, 5, crowbar.Active, "unchanged", false},
		"was not there":       {moment{}, 0, crowbar.Blocked, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := crowbar.NewSnapshot().Apply(1, crowbar.Change{Put: &crowbar.NodeRole{ID: 1, Attempt: c.attempt, State: c.state, Run: 2}},
				crowbar.Change{Put: &crowbar.Run{ID: 2, NodeRole: 1, Attempt: c.attempt, Outcome: c.outcome}})
			if got := still(s, 1, c.then); got != c.want {
				t.Errorf("%v", got)
			}
		})
	}
}
