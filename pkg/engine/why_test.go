package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// begin begins the run of a role on a node.
func (w *world) begin(role, node string) *crowbar.Work {
	w.t.Helper()
	s := w.View()
	work, err := w.Begin(w.t.Context(), s.NodeRoleOn(s.NodeNamed(node).ID, s.RoleNamed(role).ID).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return work
}

// TestWhatStopsIsLogged: an error with its reason as a warning, what it blocks for who wants to know all.
func TestWhatStopsIsLogged(t *testing.T) {
	for level, want := range map[slog.Level][]string{
		slog.LevelWarn: {`level=WARN msg="node-role is error" node_role="base on n1"`},
		slog.LevelDebug: {`level=WARN msg="node-role is error" node_role="base on n1"`, `level=DEBUG msg="node-role is blocked" node_role="db on n1"`,
			`level=DEBUG msg="node-role is blocked" node_role="app on n2"`},
	} {
		t.Run(level.String(), func(t *testing.T) {
			w := build(t)
			w.apply(two())
			var log bytes.Buffer
			w.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level}))
			work := w.begin("base", "n1.a.b")
			if log.Len() > 0 {
				t.Errorf("a run that begins is told: %s", log.String())
			}
			if err := w.Finish(t.Context(), work.NodeRole.ID, work.Attempt, crowbar.Outcome{Failure: "disk full\nand more"}); err != nil {
				t.Fatal(err)
			}
			// Everything is active, fails, and is blocked by that.
			if err := w.Retry(t.Context(), work.NodeRole.ID); err != nil {
				t.Fatal(err)
			}
			w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{} })
			log.Reset()
			if err := w.Retry(t.Context(), work.NodeRole.ID); err != nil {
				t.Fatal(err)
			}
			work = w.begin("base", "n1.a.b")
			if err := w.Finish(t.Context(), work.NodeRole.ID, work.Attempt, crowbar.Outcome{Failure: "disk full\nand more"}); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != len(want) {
				t.Errorf("%d lines, want %d:\n%s", len(lines), len(want), log.String())
			}
			for _, x := range want {
				if !strings.Contains(log.String(), x) || !strings.Contains(log.String(), `why="error: disk full: retry it when that is mended"`) {
					t.Errorf("no %s in\n%s", x, log.String())
				}
			}
			if level == slog.LevelDebug && !strings.Contains(log.String(), `from=active attempt=1 why="blocked: waits for base on n1, in error since 00:0`) {
				t.Errorf("what is blocked does not say why:\n%s", log.String())
			}
		})
	}
}

func TestWhyAll(t *testing.T) {
	w := build(t)
	w.apply(two())
	all, err := w.WhyAll(w.View().DeploymentNamed("k").ID)
	if err != nil || len(all.Causes) != 1 || all.Causes[0].Kind != crowbar.CauseNext || all.Total != len(all.Causes[0].Waiting) {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := w.WhyAll(9999); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("%v", err)
	}
}

func TestAgainAtItsTime(t *testing.T) {
	w := build(t)
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: []byte(strings.Replace(small, "flags: [implicit]\n", "flags: [implicit]\n    retry: { times: 1, backoff: 1m }\n", 1))})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Import(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.apply(two())
	work := w.begin("base", "n1.a.b")
	id := work.NodeRole.ID
	if err := w.Finish(t.Context(), id, work.Attempt, crowbar.Outcome{Failure: "no"}); err != nil {
		t.Fatal(err)
	}
	at, is := w.View().NodeRole(id).RetryAt()
	if wait := at.Sub(w.clock); !is || wait < time.Minute || wait > 67*time.Second {
		t.Errorf("it is tried again %t after %s", is, wait)
	}
	if err := w.Again(t.Context(), id, work.Attempt); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "try again base on n1: it is not time yet") {
		t.Errorf("too early: %v", err)
	}
	w.clock = at
	for i, kind := range []crowbar.ErrorKind{-1, crowbar.Conflict} {
		if err := w.Again(t.Context(), id, work.Attempt); (err == nil) != (kind < 0) || err != nil && crowbar.KindOf(err) != kind {
			t.Errorf("asked %d times: %v", i+1, err)
		}
	}
	if st := w.View().NodeRole(id).State; st != crowbar.Todo {
		t.Errorf("it is %s", st)
	}
}

func TestCancelNamesWho(t *testing.T) {
	for by, want := range map[string]string{"ann": "ann", "": "somebody", "a\nb\t c ": "a b c", strings.Repeat("x", 500): strings.Repeat("x", 199) + "…"} {
		w := build(t)
		w.apply(two())
		id := w.begin("base", "n1.a.b").NodeRole.ID
		if err := w.Cancel(t.Context(), id, by); err != nil {
			t.Fatal(err)
		}
		if got := w.View().NodeRole(id).Cancel; got != want {
			t.Errorf("%q is %q", by, got)
		}
		if err := w.CancelAll(t.Context(), w.View().DeploymentNamed("k").ID, by); err != nil || !w.View().DeploymentNamed("k").Paused {
			t.Errorf("%v", err)
		}
	}
	w := build(t)
	if err := w.Cancel(t.Context(), 9999, "ann"); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("%v", err)
	}
}
