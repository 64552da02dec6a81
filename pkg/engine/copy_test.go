package engine

import (
	"bytes"
	"encoding/json"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

func (w *world) export() string {
	w.t.Helper()
	var b bytes.Buffer
	if err := w.ExportState(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// elsewhere is an engine on an empty state, with another daemon's keys or one's own.
func elsewhere(t *testing.T, ring *pki.Ring) *world {
	t.Helper()
	w := build(t)
	if ring == nil {
		var err error
		if ring, err = pki.OpenRing(filepath.Join(t.TempDir(), "key"), true); err != nil {
			t.Fatal(err)
		}
	}
	w.ring, w.Engine.Ring, w.Engine.PKI = ring, ring, pki.Over(ring)
	return w
}

func (w *world) take(text string, replace bool) error {
	_, err := w.ImportState(w.t.Context(), strings.NewReader(text), replace)
	return err
}

// An export taken in elsewhere is the same state, with its secrets, but for attempts, which go on from above.
func TestExportAndImport(t *testing.T) {
	w := sealedWorld(t, 50)
	if _, err := w.Shared(t.Context(), "host/token", "theirs"); err != nil {
		t.Fatal(err)
	}
	text := w.export()
	if strings.Contains(text, "wall of") || strings.Contains(text, "hint 1") || strings.Contains(text, "theirs") {
		t.Error("a secret lies open in the export")
	}
	for i, l := range strings.Split(strings.TrimSpace(text), "\n") {
		if !json.Valid([]byte(l)) {
			t.Fatalf("line %d: %s", i+1, l)
		}
	}
	other := elsewhere(t, w.ring)
	mine, err := other.Shared(t.Context(), "host/token", "mine")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.take(text, false); err != nil {
		t.Fatal(err)
	}
	if v, err := other.Shared(t.Context(), "host/token", "x"); v != mine || err != nil {
		t.Errorf("the token of the daemons is %q now, %v", v, err)
	}
	want, got := w.opened(w.ring), other.opened(w.ring)
	delete(want, "0/host/token")
	delete(got, "0/host/token")
	if !maps.Equal(want, got) {
		t.Errorf("secrets: %v\nwant %v", got, want)
	}
	if a, b := flat(w.View()), flat(other.View()); a != b {
		t.Errorf("the state is\n%s\nwant\n%s", b, a)
	}
	if other.View().Next() < w.View().Next() {
		t.Errorf("ids go on from %d, there from %d", other.View().Next(), w.View().Next())
	}
	for nr := range other.View().NodeRoles() {
		if was := w.View().NodeRole(nr.ID); nr.State != crowbar.Proposed && nr.Attempt != was.Attempt+leap {
			t.Errorf("node-role %d goes on from attempt %d, was at %d", nr.ID, nr.Attempt, was.Attempt)
		}
	}
	// Over a state of its own, it takes all that away.
	if err := other.take(text, false); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over a state: %v", err)
	}
	if _, err := other.CreateNode(t.Context(), crowbar.Node{Name: "late.a.b", Alive: true}); err != nil {
		t.Fatal(err)
	}
	if err := other.take(text, true); err != nil {
		t.Fatal(err)
	}
	if a, b := flat(w.View()), flat(other.View()); a != b {
		t.Errorf("after the second import the state is\n%s\nwant\n%s", b, a)
	}
}

// flat is a state as text, without what an import changes on purpose.
func flat(s *crowbar.Snapshot) string {
	if sec := s.SecretNamed(0, "host/token"); sec != nil {
		s = s.Apply(s.Rev(), crowbar.Change{Drop: sec})
	}
	for nr := range s.NodeRoles() {
		c := *nr
		c.Attempt, c.Given = 0, ""
		s = s.Apply(s.Rev(), crowbar.Change{Put: &c})
	}
	return storetest.Dump(s)
}

// What is not whole, not coherent, not for this daemon, or comes at the wrong moment changes nothing.
func TestImportRefuses(t *testing.T) {
	w := sealedWorld(t, 3)
	text := w.export()
	lines := strings.SplitAfter(strings.TrimSpace(text), "\n")
	with := func(edit func(l []string) []string) string {
		return strings.Join(edit(append([]string{}, lines...)), "")
	}
	last := len(lines) - 1
	noSum := func(l []string) []string { l[last] = `{"end":0}`; return l }
	node := 0
	for i, l := range lines {
		if strings.HasPrefix(l, `{"kind":"nodes"`) {
			node = i
		}
	}
	at := "line " + strconv.Itoa(node+1)
	for name, c := range map[string]struct {
		text, says string
		kind       crowbar.ErrorKind
	}{
		"nothing":        {"", "line 1", crowbar.Invalid},
		"something else": {"{\"a\": 1}\n", "no export", crowbar.Invalid},
		"no JSON":        {"hello\n", "line 1", crowbar.Invalid},
		"half":           {with(func(l []string) []string { return l[:last] }), "breaks off", crowbar.Invalid},
		"half a line":    {text[:len(text)/2], "line ", crowbar.Invalid},
		"a changed byte": {strings.Replace(text, "m1.a.b", "m7.a.b", 1), "sum is another", crowbar.Invalid},
		"twice":          {with(func(l []string) []string { l[node+1] = l[node]; return noSum(l) }), "line " + strconv.Itoa(node+2), crowbar.Invalid},
		"no id":          {with(func(l []string) []string { l[node] = `{"kind":"nodes","object":{"name":"x"}}` + "\n"; return noSum(l) }), at, crowbar.Invalid},
		"no kind":        {with(func(l []string) []string { l[node] = `{"kind":"spoons","object":{"id":1}}` + "\n"; return noSum(l) }), `"spoons"`, crowbar.Invalid},
		"a node is gone": {with(func(l []string) []string {
			for i, x := range l {
				if strings.Contains(x, `"n1.a.b"`) && strings.HasPrefix(x, `{"kind":"nodes"`) {
					noSum(l)
					return append(l[:i:i], l[i+1:]...)
				}
			}
			return l
		}), "which is not in it", crowbar.Invalid},
		"from the future": {strings.Replace(text, `"schema":2`, `"schema":3`, 1), "version 3", crowbar.Invalid},
	} {
		other := elsewhere(t, w.ring)
		before := storetest.Dump(other.View())
		err := other.take(c.text, false)
		if crowbar.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if storetest.Dump(other.View()) != before {
			t.Errorf("%s: the state was changed", name)
		}
	}
	if err := elsewhere(t, nil).take(text, false); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "key") {
		t.Errorf("without its keys: %v", err)
	}
	// Changed by hand, and said so; from a program that knew no version of the form.
	edited := with(func(l []string) []string { l[node] = strings.Replace(l[node], "m2.a.b", "m7.a.b", 1); return noSum(l) })
	edited = strings.Replace(edited, `"schema":2`, `"schema":1`, 1)
	other := elsewhere(t, w.ring)
	if err := other.take(edited, false); err != nil || other.View().NodeNamed("m7.a.b") == nil {
		t.Errorf("changed by hand: %v", err)
	}
	// While something runs.
	if err := w.Rerun(t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	for nr := range w.View().NodeRoles() {
		if nr.State == crowbar.Todo {
			if _, err := w.Begin(t.Context(), nr.ID); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if err := w.take(text, true); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "runs at this moment") {
		t.Errorf("while something runs: %v", err)
	}
}
