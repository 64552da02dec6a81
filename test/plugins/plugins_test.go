// Package plugins holds bad plugins against the real host, annealer and engine. It does not know how they are contained.
package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// kinds of bad plugins, and what an operator reads of each in one line. "" = it is held so well that nothing comes of it.
var kinds = []struct{ name, says, words string }{
	{"exit-at-once", "it ended before it said hello: exit status 3", ""},
	{"exit-after-output", `instead of hello it said "Welcome to my plugin!"`, "there is no file /etc/plugin.conf"},
	{"hang-before-handshake", "it did not say hello within", ""},
	{"hang-in-apply", "role hang-in-apply ran longer than its timeout of 10s", "I take my time"},
	{"panic-in-apply", "panic: this cannot be", "goroutine "},
	{"panic-in-describe", "panic: no idea what I am", "goroutine "},
	{"wrong-cookie", "it ended before it said hello: exit status 2", "It is started by kubeclampd"},
	{"wrong-version", "Plugin version: 7, Client versions: [1]: build it anew", ""},
	{"stdout-noise", "", ""},
	{"json-on-stderr", "", ""},
	{"gigabyte-line", "", ""},
	{"memory-hog", "it was killed because it used more than the 256 MiB of memory that it may", ""},
	{"fork-bomb", "resource temporarily unavailable: it tried to start more than the 64 processes and threads that it may", ""},
	{"slow-stream", "role slow-stream ran longer than its timeout of 10s", ""},
	{"giant-answer", "its answer is larger than the 16 MiB that it may be", ""},
	{"disagrees", `its plugin reads attrib "an-attrib-that-the-file-does-not-have"`, ""},
	{"misnamed", `it says that it is role "something-else"`, ""},
	{"leaves-children", "the role's process ended: exit status 5", ""},
	{"hangs-up", "role hangs-up: the role's process ended", ""},
	{"tampered", "was changed (sha256 ", ""},
	{"broken-for-long", "is broken: its process crashed 5 times within 1m0s", "I never work"},
}

// TestBadPlugins binds each kind to a node of its own, beside one where a good role runs again and again.
func TestBadPlugins(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	files := openFiles(t)
	w := newWorld(t, flood{noop.New()}, append(names(), "good")...)
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	stop := w.run(t)

	enough := make(chan struct{})
	good := w.again("good", enough)
	w.settled(t, "tampered")
	w.tamper(t)
	for range crashes { // one after the other: each waits longer for its start
		w.settled(t, "broken-for-long")
		w.retry(t, "broken-for-long")
	}
	for _, k := range kinds {
		w.settled(t, k.name)
	}
	close(enough)
	runs := <-good
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { w.check(t, k.name, k.says, k.words) })
	}
	if nr := w.nr("good"); nr.State != crowbar.Active || runs < 5 {
		t.Errorf("the good role is %s, and ran %d times while the bad ones did: too few to tell that it is not held up: %s", nr.State, runs, nr.Failure)
	}
	w.mend(t)

	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	if grown := int64(now.Sys) - int64(heap.Sys); grown > 400<<20 {
		t.Errorf("this process grew by %d MiB", grown>>20)
	}
	stop()
	w.nothingLeft(t, files)
	t.Logf("%d kinds of bad plugins held; beside them the good one ran %d times", len(kinds), runs)
}

const (
	memory    = 256 << 20
	processes = 64
	crashes   = 5 // and a role is broken
)

// world is a whole daemon in this process, but for its API and etcd.
type world struct {
	engine  *engine.Engine
	host    *plugin.Host
	ann     *annealer.Annealer
	names   []string // of the roles
	dir     string   // of the programs
	sockets string
	log     *locked
}

