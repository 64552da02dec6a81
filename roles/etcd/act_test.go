package etcd

import (
	"bytes"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestActions(t *testing.T) {
	tests := map[string]struct {
		spoil    func(w *world)
		running  bool
		quorum   bool
		kind     crowbar.ErrorKind // of a snapshot
		wantCopy string
	}{
		"it serves":   {running: true, quorum: true, wantCopy: "all that is in it"},
		"no quorum":   {spoil: func(w *world) { w.alone = true }, running: true, kind: crowbar.Unavailable},
		"it is down":  {spoil: func(w *world) { w.node.Units[unit].Active = "failed" }, kind: crowbar.Unavailable},
		"taken apart": {spoil: func(w *world) { w.members = nil }, kind: crowbar.Unavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := roletest.NewNode()
			w := newWorld(t, n)
			on := w.target(true)
			if _, err := New().Apply(t.Context(), on); err != nil {
				t.Fatal(err)
			}
			if tt.spoil != nil {
				tt.spoil(w)
			}
			act := New().(role.Actor)
			d, err := act.Act(t.Context(), on, role.Action{Name: actLook, Out: new(bytes.Buffer)})
			if err != nil || d["running"] != tt.running || d["quorum"] != tt.quorum {
				t.Errorf("look: %v, %v", d, err)
			}
			var out bytes.Buffer
			d, err = act.Act(t.Context(), on, role.Action{Name: actSnapshot, Out: &out})
			if tt.kind != crowbar.Internal {
				if crowbar.KindOf(err) != tt.kind || out.Len() > 0 {
					t.Errorf("snapshot: %v, %d bytes", err, out.Len())
				}
				return
			}
			if err != nil || out.String() != tt.wantCopy || d["node"] != "n1" || d["version"] != "3.7.3" {
				t.Errorf("snapshot: %v, %v, %q", d, err, out.String())
			}
		})
	}
}
