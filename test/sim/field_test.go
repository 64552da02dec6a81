package sim

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// machine is a node: files, fences, and who works on it.
type machine struct {
	mu     sync.Mutex
	name   string
	down   bool
	files  map[string]string
	fences map[string]uint64 // as the annealer's script keeps them
	newest map[crowbar.ID]uint64
	live   map[*crowbar.Work]*daemon
}

func (w *world) machine(name string) *machine {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.machines[name]
	if m == nil {
		m = &machine{name: name, files: map[string]string{}, fences: map[string]uint64{}, newest: map[crowbar.ID]uint64{}, live: map[*crowbar.Work]*daemon{}}
		w.machines[name] = m
	}
	return m
}

func (m *machine) set(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// wire is the jig of one daemon.
type wire struct{ d *daemon }

func (j *wire) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	c := &conn{d: j.d, m: j.d.w.machine(n.Short())}
	return c, c.pass(ctx, 5*time.Millisecond, true)
}

type conn struct {
	d   *daemon
	m   *machine
	cut bool // by a fault, for good
}

// pass takes the time of one step and says whether it reaches the node. What is on its way arrives although the daemon is
// frozen.
func (c *conn) pass(ctx context.Context, took time.Duration, waits bool) error {
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return ctx.Err()
	}
	if waits && !c.d.step() || c.d.dead.Load() {
		return crowbar.Errorf(crowbar.Unavailable, "killed")
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.down || c.cut {
		return crowbar.Errorf(crowbar.Unavailable, "the connection to %s broke", c.m.name)
	}
	return nil
}

func (c *conn) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	took := 10 * time.Millisecond
	if cmd.Argv[0] == "remove" {
		took = 0
	}
	if err := c.pass(ctx, took, took > 0); err != nil {
		return jig.Exit{}, err
	}
	switch cmd.Argv[0] {
	case "uname":
		return jig.Exit{Stdout: []byte("x86_64\n")}, nil
	case "look":
		return c.look(cmd.Argv[1]), nil
	case "/bin/sh":
		if len(cmd.Argv) == 3 {
			return c.batch(cmd.Stdin)
		}
		return c.fence(cmd.Argv[3], cmd.Argv[4]), nil
	case "remove":
		if c.virtual() && !c.d.holds() {
			return jig.Exit{}, nil
		}
		c.changes(cmd.Argv[1])
		c.m.mu.Lock()
		defer c.m.mu.Unlock()
		maps.DeleteFunc(c.m.files, func(path, _ string) bool { return strings.HasPrefix(path, "/"+cmd.Argv[1]+".") })
	}
	return jig.Exit{}, nil
}

// look is what a role sees of the node: its own files.
func (c *conn) look(name string) jig.Exit {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return jig.Exit{Stdout: []byte(c.m.files["/"+name+".a"] + " " + c.m.files["/"+name+".b"])}
}

// batch does what a shell does with jig.Batch's script: each command, and after it the mark with its code.
func (c *conn) batch(script io.Reader) (out jig.Exit, err error) {
	text, err := io.ReadAll(script)
	if err != nil {
		return out, err
	}
	var one jig.Exit
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(strings.TrimSpace(line), ")")
		words := strings.Fields(strings.ReplaceAll(line, "'", ""))
		switch {
		case strings.HasPrefix(line, "exec "):
			if words[1] != "look" {
				return out, fmt.Errorf("%q is no look", line)
			}
			one = c.look(words[2])
		case strings.HasPrefix(line, "printf '\\n"):
			mark := strings.TrimPrefix(words[1], "\\n")
			if strings.HasSuffix(line, ">&2") {
				out.Stderr = fmt.Appendf(out.Stderr, "\n%s 0\n", mark)
				continue
			}
			out.Stdout = fmt.Appendf(append(out.Stdout, one.Stdout...), "\n%s %d\n", mark, one.Code)
		}
	}
	return out, nil
}

// virtual says that there is no machine: what a phantom's role does to it goes nowhere, and needs no fence.
func (c *conn) virtual() bool { return strings.HasSuffix(c.m.name, "-phantom") }

