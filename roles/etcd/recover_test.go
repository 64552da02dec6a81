package etcd

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func act(t *testing.T, on role.Target, name string) (crowbar.Data, error) {
	t.Helper()
	return New().(role.Actor).Act(t.Context(), on, role.Action{Name: name, Out: new(bytes.Buffer)})
}

func TestRevive(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n, a2, a3)
	on := w.target(false, a2, a3)
	if _, err := New().Apply(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if _, err := act(t, on, actRevive); crowbar.KindOf(err) != crowbar.Conflict || w.revived > 0 {
		t.Errorf("with a quorum: %v", err)
	}
	w.running, w.alone = map[string]bool{}, true // the others are lost
	for range 2 {                                // done again, it does nothing
		d, err := act(t, on, actRevive)
		if err != nil || d["quorum"] != true || w.revived != 1 {
			t.Fatalf("%v, %v, %d times", d, err, w.revived)
		}
	}
	if len(w.members) != 1 || w.members[0].Name != "n1" {
		t.Errorf("members: %s", w.list())
	}
	res, err := New().Apply(t.Context(), on)
	if err != nil || len(res.Changes) > 0 {
		t.Errorf("the run after it: %v, %v", res.Changes, err)
	}
}

func TestHalt(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n, a2, a3)
	on := w.target(false, a2, a3)
	if _, err := New().Apply(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	was := w.data
	for range 2 {
		if _, err := act(t, on, actHalt); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := act(t, on, actLook); err != nil || d["running"] != false || d["data"] != false {
		t.Errorf("after it: %v, %v", d, err)
	}
	on.Again = true
	if _, err := New().Apply(t.Context(), on); err != nil || w.data == was || w.data == 0 {
		t.Errorf("it does not join anew: %v", err)
	}
}

func TestRestore(t *testing.T) {
	n := roletest.NewNode()
	w := newWorld(t, n)
	on := w.target(true)
	on.Attribs["etcd-restore"] = "lab-20261123T1000"
	on.DryRun = true
	res, err := New().Apply(t.Context(), on)
	if err != nil || !slices.ContainsFunc(res.Changes, func(c role.Change) bool { return strings.Contains(c.Diff, "with backup lab-2026") }) {
		t.Errorf("dry run: %v, %v", res.Changes, err)
	}
	on.DryRun = false
	if _, err := New().Apply(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if w.restored == "" || n.Files[util] == nil || n.Files[firstFile] != nil {
		t.Errorf("restored %q, files %v", w.restored, n.Files)
	}
	w.restored, on.Again = "", true
	if res, err := New().Apply(t.Context(), on); err != nil || len(res.Changes) > 0 || w.restored != "" {
		t.Errorf("the next run: %v, %v", res.Changes, err)
	}
	on.Attribs["etcd-restore"] = "../x"
	if _, err := New().Apply(t.Context(), on); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a bad name: %v", err)
	}
}
