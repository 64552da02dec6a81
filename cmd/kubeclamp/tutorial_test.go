package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestTutorial does what docs/tutorial.md says, command by command, in its order.
func TestTutorial(t *testing.T) {
	b, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := walkIn(t, dir)
	walked := 0
	for line := range strings.SplitSeq(string(b), "\n") {
		text, block := strings.CutPrefix(line, "    ")
		if !block || strings.HasPrefix(text, "export ") {
			continue
		}
		walked++
		if strings.HasPrefix(text, "sed ") {
			if out, err := exec.Command("sh", "-c", text).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", text, err, out)
			}
			continue
		}
		out, errs, code := cli(t, words(text)[1:]...)
		if code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", text, code, out, errs)
		}
		if _, file, to := strings.Cut(text, " > "); to {
			if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if walked < 30 {
		t.Errorf("only %d commands were tried", walked)
	}
	s := r.engine.View()
	active := 0
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Active {
			active++
		}
	}
	if n := s.NodeNamed("w2"); n == nil || s.NodeNamed("w3") != nil || active == 0 || active != s.Count(crowbar.KindNodeRole) {
		t.Errorf("at the end %d of %d node-roles are active", active, s.Count(crowbar.KindNodeRole))
	}
}