// fence does what the annealer's script does.
func (c *conn) fence(name, number string) jig.Exit {
	n, _ := strconv.ParseUint(number, 10, 64)
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if c.m.fences[name] > n && c.d.w.bug != "unfenced" {
		return jig.Exit{Code: 75, Stdout: fmt.Appendln(nil, c.m.fences[name])}
	}
	c.m.fences[name] = max(n, c.m.fences[name])
	return jig.Exit{}
}

func (c *conn) Put(ctx context.Context, path string, _ fs.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	// What was sent before a newer attempt came to the node counts as done before it.
	if err := c.pass(ctx, 0, false); err != nil {
		return err
	}
	defer time.Sleep(20 * time.Millisecond)
	name, _, _ := strings.Cut(path[1:], ".")
	if c.virtual() && !c.d.holds() {
		return nil
	}
	c.changes(name)
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	c.m.files[path] = string(b)
	return nil
}

// changes tells the oracle that a role changes the node.
func (c *conn) changes(name string) {
	w := c.d.w
	c.d.mu.Lock()
	run := c.d.works[name+"@"+c.m.name]
	c.d.mu.Unlock()
	id := run.NodeRole.ID
	c.m.mu.Lock()
	newest := c.m.newest[id]
	c.m.newest[id] = max(newest, run.Attempt)
	c.m.mu.Unlock()
	if newest > run.Attempt {
		w.wrong("attempt %d of %s@%s by %s changes the node after attempt %d did", run.Attempt, name, c.m.name, c.d.name, newest)
	}
	if c.d.holds() {
		s := w.mem.View()
		if nr := s.NodeRole(id); s.Node(run.Node.ID) != nil && (nr == nil || nr.State != crowbar.Transition || nr.Attempt != run.Attempt) {
			w.wrong("attempt %d of %s@%s by %s changes the node while the state has no such run under way", run.Attempt, name, c.m.name, c.d.name)
		}
	}
}

func (c *conn) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	if err := c.pass(ctx, 10*time.Millisecond, true); err != nil {
		return nil, err
	}
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if b, ok := c.m.files[path]; ok {
		return io.NopCloser(strings.NewReader(b)), nil
	}
	return nil, fs.ErrNotExist
}

func (c *conn) Dial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func (c *conn) Close() error { return nil }

// work is a role: what it writes follows from its attribs and from what its parents gave back.
type work struct {
	d    *daemon
	name string
}

func (r work) Describe() role.Info { return role.Info{Name: r.name} }

// enter counts a run in on its node, and gives the way out.
func (r work) enter(on role.Target) (*crowbar.Work, [][2]string, func()) {
	m, w := r.d.w.machine(on.Node), r.d.w
	r.d.mu.Lock()
	run, parents := r.d.works[r.name+"@"+on.Node], r.d.parents[r.name+"@"+on.Node]
	r.d.mu.Unlock()
	mine := r.d.holds()
	m.mu.Lock()
	for other, d := range m.live {
		if mine && d.holds() {
			w.wrong("%s@%s runs, attempt %d, while %s runs there", r.name, on.Node, run.Attempt, other.Role.Name)
		}
	}
	m.live[run] = r.d
	m.mu.Unlock()
	w.calls.Add(1)
	w.note("%s: %s@%s attempt %d begins, remove %v", r.d.name, r.name, on.Node, run.Attempt, run.Remove)
	return run, parents, func() {
		m.mu.Lock()
		delete(m.live, run)
		m.mu.Unlock()
		w.note("%s: %s@%s attempt %d ends", r.d.name, r.name, on.Node, run.Attempt)
	}
}