func newWorld(t *testing.T, nodes jig.Jig, names ...string) *world {
	t.Helper()
	w := &world{names: names, dir: t.TempDir(), log: &locked{}}
	var err error
	if w.sockets, err = os.MkdirTemp("", "kc"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(w.sockets) })
	w.build(t)
	w.engine = engine.New(engine.Config{Store: storetest.NewMemory(), Owner: "test"})
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.host = plugin.NewHost(plugin.Config{Dir: w.dir, SocketDir: w.sockets, Log: log, StartLimit: 10 * time.Second, StopLimit: time.Second,
		Limits: plugin.Limits{Memory: memory, Processes: processes}})
	w.declare(t)
	w.ann = annealer.New(annealer.Config{Engine: w.engine, Jigs: map[string]jig.Jig{"noop": nodes}, LogDir: t.TempDir(), Log: log,
		Roles: func(name string) (role.Role, error) { return w.host.Role(t.Context(), name) }})
	return w
}

// build makes the bad program, and gives it a name for each kind.
func (w *world) build(t *testing.T) {
	t.Helper()
	bin := filepath.Join(w.dir, "bad")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./bad").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range w.names {
		if err := os.Symlink(bin, w.program(name)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"tampered", "broken-for-long"} { // these are changed later
		if !slices.Contains(w.names, own) {
			continue
		}
		if err := errors.Join(os.Remove(w.program(own)), os.WriteFile(w.program(own), b, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) program(name string) string { return filepath.Join(w.dir, "kubeclamp-role-"+name) }

func names() []string {
	var out []string
	for _, k := range kinds {
		out = append(out, k.name)
	}
	return out
}

// declare imports a barclamp with all of them, and binds each to a node.
func (w *world) declare(t *testing.T) {
	t.Helper()
	text := "barclamp: { name: bad, version: \"1\" }\njigs: [{ name: noop, class: Noop }]\nroles:\n"
	doc := crowbar.Cluster{Deployment: "d"}
	for i, name := range w.names {
		timeout := "1m"
		if name == "hang-in-apply" || name == "slow-stream" {
			timeout = "10s"
		}
		text += fmt.Sprintf("  - { name: %s, jig: noop, timeout: %s }\n", name, timeout)
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: "node-of-" + name, Address: fmt.Sprintf("10.0.0.%d", i+1), Roles: []string{name}})
		w.host.Expect(name, func(info role.Info) error {
			for _, a := range info.Wants {
				return fmt.Errorf("its plugin reads attrib %q, which the role neither has nor wants in the file", a)
			}
			return nil
		})
	}
	c, err := barclamp.Parse(barclamp.File{Path: "bad.yml", Data: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.engine.Import(t.Context(), c), w.engine.Apply(t.Context(), doc, false)); err != nil {
		t.Fatal(err)
	}
}

// run anneals until stop is called, which also ends the host.
func (w *world) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.ann.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := w.host.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (w *world) nr(name string) *crowbar.NodeRole {
	s := w.engine.View()
	r := s.RoleNamed(name)
	for nr := range s.NodeRoles() {
		if nr.Role == r.ID {
			return nr
		}
	}
	return nil
}

func atRest(nr *crowbar.NodeRole) bool {
	return nr.State == crowbar.Error || nr.State == crowbar.Active
}

// again has a role run again and again until enough, and says how often it did.
func (w *world) again(name string, enough <-chan struct{}) <-chan int {
	runs := make(chan int, 1)
	go func() {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		watch := w.engine.Watch(ctx)
		for {
			select {
			case <-watch:
				if nr := w.nr(name); nr.State == crowbar.Active {
					_ = w.engine.Retry(ctx, nr.ID)
				}
			case <-enough:
				for { // what came to rest before may be told no more
					if nr := w.nr(name); atRest(nr) {
						runs <- nr.RunCount
						return
					}
					<-watch
				}
			}
		}
	}()
	return runs
}

// settled waits until a node-role is active or in error.
func (w *world) settled(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range w.engine.Watch(ctx) {
		if atRest(w.nr(name)) {
			return
		}
	}
	nr := w.nr(name)
	t.Fatalf("%s is still %s: %s", name, nr.State, nr.Status)
}

func (w *world) retry(t *testing.T, name string) {
	t.Helper()
	if err := w.engine.Retry(t.Context(), w.nr(name).ID); err != nil {
		t.Fatal(err)
	}
}

func (w *world) check(t *testing.T, name, says, words string) {
	nr := w.nr(name)
	if says == "" {
		if nr.State != crowbar.Active {
			t.Fatalf("it is %s: %s", nr.State, nr.Failure)
		}
		return
	}
	if name == "fork-bomb" || name == "memory-hog" {
		if strings.Contains(w.log.text(), "limited one by one") {
			t.Skip("this machine gives this user no control groups")
		}
	}
	if nr.State != crowbar.Error {
		t.Fatalf("it is %s", nr.State)
	}
	if !strings.Contains(nr.Status, says) {
		t.Errorf("its line is %q, which does not say %q", nr.Status, says)
	}
	if !strings.Contains(nr.Failure, words) {
		t.Errorf("the last words %q are not in:\n%.2000s", words, nr.Failure)
	}
	t.Log(nr.Status)
}

// tamper changes a program that is in use, and has its process end.
func (w *world) tamper(t *testing.T) {
	t.Helper()
	name := w.program("tampered")
	b, err := os.ReadFile(name)
	if err == nil {
		err = errors.Join(os.Remove(name), os.WriteFile(name, append(b, 0), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processesOf(t, "PLUGIN_UNIX_SOCKET_DIR="+w.sockets, "kubeclamp-role-tampered") {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	w.retry(t, "tampered")
}

// mend puts another program in the broken one's place.
func (w *world) mend(t *testing.T) {
	t.Helper()
	w.retry(t, "broken-for-long")
	w.settled(t, "broken-for-long")
	if nr := w.nr("broken-for-long"); !strings.Contains(nr.Status, "is broken") {
		t.Fatalf("it is %s: %s", nr.State, nr.Status)
	}
	name := w.program("broken-for-long")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte("broken-for-long"), []byte("mended-at-last!")) // the kind, and so it does nothing bad
	if err := errors.Join(os.Remove(name), os.WriteFile(name, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	w.retry(t, "broken-for-long")
	w.settled(t, "broken-for-long")
	if nr := w.nr("broken-for-long"); nr.State != crowbar.Active {
		t.Errorf("with another program it is %s: %s", nr.State, nr.Failure)
	}
}

// nothingLeft wants no process, socket, control group or open file of a plugin.
func (w *world) nothingLeft(t *testing.T, files int) {
	t.Helper()
	if left := processesOf(t, "PLUGIN_UNIX_SOCKET_DIR="+w.sockets, ""); len(left) > 0 {
		t.Errorf("%d processes are left", len(left))
	}
	if left, _ := os.ReadDir(w.sockets); len(left) > 0 {
		t.Errorf("sockets are left: %v", left)
	}
	err := role.Await(t.Context(), "files to be closed", 10*time.Second, func(context.Context) (bool, error) {
		now := openFiles(t)
		return now <= files, fmt.Errorf("%d files are open, before it were %d", now, files)
	})
	if err != nil {
		t.Error(err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// processesOf finds those with a word in their environment and another in their arguments.
func processesOf(t *testing.T, env, arg string) []*os.Process {
	t.Helper()
	var out []*os.Process
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		e, _ := os.ReadFile(filepath.Join(dir, "environ"))
		a, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		var pid int
		if _, err := fmt.Sscan(filepath.Base(dir), &pid); err != nil || !bytes.Contains(e, []byte(env)) || !bytes.Contains(a, []byte(arg)) {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// flood is a jig whose nodes have a file without an end.
type flood struct{ jig.Jig }

func (f flood) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	c, err := f.Jig.Dial(ctx, n)
	return endless{c}, err
}

type endless struct{ jig.Conn }

func (endless) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	if path != "/flood" {
		return nil, crowbar.Errorf(crowbar.NotFound, "get %s: %w", path, fs.ErrNotExist)
	}
	return zeros{ctx}, nil
}

type zeros struct{ ctx context.Context }

func (z zeros) Read(p []byte) (int, error) { clear(p); return len(p), z.ctx.Err() }
func (zeros) Close() error                 { return nil }

type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}
func (l *locked) text() string { l.mu.Lock(); defer l.mu.Unlock(); return l.buf.String() }
