package main

import (
	"strings"
	"testing"
	"time"
)

// The way back to an older program, and what the daemon says to a state from the future.
func TestSchemaCommand(t *testing.T) {
	dir := dataDir(t)
	p := start(t, dir)
	p.ready(t)
	run := func(code int, says string, args ...string) {
		t.Helper()
		p := start(t, dir, args...)
		if got := p.wait(t, time.Minute); got != code || !strings.Contains(p.said.String(), says) {
			t.Errorf("%v ended with %d: %s", args, got, p.said.String())
		}
	}
	run(1, "in use by another", "schema", "downgrade")
	p.cmd.Process.Kill()
	p.cmd.Wait()
	run(0, "state: version 2", "schema", "status")
	run(0, "version 1 now", "schema", "downgrade")
	run(0, "state: version 1", "schema", "status")
	run(1, "version 1 of its form already", "schema", "downgrade")
	p = start(t, dir)
	p.ready(t)
	if !strings.Contains(p.said.String(), "its form is changed") {
		t.Errorf("the start does not say that it changed the state's form: %s", p.said.String())
	}
}
