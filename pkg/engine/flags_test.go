package engine

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const finders = `
barclamp: { name: finders }
roles:
  - { name: look, jig: noop, flags: [discovery, implicit], conflicts: [db] }
  - { name: find, jig: noop, flags: [discovery, implicit] }
  - { name: boot, jig: noop, flags: [bootstrap, implicit] }
`

func TestDiscoveryThatConflictsIsLeftOut(t *testing.T) {
	w := build(t)
	w.load(finders)
	w.apply(two())
	s := w.View()
	n := s.NodeNamed("n1.a.b")
	if len(n.Warnings) != 1 || !strings.Contains(n.Warnings[0], `"look"`) || !strings.Contains(n.Warnings[0], "conflicts") {
		t.Errorf("warnings %q", n.Warnings)
	}
	if s.NodeRoleOn(n.ID, s.RoleNamed("find").ID) == nil || s.NodeRoleOn(n.ID, s.RoleNamed("look").ID) != nil {
		t.Error("find is not there, or look is")
	}
	rev := s.Rev()
	w.apply(two())
	if w.View().Rev() != rev {
		t.Error("the same again changed something")
	}
	w.load(strings.Replace(finders, ", conflicts: [db]", "", 1))
	w.apply(two())
	if n = w.View().NodeNamed("n1.a.b"); len(n.Warnings) != 0 {
		t.Errorf("warnings are left: %q", n.Warnings)
	}
}

func TestLastAdminStays(t *testing.T) {
	w := build(t)
	w.load(finders)
	boss, err := w.CreateNode(t.Context(), crowbar.Node{Name: "boss.a.b", Address: "10.0.0.9", Admin: true})
	if err != nil || w.nr("boot", "boss") == nil {
		t.Fatal(err)
	}
	w.refused("last admin", w.DeleteNode(t.Context(), boss.ID, false), crowbar.Conflict, "last admin", w.View().Rev())
	if _, err := w.CreateNode(t.Context(), crowbar.Node{Name: "second.a.b", Address: "10.0.0.8", Admin: true}); err != nil {
		t.Fatal(err)
	}
	if err := w.DeleteNode(t.Context(), boss.ID, false); err != nil {
		t.Error(err)
	}
}
