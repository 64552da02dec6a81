package annealer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// holdable is a role that can be held up.
type holdable struct{ actor }

func (h holdable) Describe() role.Info {
	i := h.actor.Describe()
	i.Actions = []string{role.Hold, role.Release}
	return i
}

// A run of a cluster's member holds up those that use the cluster, on all nodes that are up, and those alone.
func TestHold(t *testing.T) {
	r := convergedRig(t, 4)
	r.Acting = r.engine.Acting
	if err := r.engine.SetAlive(t.Context(), r.nr("app", "n3").Node, false); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var did []string
	plain := r.Roles
	r.Roles = func(name string) (role.Role, error) {
		p, err := plain(name)
		if name != "app" {
			return p, err
		}
		return holdable{actor{p, func(_ context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
			mu.Lock()
			defer mu.Unlock()
			did = append(did, do.Name+" "+on.Node)
			if on.Node == "n1" && do.Name == role.Hold {
				return nil, errors.New("no way")
			}
			return nil, nil
		}}}, err
	}
	var failed error
	held := 0
	r.site.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
		if name != "db" {
			return role.Result{}, expectNone(on.Hold != nil, name)
		}
		release, err := on.Hold(ctx)
		mu.Lock()
		failed, held = err, len(did)
		mu.Unlock()
		release()
		return role.Result{}, nil
	}
	if err := r.engine.Retry(t.Context(), r.nr("db", "n0").ID); err != nil {
		t.Fatal(err)
	}
	if !r.until(func(s *crowbar.Snapshot) bool {
		mu.Lock()
		defer mu.Unlock()
		return len(did) == 6 && s.NodeRole(r.nr("db", "n0").ID).State == crowbar.Active
	}) {
		t.Fatal(did)
	}
	slices.Sort(did[:held])
	slices.Sort(did[held:])
	if got := strings.Join(did, ", "); got != "hold n0, hold n1, hold n2, release n0, release n1, release n2" {
		t.Error(got)
	}
	if failed == nil || !strings.Contains(failed.Error(), "app on n1: ") || strings.Contains(failed.Error(), "n2") {
		t.Errorf("error %v", failed)
	}
}

func expectNone(has bool, name string) error {
	if has {
		return fmt.Errorf("role %s, which is of no cluster, can hold up others", name)
	}
	return nil
}
