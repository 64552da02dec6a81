package annealer

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// able is an actor that says which actions it has.
type able struct{ actor }

func (a able) Describe() role.Info {
	i := a.Role.Describe()
	i.Actions = []string{role.Strays}
	return i
}

func TestLookOnlyReads(t *testing.T) {
	tests := map[string]struct {
		do   func(ctx context.Context, on role.Target) (crowbar.Data, error)
		want string // in the error
	}{
		"reads": {do: func(ctx context.Context, on role.Target) (crowbar.Data, error) {
			_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"facts"}, Reads: true})
			return crowbar.Data{"dry": on.DryRun}, err
		}},
		"writes": {do: func(ctx context.Context, on role.Target) (crowbar.Data, error) {
			_ = on.Conn.Put(ctx, "/etc/x", 0o600, strings.NewReader("x")) // and it says nothing of it
			return crowbar.Data{}, nil
		}, want: "writes /etc/x"},
		"fails":  {do: func(context.Context, role.Target) (crowbar.Data, error) { return nil, errors.New("no quorum") }, want: "app on node n1: no quorum"},
		"panics": {do: func(context.Context, role.Target) (crowbar.Data, error) { panic("oh") }, want: "panicked: oh"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := convergedRig(t, 2)
			plain := r.Roles
			r.Roles = func(name string) (role.Role, error) {
				p, err := plain(name)
				return able{actor{p, func(ctx context.Context, on role.Target, _ role.Action) (crowbar.Data, error) { return tt.do(ctx, on) }}}, err
			}
			w, err := r.engine.Acting(t.Context(), r.nr("app", "n1").ID)
			if err != nil {
				t.Fatal(err)
			}
			rev := r.engine.View().Rev()
			d, err := r.Look(t.Context(), w, role.Strays, nil)
			switch {
			case tt.want == "" && (err != nil || d["dry"] != true):
				t.Errorf("%v, %v", d, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v", err)
			}
			if logs, _ := filepath.Glob(filepath.Join(r.LogDir, "actions", "*")); len(logs) > 0 || r.engine.View().Rev() != rev {
				t.Errorf("it left logs %v, or the state changed", logs)
			}
			if !r.Knows("app", role.Strays) || r.Knows("app", role.Forget) {
				t.Error("it does not know the actions of a role")
			}
		})
	}
	r := convergedRig(t, 2)
	if r.Knows("app", role.Strays) || r.Knows("none", role.Strays) {
		t.Error("a role without actions has some")
	}
}

func TestLookAtANodeThatIsDark(t *testing.T) {
	r := convergedRig(t, 2)
	plain := r.Roles
	r.Roles = func(name string) (role.Role, error) { p, err := plain(name); return able{actor{Role: p}}, err }
	w, err := r.engine.Acting(t.Context(), r.nr("app", "n1").ID)
	if err != nil {
		t.Fatal(err)
	}
	r.site.dialFail = func(string) error { return errors.New("no route to host") }
	if _, err := r.Look(t.Context(), w, role.Strays, nil); err == nil || err.Error() != "reach node n1: no route to host" {
		t.Errorf("error %v", err)
	}
}

// A dry run, a look and an action are told of artifacts as a run is.
func TestArtifactsBesideRuns(t *testing.T) {
	r := convergedRig(t, 2)
	r.Artifacts = shelf{"etcd/etcd": "content"}
	stat := func(ctx context.Context, on role.Target) error {
		_, err := on.Artifacts.Stat(ctx, "etcd/etcd")
		return err
	}
	r.site.apply = func(ctx context.Context, _ string, on role.Target) (role.Result, error) {
		return role.Result{}, stat(ctx, on)
	}
	plain := r.Roles
	r.Roles = func(name string) (role.Role, error) {
		p, err := plain(name)
		return able{actor{p, func(ctx context.Context, on role.Target, _ role.Action) (crowbar.Data, error) {
			return nil, stat(ctx, on)
		}}}, err
	}
	w, err := r.engine.Acting(t.Context(), r.nr("app", "n1").ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Look(t.Context(), w, role.Strays, nil); err != nil {
		t.Errorf("look: %v", err)
	}
	if _, err := r.Do(t.Context(), w, role.Strays, nil); err != nil {
		t.Errorf("action: %v", err)
	}
	if ans := r.Ask(t.Context(), []crowbar.DryRun{{Work: w}}); ans[0].Failure != "" {
		t.Errorf("dry run: %s", ans[0].Failure)
	}
}
