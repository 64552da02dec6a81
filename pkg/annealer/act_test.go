package annealer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// actor is a role with an action.
type actor struct {
	role.Role
	do func(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error)
}

func (a actor) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	return a.do(ctx, on, do)
}

func TestAct(t *testing.T) {
	tests := map[string]struct {
		do     func(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error)
		want   string // in the error
		logged string
	}{
		"done": {do: func(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
			if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"facts"}}); err != nil {
				return nil, err
			}
			_, err := do.Out.Write([]byte("a copy of " + on.Node))
			return crowbar.Data{"from": on.Node}, err
		}, logged: "done: done"},
		"fails": {do: func(context.Context, role.Target, role.Action) (crowbar.Data, error) {
			return nil, errors.New("no way")
		}, want: "no way", logged: "failed: action copy of role app on node n1: no way"},
		"panics": {do: func(context.Context, role.Target, role.Action) (crowbar.Data, error) { panic("oh") }, want: "panicked: oh", logged: "failed:"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := convergedRig(t, 2)
			plain := r.Roles
			r.Roles = func(name string) (role.Role, error) {
				p, err := plain(name)
				return actor{p, tt.do}, err
			}
			w, err := r.engine.Acting(t.Context(), r.nr("app", "n1").ID)
			if err != nil {
				t.Fatal(err)
			}
			rev := r.engine.View().Rev()
			var out bytes.Buffer
			d, err := r.Act(t.Context(), w, role.Action{Name: "copy", Out: &out})
			if tt.want == "" && (err != nil || d["from"] != "n1" || out.String() != "a copy of n1") {
				t.Errorf("%v, %v, %q", d, err, out.String())
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v", err)
			}
			if now := r.engine.View().Rev(); now != rev {
				t.Error("the state changed")
			}
			logs, _ := filepath.Glob(filepath.Join(r.LogDir, "actions", "*-n1-app-copy.log"))
			if len(logs) != 1 {
				t.Fatalf("logs: %v", logs)
			}
			if b, err := os.ReadFile(logs[0]); err != nil || !strings.Contains(string(b), tt.logged) {
				t.Errorf("log: %s, %v", b, err)
			}
		})
	}
}

// A run begins only after what is to be kept of the time before it is kept; that this is not possible stops nothing.
func TestBeforeARun(t *testing.T) {
	for name, fails := range map[string]error{"kept": nil, "not kept": errors.New("no quorum")} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, memory(), newSite(), "d1")
			var mu sync.Mutex
			asked := map[string]bool{}
			r.Before = func(_ context.Context, w *crowbar.Work) (crowbar.Backup, error) {
				mu.Lock()
				defer mu.Unlock()
				asked[w.Role.Name+"@"+w.Node.Short()] = true
				return crowbar.Backup{Name: "b1", Revision: 7}, fails
			}
			r.cluster(2)
			if !r.until(allActive) || !asked["app@n1"] {
				t.Fatalf("asked before %v", asked)
			}
			var log bytes.Buffer
			if err := r.Follow(t.Context(), r.nr("app", "n1").ID, 0, false, &log); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{true: "backup b1, revision 7 of etcd", false: "there is no backup of the time before this run: no quorum"}[fails == nil]
			if !strings.Contains(log.String(), want) {
				t.Errorf("log without %q: %s", want, log.String())
			}
		})
	}
}
