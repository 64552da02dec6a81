package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// world is a data folder, what was asked of the daemons on it, and what they answered.
type world struct {
	t      *testing.T
	build  build
	dir    string
	rng    *rand.Rand
	starts int
	made   int // nodes

	nodes  map[string]told     // node
	apps   map[string]told     // node -> rec-app is bound to it
	values map[string][]string // color, or zone of a node -> what it may be
	kept   map[string]string   // what was made once and must stay: role's attrib -> hash

	trouble bool // runs fail, are cancelled and tried again; that takes some seconds in each life
}

// told is what is known of a thing from the answers.
type told int

const (
	unknown told = iota
	there
	gone
)

const deployment = "k"

func newWorld(t *testing.T, b build, seed uint64) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "kcf") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, d := range []string{"d", "lib", "nodes"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return &world{t: t, build: b, dir: dir, rng: rand.New(rand.NewPCG(seed, 7)), nodes: map[string]told{}, apps: map[string]told{},
		values: map[string][]string{}, kept: map[string]string{}}
}

// start begins a daemon's life; the barclamp is a new one each time, so that it is imported.
func (w *world) start(env ...string) *daemon {
	w.starts++
	text := fmt.Sprintf(barclampText, w.dir, w.starts)
	if err := os.WriteFile(filepath.Join(w.dir, "barclamp.yaml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	// Small transactions: what a server allows that was not set up for this, so that larger changes go through the journal.
	return start(w.t, w.build, w.dir, append(env, "KUBECLAMP_FAILPOINT_VALUES=store.maxOps=8")...)
}

// answer is how an API call ended: yes, no, or nobody knows.
func answer(err error) (yes, no bool) {
	if err == nil {
		return true, false
	}
	k := crowbar.KindOf(err)
	return false, k == crowbar.Invalid || k == crowbar.NotFound || k == crowbar.Conflict
}

func (w *world) ask(what map[string]told, name string, want told, err error) {
	switch yes, no := answer(err); {
	case yes:
		what[name] = want
	case !no:
		what[name] = unknown
	}
}

func (w *world) set(d *daemon, k crowbar.Kind, key, attrib, name string) {
	v := fmt.Sprintf("v%d", w.rng.IntN(1000))
	switch yes, no := answer(d.client.SetAttrib(w.t.Context(), k, key, attrib, v)); {
	case yes:
		w.values[name] = []string{v}
	case !no:
		if w.values[name] == nil {
			w.values[name] = []string{"none"}
		}
		w.values[name] = append(w.values[name], v)
	}
}

func (w *world) create(d *daemon) {
	w.made++
	name := fmt.Sprintf("n%d", w.made)
	w.ask(w.nodes, name, there, d.client.Create(w.t.Context(), crowbar.KindNode, map[string]any{"name": name, "address": fmt.Sprintf("192.0.2.%d", 1+w.made%250), "deployment": deployment}, nil))
	_, _ = d.client.Bind(w.t.Context(), "rec-member", name, deployment) // or it is another node's, which will do
	w.bind(d, name)
}

func (w *world) bind(d *daemon, node string) {
	_, err := d.client.Bind(w.t.Context(), "rec-app", node, deployment)
	w.ask(w.apps, node, there, err)
}

func (w *world) unbind(d *daemon, node string) {
	w.ask(w.apps, node, gone, d.client.Destroy(w.t.Context(), crowbar.KindNodeRole, node+"/rec-app", false))
}

func (w *world) delete(d *daemon, node string) {
	err := d.client.Destroy(w.t.Context(), crowbar.KindNode, node, false)
	w.ask(w.nodes, node, gone, err)
	w.ask(w.apps, node, gone, err)
}

// fewNodes is enough.
const fewNodes = 3

// some is one of the nodes that are there.
func (w *world) some() string {
	all := slices.Sorted(w.present())
	return all[w.rng.IntN(len(all))]
}

func (w *world) count() int { return len(slices.Collect(w.present())) }

// present is the nodes that are there, or may be.
func (w *world) present() iter.Seq[string] {
	return func(yield func(string) bool) {
		for n, k := range w.nodes {
			if k != gone && !yield(n) {
				return
			}
		}
	}
}

// use is what people do with a daemon, until it dies; then it is told to stop. It goes on when all was done.
func (w *world) use(d *daemon) {
	if _, err := d.answers(w.t.Context(), w.dir); err == nil {
		for _, do := range w.wishes(d) {
			if do(); d.dead() {
				return
			}
		}
	}
	d.end(w.t, syscall.SIGTERM)
}

func (w *world) wishes(d *daemon) []func() {
	ctx := w.t.Context()
	verb := func(v string) func() {
		return func() { _ = d.client.Do(ctx, crowbar.KindDeployment, deployment, v, nil) } // asked again after each death
	}
	rest := func() { _ = w.rest(d, 20*time.Second) } // what does not rest is found out by the next daemon
	return []func(){
		func() {
			_ = d.client.Create(ctx, crowbar.KindDeployment, map[string]any{"name": deployment}, nil)
		},
		func() {
			for first := true; !d.dead() && (first || w.count() < 2 || w.rng.IntN(2) == 0 && w.count() < fewNodes); first = false {
				w.create(d)
			}
			for w.count() > fewNodes && !d.dead() { // they are more each time that a daemon dies before it takes one out
				w.delete(d, w.some())
			}
		},
		func() { w.set(d, crowbar.KindDeployment, deployment, "rec-color", "color") },
		verb("commit"),
		func() { n := w.some(); w.set(d, crowbar.KindNode, n, "rec-zone", n) },
		rest,
		func() { n := w.some(); w.unbind(d, n); w.bind(d, w.some()) },
		verb("commit"),
		rest,
		func() { w.delete(d, w.some()); w.set(d, crowbar.KindDeployment, deployment, "rec-color", "color") },
		verb("commit"),
		rest, verb("rerun"), rest,
		func() { w.rotate(d) },
		func() { w.suffer(d) },
	}
}

// rest waits until all is active and nothing is being taken away; a node-role in error is an end of its own.
func (w *world) rest(d *daemon, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	for after := crowbar.Rev(0); ; {
		s, err := d.client.Status(ctx, deployment, after)
		if err != nil {
			return err
		}
		var waits []string
		for _, nr := range s.NodeRoles {
			if nr.State == crowbar.Error {
				return fmt.Errorf("%s on %s is in error: %s", nr.Role, nr.Node, nr.Failure)
			}
			if nr.State != crowbar.Active || nr.Removing {
				waits = append(waits, fmt.Sprintf("%s on %s is %s, removing %t: %s", nr.Role, nr.Node, nr.Name, nr.Removing, nr.Why))
			}
		}
		if len(waits) == 0 {
			return nil
		}
		if ctx.Err() != nil || d.dead() {
			return errors.New(strings.Join(waits, "\n"))
		}
		after = s.Rev
	}
}

// check has a new daemon look after what the last one left: nothing answered is lost, it converges, and the nodes are as
// the state says.
func (w *world) check() (ready time.Duration, err error) {
	d := w.start()
	how := syscall.SIGKILL
	if w.rng.IntN(2) == 0 {
		how = syscall.SIGTERM
	}
	defer func() {
		d.end(w.t, how)
		if err != nil {
			err = fmt.Errorf("%w\nthe daemon said:\n%s", err, d.said.String())
		}
	}()
	if ready, err = d.answers(w.t.Context(), w.dir); err != nil {
		return 0, err
	}
	if err := w.answered(d); err != nil {
		return ready, err
	}
	if err := d.client.Create(w.t.Context(), crowbar.KindDeployment, map[string]any{"name": deployment}, nil); err != nil && crowbar.KindOf(err) != crowbar.Conflict {
		return ready, err
	}
	if err := d.client.Do(w.t.Context(), crowbar.KindDeployment, deployment, "commit", nil); err != nil {
		return ready, err
	}
	limited, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(w.nurse(limited, d, false), w.rest(d, time.Minute)); err != nil {
		return ready, fmt.Errorf("it does not converge: %w", err)
	}
	if err := w.resealed(limited, d); err != nil {
		return ready, err
	}
	return ready, errors.Join(w.answered(d), w.field(d), w.record())
}

func (w *world) record() error {
	b, err := os.ReadFile(filepath.Join(w.dir, "record"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if bad := judge(string(b)); len(bad) > 0 {
		return errors.New("the record: " + strings.Join(bad[:min(len(bad), 5)], "\n"))
	}
	return nil
}

// read is what a role left on a node.
func (w *world) read(node, role string) (s seen, err error) {
	b, err := os.ReadFile(filepath.Join(w.dir, "nodes", node, role))
	if err != nil {
		return nil, err
	}
	return s, json.Unmarshal(b, &s)
}