// trouble is what happens to a run, if anything.
func (r work) trouble(ctx context.Context, run *crowbar.Work, on role.Target, where string) error {
	w := r.d.w
	took := time.Duration(20+w.dice(1500, "time", r.name, on.Node, run.Attempt, where)) * time.Millisecond
	if w.dice(8, "slow", r.name, on.Node, run.Attempt, where) == 0 {
		took *= 6 // so that others come and go meanwhile
	}
	if err := sleep(ctx, took); err != nil {
		return err
	}
	r.d.step()
	if w.calm.Load() && !w.mild.Load() {
		return nil
	}
	switch w.dice(120, "trouble", r.name, on.Node, run.Attempt, where) {
	case 0, 1, 2:
		return errors.New("it went wrong")
	case 3:
		panic("it went very wrong")
	case 4, 5:
		return fmt.Errorf("role %s: %w", r.name, role.ErrDied)
	case 6:
		<-ctx.Done()
		return ctx.Err()
	case 7:
		if !w.mild.Load() {
			r.d.kill("in a role, " + where)
		}
	case 8, 9:
		m := w.machine(on.Node)
		m.set(true)
		time.AfterFunc(2*time.Second, func() { m.set(false) })
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Apply writes two files with what it was given, if they are not so.
func (r work) Apply(ctx context.Context, on role.Target) (res role.Result, err error) {
	run, parents, leave := r.enter(on)
	defer leave()
	if run.Role.Flags.Destructive && run.NodeRole.RunCount > 0 {
		r.d.w.wrong("%s@%s is destructive and runs again", r.name, on.Node)
	}
	attribs := r.d.w.unsealed(r.name, on)
	text := content(r.name, on.Node, attribs, wallsOf(parents, on.Peers))
	if run.Role.Flags.Destructive { // it is run once: what it makes may not depend on when
		text = content(r.name, on.Node, nil, nil)
	}
	seen, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"look", r.name}})
	if err != nil {
		return res, err
	}
	have := strings.Split(seen, " ")
	for i, part := range []string{"a", "b"} {
		if err := r.trouble(ctx, run, on, part); err != nil {
			return res, err
		}
		path := "/" + r.name + "." + part
		if have[i] == text {
			continue
		}
		if err := on.Conn.Put(ctx, path, 0o600, strings.NewReader(text)); err != nil {
			return res, err
		}
		res.Changes = append(res.Changes, role.Change{What: "file", Name: path, Do: "change"})
	}
	res.Wall = crowbar.Data{"v": text}
	return res, r.trouble(ctx, run, on, "end")
}

// Remove takes the files away.
func (r work) Remove(ctx context.Context, on role.Target) error {
	run, _, leave := r.enter(on)
	defer leave()
	if err := r.trouble(ctx, run, on, "remove"); err != nil {
		return err
	}
	if _, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"remove", r.name}}); err != nil {
		return err
	}
	return r.trouble(ctx, run, on, "removed")
}

// unsealed is the attribs without those that the host makes, which must stay as they once were.
func (w *world) unsealed(name string, on role.Target) crowbar.Data {
	out := crowbar.Data{}
	for a, v := range on.Attribs {
		if !strings.HasPrefix(a, "secret-") {
			out[a] = v
			continue
		}
		text, _ := v.(string)
		at := a + " of " + on.Deployment
		w.mu.Lock()
		had, known := w.secrets[at]
		w.secrets[at] = text
		w.mu.Unlock()
		if text == "" || known && had != text {
			w.wrong("%s was given %q as %s, and it was %q before", name, text, at, had)
		}
	}
	return out
}

// wallsOf is what the parents that serve gave back.
func wallsOf(parents [][2]string, peers []role.Peer) []string {
	var out []string
	for _, p := range peers {
		if v, ok := p.Wall["v"].(string); ok && p.Settled && slices.Contains(parents, [2]string{p.Role, p.Node}) {
			out = append(out, p.Role+"@"+p.Node+"="+v)
		}
	}
	return out
}

// content is what a role makes of all that it sees.
func content(name, node string, attribs crowbar.Data, walls []string) string {
	walls = slices.Clone(walls)
	slices.Sort(walls)
	h := fnv.New64a()
	fmt.Fprint(h, name, node, attribs, walls)
	return fmt.Sprintf("%x", h.Sum64())
}
