package engine_test

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// After a leap no node refuses a run as old, nothing is held to be known of nodes, and no run is under way.
func TestLeap(t *testing.T) {
	mem := storetest.NewMemory()
	var all []crowbar.Change
	for _, o := range []crowbar.Object{&crowbar.Deployment{ID: 1, Name: "d", Stored: crowbar.DeploymentCommitted}, &crowbar.Node{ID: 2, Name: "n1.a.b", Deployment: 1, Alive: true, Available: true},
		&crowbar.Role{ID: 3, Name: "r", Jig: "noop"}, &crowbar.Role{ID: 4, Name: "wipe", Jig: "noop", Flags: crowbar.Flags{Destructive: true}},
		&crowbar.NodeRole{ID: 10, Deployment: 1, Node: 2, Role: 3, State: crowbar.Active, Attempt: 3, RunCount: 2, Given: "3:x", Available: true},
		&crowbar.NodeRole{ID: 11, Deployment: 1, Node: 2, Role: 3, State: crowbar.Transition, Attempt: 5, Owner: "gone-1", Run: 20, Available: true},
		&crowbar.NodeRole{ID: 12, Deployment: 1, Node: 2, Role: 3, State: crowbar.Proposed, Available: true},
		&crowbar.NodeRole{ID: 13, Deployment: 1, Node: 2, Role: 3, State: crowbar.Todo, Available: true},
		&crowbar.NodeRole{ID: 14, Deployment: 1, Node: 2, Role: 4, State: crowbar.Transition, Attempt: 1, Owner: "gone-1", Available: true},
		&crowbar.Run{ID: 20, NodeRole: 11, Attempt: 5}} {
		all = append(all, crowbar.Change{Put: o})
	}
	if err := mem.Commit(t.Context(), 0, all...); err != nil {
		t.Fatal(err)
	}
	if err := engine.New(engine.Config{Store: mem, Owner: "me"}).Leap(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := mem.View()
	for id, want := range map[crowbar.ID]struct {
		state   crowbar.State
		attempt uint64
	}{10: {crowbar.Active, 1<<20 + 3}, 11: {crowbar.Todo, 1<<20 + 5}, 12: {crowbar.Proposed, 0}, 13: {crowbar.Todo, 1 << 20}, 14: {crowbar.Error, 1<<20 + 1}} {
		nr := s.NodeRole(id)
		if nr.State != want.state || nr.Attempt != want.attempt || nr.Given != "" || nr.Owner != "" && nr.State != crowbar.Error {
			t.Errorf("node-role %d: %s, attempt %d, given %q, owner %q; want %v", id, nr.State, nr.Attempt, nr.Given, nr.Owner, want)
		}
	}
	if s.Run(20).Outcome != "lost" {
		t.Errorf("its run: %q", s.Run(20).Outcome)
	}
}
