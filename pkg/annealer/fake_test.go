package annealer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// site is a number of fake nodes, reached by a fake jig, on which fake roles work.
type site struct {
	mu       sync.Mutex
	nodes    map[string]*machine
	dials    int
	open     int // connections
	dialFail func(node string) error
	apply    func(ctx context.Context, name string, on role.Target) (role.Result, error)
	unknown  error // what Roles answers, if set

	busy, most int // runs at once
}

// machine is what a fake node has on its disk.
type machine struct {
	mu     sync.Mutex
	files  map[string]string
	fences map[string]uint64
	calls  []string
	active int
	exec   func(jig.Cmd) (jig.Exit, error)
	hang   bool // "sleep" does not end by itself
}

func newSite() *site { return &site{nodes: map[string]*machine{}} }

func (s *site) machine(name string) *machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.nodes[name]
	if m == nil {
		m = &machine{files: map[string]string{}, fences: map[string]uint64{}}
		s.nodes[name] = m
	}
	return m
}

// Dial connects to a fake node.
func (s *site) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	if s.dialFail != nil {
		if err := s.dialFail(n.Short()); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.dials++
	s.open++
	s.mu.Unlock()
	return &fakeConn{site: s, m: s.machine(n.Short())}, nil
}

type fakeConn struct {
	site *site
	m    *machine
	once sync.Once
}

func (c *fakeConn) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	if err := ctx.Err(); err != nil {
		return jig.Exit{}, crowbar.Errorf(crowbar.Unavailable, "cut off: %w", err)
	}
	if cmd.Argv[0] == "uname" {
		return jig.Exit{Stdout: []byte("x86_64\n")}, nil
	}
	if cmd.Argv[0] == "sleep" && c.m.hang {
		<-ctx.Done()
		return jig.Exit{}, context.Cause(ctx)
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if cmd.Stdin != nil {
		if script, _ := io.ReadAll(cmd.Stdin); string(script) == fenceScript {
			return c.m.fence(cmd.Argv[3], cmd.Argv[4])
		}
	}
	c.m.calls = append(c.m.calls, strings.Join(cmd.Argv, " "))
	if c.m.exec != nil {
		return c.m.exec(cmd)
	}
	return jig.Exit{Stdout: []byte(cmd.Env["KUBECLAMP_FENCE"])}, nil
}

func (m *machine) fence(name, attempt string) (jig.Exit, error) {
	n, _ := strconv.ParseUint(attempt, 10, 64)
	m.calls = append(m.calls, "fence "+attempt)
	if m.fences[name] > n {
		return jig.Exit{Code: 75, Stdout: fmt.Appendln(nil, m.fences[name])}, nil
	}
	m.fences[name] = n
	return jig.Exit{}, nil
}

func (c *fakeConn) Put(ctx context.Context, path string, _ fs.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return crowbar.Errorf(crowbar.Unavailable, "put %s: interrupted", path) // as jigs/ssh says it
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.calls = append(c.m.calls, "put "+path)
	c.m.files[path] = string(b)
	return nil
}

func (c *fakeConn) Get(_ context.Context, path string) (io.ReadCloser, error) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if b, ok := c.m.files[path]; ok {
		return io.NopCloser(strings.NewReader(b)), nil
	}
	return nil, fs.ErrNotExist
}

func (c *fakeConn) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func (c *fakeConn) Close() error {
	c.once.Do(func() {
		c.site.mu.Lock()
		defer c.site.mu.Unlock()
		c.site.open--
	})
	return nil
}

// fakeRole writes one file a role, in two steps, if it is not there.
type fakeRole struct {
	name string
	site *site
}

func (r fakeRole) Describe() role.Info { return role.Info{Name: r.name} }

func (r fakeRole) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	r.site.enter(on.Node)
	defer r.site.leave(on.Node)
	if r.site.apply != nil {
		return r.site.apply(ctx, r.name, on)
	}
	return r.site.write(ctx, r.name, on)
}

func (s *site) write(ctx context.Context, name string, on role.Target) (res role.Result, err error) {
	if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"facts"}, Reads: true}); err != nil {
		return res, err
	}
	for _, part := range []string{"a", "b"} {
		path := "/" + name + "." + part
		if rc, err := on.Conn.Get(ctx, path); err == nil {
			rc.Close()
			continue
		}
		if err := on.Conn.Put(ctx, path, 0o644, strings.NewReader("content")); err != nil {
			return res, err
		}
		res.Changes = append(res.Changes, role.Change{What: "file", Name: path, Do: "create"})
	}
	return res, nil
}

