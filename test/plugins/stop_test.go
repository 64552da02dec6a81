package plugins

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// sleepers are roles whose command on the node takes an hour: one that ends when it is asked to, one that does not. The node
// is this machine, by the name of a jig that has no fence.
const sleepers = `
barclamp: { name: sleepers, version: "1" }
jigs: [{ name: noop, class: Noop }]
roles:
  - { name: sleeper, jig: noop, timeout: 10s, retry: { times: 1, backoff: 1h } }
  - { name: deaf-sleeper, jig: noop, timeout: 10m }
`

// TestWhatRunsIsStopped by its timeout, and by somebody: when the node-role is in error, its command on the node is gone, with
// all that it started, and the reason names what it was at.
func TestWhatRunsIsStopped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("commands on this machine take root")
	}
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	w := asleep(t)
	stop := w.run(t)
	defer stop()
	marks := map[string]string{"sleeper": "3601.5", "deaf-sleeper": "3602.5"}
	w.await(t, "deaf-sleeper to sleep", func() bool { return len(processesOf(t, "", marks["deaf-sleeper"])) > 1 })
	id := w.nr("deaf-sleeper").ID
	for range 2 {
		if err := w.engine.Cancel(t.Context(), id, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range [][2]string{
		{"deaf-sleeper", "cancelled by ann: it was at exec /bin/sh -c"},
		{"sleeper", "role sleeper ran longer than its timeout of 10s: it was at exec /bin/sh -c"},
	} {
		name, says := c[0], c[1]
		w.settled(t, name)
		left := processesOf(t, "", marks[name])
		nr := w.nr(name)
		if len(left) > 0 {
			t.Errorf("%s is %s, and %d processes of it are left", name, nr.State, len(left))
		}
		if nr.State != crowbar.Error || !strings.HasPrefix(nr.Failure, says) {
			t.Errorf("%s is %s: %s", name, nr.State, nr.Failure)
		}
		t.Log(nr.Failure)
	}
	if _, again := w.nr("sleeper").RetryAt(); !again {
		t.Error("a timeout is no failure that is tried again")
	}
	if _, again := w.nr("deaf-sleeper").RetryAt(); again {
		t.Error("what was cancelled is tried again")
	}
}

// asleep is a daemon with the two roles, each on a node.
func asleep(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), log: &locked{}}
	var err error
	if w.sockets, err = os.MkdirTemp("", "kc"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(w.sockets) })
	bin := filepath.Join(w.dir, "bad")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./bad").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	doc := crowbar.Cluster{Deployment: "d"}
	w.engine = engine.New(engine.Config{Store: storetest.NewMemory(), Owner: "test"})
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.host = plugin.NewHost(plugin.Config{Dir: w.dir, SocketDir: w.sockets, Log: log, StartLimit: 10 * time.Second, StopLimit: 10 * time.Second,
		Limits: plugin.Limits{Memory: memory, Processes: processes}})
	for i, name := range []string{"sleeper", "deaf-sleeper"} {
		if err := os.Symlink(bin, w.program(name)); err != nil {
			t.Fatal(err)
		}
		w.host.Expect(name, func(role.Info) error { return nil })
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: "node-of-" + name, Address: []string{"10.0.0.1", "10.0.0.2"}[i], Roles: []string{name}})
	}
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: []byte(sleepers)})
	if err == nil {
		err = w.engine.Import(t.Context(), c)
	}
	if err == nil {
		err = w.engine.Apply(t.Context(), doc, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.ann = annealer.New(annealer.Config{Engine: w.engine, Jigs: map[string]jig.Jig{"noop": local.New()}, LogDir: t.TempDir(), Log: log,
		Roles: func(name string) (role.Role, error) { return w.host.Role(t.Context(), name) }})
	return w
}

// await looks until something is so.
func (w *world) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s:\n%s", what, w.log.text())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
