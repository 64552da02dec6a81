package annealer

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		r := newRig(t, memory(), s, "a")
		r.cluster(5)
		slow(s, "base", "n4", 0)
		defer r.start()()
		time.Sleep(30 * time.Second)
		asked := func(node string) int {
			m := s.machine(node)
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(slices.DeleteFunc(slices.Clone(m.calls), func(c string) bool { return !strings.HasPrefix(c, "/bin/sh -s") }))
		}
		was := asked("n3")
		if err := r.Reboot(t.Context(), r.nr("base", "n3").Node); err != nil || asked("n3") != was+1 {
			t.Errorf("%v, %d scripts", err, asked("n3")-was)
		}
		was = asked("n4")
		if err := r.Reboot(t.Context(), r.nr("base", "n4").Node); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "base is running there") || asked("n4") != was {
			t.Errorf("while a role runs: %v", err)
		}
		if err := r.Reboot(t.Context(), r.nr("config", "k-phantom").Node); crowbar.KindOf(err) != crowbar.Conflict {
			t.Errorf("a phantom: %v", err)
		}
		if err := r.Reboot(t.Context(), 12345); crowbar.KindOf(err) != crowbar.NotFound {
			t.Errorf("no node: %v", err)
		}
	})
}