func (r fakeRole) Remove(ctx context.Context, on role.Target) error {
	_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"rm", r.name}})
	m := r.site.machine(on.Node)
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.files, func(path, _ string) bool { return strings.HasPrefix(path, "/"+r.name+".") })
	return err
}

func (s *site) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *site) enter(node string) {
	m := s.machine(node)
	s.mu.Lock()
	s.busy++
	s.most = max(s.most, s.busy)
	s.mu.Unlock()
	m.mu.Lock()
	m.active++
	if m.active > 1 {
		panic("two runs on " + node)
	}
	m.mu.Unlock()
}

func (s *site) leave(node string) {
	m := s.machine(node)
	s.mu.Lock()
	s.busy--
	s.mu.Unlock()
	m.mu.Lock()
	m.active--
	m.mu.Unlock()
}

const small = `
barclamp: { name: small, version: "1.0" }
jigs:
  - { name: ssh, class: SSH }
  - { name: noop, class: Noop }
roles:
  - { name: config, jig: noop, flags: [service] }
  - { name: base, jig: ssh, flags: [implicit], timeout: 1m }
  - name: db
    jig: ssh
    flags: [cluster, milestone]
    requires: [base, config]
    exclusive: [{ name: db-members, limit: 1, gate: peers-active }]
    attribs:
      - { name: db-password, map: db/password, default: "", secret: true, schema: { type: str } }
  - { name: app, jig: ssh, flags: [milestone], requires: [base, db] }
`

// rig is a whole daemon without wires.
type rig struct {
	*Annealer
	*site
	t      *testing.T
	engine *engine.Engine
	store  engine.Store
}

func newRig(t *testing.T, st engine.Store, s *site, owner string) *rig {
	t.Helper()
	ring, err := pki.NewRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{Store: st, PKI: nil, Ring: ring, Owner: owner, Mac: ring.Mac})
	a := New(Config{Engine: e, Owner: owner, Jigs: map[string]jig.Jig{"ssh": s, "noop": s}, LogDir: t.TempDir(), Parallel: 3,
		Roles: func(name string) (role.Role, error) {
			if s.unknown != nil {
				return nil, s.unknown
			}
			return fakeRole{name, s}, nil
		},
		Log: slog.New(slog.DiscardHandler)})
	return &rig{Annealer: a, site: s, t: t, engine: e, store: st}
}

// cluster imports the barclamp and applies n nodes.
func (r *rig) cluster(n int) {
	r.t.Helper()
	c, err := barclamp.Parse(barclamp.File{Path: "small.yml", Data: []byte(small)})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.engine.Import(r.t.Context(), c); err != nil {
		r.t.Fatal(err)
	}
	doc := crowbar.Cluster{Deployment: "k", Attribs: map[string]any{"db-password": "hunter22\nsecond line of it"}}
	for i := range n {
		cn := crowbar.ClusterNode{Name: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("10.0.%d.%d", i/250, i%250+1), Roles: []string{"app"}}
		if i < 3 {
			cn.Roles = []string{"db", "app"}
		}
		doc.Nodes = append(doc.Nodes, cn)
	}
	if err := r.engine.Apply(r.t.Context(), doc, false); err != nil {
		r.t.Fatal(err)
	}
}

// until runs the annealer until the state is so, and then stops it; false if an hour passed first.
func (r *rig) until(so func(*crowbar.Snapshot) bool) bool {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Hour)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	ok := false
	for s := range r.engine.Watch(ctx) {
		if so(s) {
			ok = true
			cancel()
		}
	}
	<-done
	return ok
}

func allActive(s *crowbar.Snapshot) bool {
	for nr := range s.NodeRoles() {
		if nr.State != crowbar.Active {
			return false
		}
	}
	return true
}

func someError(s *crowbar.Snapshot) bool {
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Error {
			return true
		}
	}
	return false
}

func (r *rig) nr(roleName, node string) *crowbar.NodeRole {
	r.t.Helper()
	s := r.engine.View()
	for nr := range s.NodeRoles() {
		if s.Role(nr.Role).Name == roleName && s.Node(nr.Node).Short() == node {
			return nr
		}
	}
	r.t.Fatalf("no %s on %s", roleName, node)
	return nil
}

func memory() *storetest.Memory { return storetest.NewMemory() }
