package roletest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Make sets up a Node for a role and gives the target; it is called anew for every case.
type Make func(n *Node) role.Target

// Suite is what every role has to pass.
func Suite(t *testing.T, newTarget Make, r role.Role) {
	t.Run("apply, then nothing to do", func(t *testing.T) {
		n, on := start(newTarget)
		Apply(t, r, on)
		NothingToDo(t, r, n, on)
	})
	t.Run("dry run", func(t *testing.T) { dryRun(t, newTarget, r) })
	t.Run("killed at every step", func(t *testing.T) { killed(t, newTarget, r) })
	t.Run("changed by hand", func(t *testing.T) { byHand(t, newTarget, r) })
	if _, ok := r.(role.Remover); ok {
		t.Run("removed and applied again", func(t *testing.T) { removed(t, newTarget, r) })
	}
}

func start(newTarget Make) (*Node, role.Target) {
	n := NewNode()
	on := newTarget(n)
	n.Reset()
	return n, on
}

// Apply applies a role and fails the test if that fails, or if it is a dry run and tries to change the node.
func Apply(t *testing.T, r role.Role, on role.Target) role.Result {
	t.Helper()
	if on.DryRun {
		on = Rehearsed(t, on)
	}
	res, err := r.Apply(context.Background(), on)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return res
}

// Rehearsed is a target for a dry run: what would change the node fails the test and is refused.
func Rehearsed(t *testing.T, on role.Target) role.Target {
	refuse := func(what string) error {
		t.Errorf("in a dry run the role %s", what)
		return crowbar.Errorf(crowbar.Conflict, "this is a dry run: it %s", what)
	}
	on.DryRun, on.Conn = true, jig.Onlook(on.Conn, refuse)
	if on.Artifacts != nil {
		on.Artifacts = told{on.Artifacts, refuse}
	}
	return on
}

// told is artifacts that are not put.
type told struct {
	role.Artifacts
	refuse func(what string) error
}

// Put is refused.
func (a told) Put(_ context.Context, name, path string, _ fs.FileMode) error {
	return a.refuse("puts artifact " + name + " to " + path)
}

// NothingToDo applies a role and asserts one Exec, no Put, no change.
func NothingToDo(t *testing.T, r role.Role, n *Node, on role.Target) role.Result {
	t.Helper()
	n.Reset()
	on.Again = true
	res := Apply(t, r, on)
	if n.Execs != 1 || n.Puts != 0 || len(n.Log) != 0 || len(res.Changes) != 0 {
		t.Fatalf("a second run has nothing to do, so wants 1 Exec and 0 Puts; got %d and %d, changes %v, done:\n%s", n.Execs, n.Puts, res.Changes, strings.Join(n.Log, "\n"))
	}
	return res
}

func dryRun(t *testing.T, newTarget Make, r role.Role) {
	n, on := start(newTarget)
	on.DryRun = true
	before := n.Picture()
	plan := Apply(t, r, on)
	if n.Puts != 0 || len(n.Log) != 0 || before != n.Picture() {
		t.Fatalf("a dry run changed the node:\n%s", strings.Join(n.Log, "\n"))
	}
	on.DryRun = false
	done := Apply(t, r, on)
	if !slices.Equal(plan.Changes, done.Changes) {
		t.Fatalf("planned:\n%+q\ndone:\n%+q", plan.Changes, done.Changes)
	}
	on.Again = true
	Apply(t, r, Rehearsed(t, on)) // and where there is nothing to do
}

// killed runs the role on a fresh node, killed at its first, second... change, and then again to its end.
func killed(t *testing.T, newTarget Make, r role.Role) {
	n, on := start(newTarget)
	Apply(t, r, on)
	want, steps := n.Picture(), len(n.Log)
	for at := 1; at <= steps; at++ {
		n, on := start(newTarget)
		n.KillAt = at
		if _, err := r.Apply(context.Background(), on); !errors.Is(err, ErrKilled) {
			t.Fatalf("killed at change %d of %d: error is %v, wants to wrap %v", at, steps, err, ErrKilled)
		}
		last := "nothing"
		if len(n.Log) > 0 {
			last = n.Log[len(n.Log)-1]
		}
		n.KillAt = 0
		Apply(t, r, on)
		if got := n.Picture(); got != want {
			t.Fatalf("killed after %q and run again, the node is not as after one run:\n%s", last, Diff(want, got))
		}
		NothingToDo(t, r, n, on)
	}
}

// byHand spoils every file that the role made, one by one, and applies it again.
func byHand(t *testing.T, newTarget Make, r role.Role) {
	n, on := start(newTarget)
	before := maps.Clone(n.Files)
	Apply(t, r, on)
	want := n.Picture()
	for _, p := range slices.Sorted(maps.Keys(n.Files)) {
		if before[p] != nil || n.Files[p].Kind != "file" || strings.HasPrefix(p, "/var/lib/kubeclamp/") {
			continue
		}
		mode, owner := n.Files[p].Mode, n.Files[p].Owner
		n.Write(p, n.Files[p].Content+"\nspoilt\n", mode)
		n.Files[p].Owner = owner
		if c, ok := r.(role.Checker); ok {
			d, err := c.Check(context.Background(), Rehearsed(t, on))
			if err != nil || len(d.Changes) == 0 {
				t.Errorf("check does not see that %s was changed by hand: %v %v", p, d, err)
			}
		}
		Apply(t, r, on)
		if got := n.Picture(); got != want {
			t.Fatalf("%s was changed by hand and not mended:\n%s", p, Diff(want, got))
		}
	}
	NothingToDo(t, r, n, on)
}

func removed(t *testing.T, newTarget Make, r role.Role) {
	n, on := start(newTarget)
	Apply(t, r, on)
	want := n.Picture()
	for range 2 { // a second removal finds nothing and is no error
		if err := r.(role.Remover).Remove(context.Background(), on); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
	Apply(t, r, on)
	if got := n.Picture(); got != want {
		t.Fatalf("removed and applied again, the node is not as it was:\n%s", Diff(want, got))
	}
	NothingToDo(t, r, n, on)
}

// Picture is the node as text, without clocks and counters: what two runs have to agree on.
func (n *Node) Picture() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(n.Files)) {
		f := n.Files[p]
		content := f.Content
		if strings.HasPrefix(p, "/var/lib/kubeclamp/artifacts/") {
			content = "" // holds a time
		}
		fmt.Fprintf(&b, "%s %s %o %s %q %s\n", f.Kind, p, f.Mode, f.Owner, content, f.To)
	}
	for _, name := range slices.Sorted(maps.Keys(n.Units)) {
		if u := n.Units[name]; u.Enabled || u.Active != "inactive" {
			fmt.Fprintf(&b, "unit %s enabled=%v %s\n", name, u.Enabled, u.Active)
		}
	}
	for what, m := range map[string]map[string]bool{"1 package": n.Packages, "2 module": n.Modules, "3 user": n.Users, "4 group": n.Groups} {
		fmt.Fprintf(&b, "%s %v\n", what, slices.Sorted(maps.Keys(m)))
	}
	fmt.Fprintf(&b, "sysctls %v\n", n.Sysctls)
	l := strings.Split(b.String(), "\n")
	slices.Sort(l)
	return strings.Join(l, "\n")
}

// Diff is the lines that only one of two texts has.
func Diff(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	var out []string
	for _, l := range w {
		if !slices.Contains(g, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range g {
		if !slices.Contains(w, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}
