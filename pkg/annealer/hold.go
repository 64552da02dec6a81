package annealer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// holder is role.Target's Hold for a run: the actions hold and release of those that use what its role keeps, on all nodes at once.
func (a *Annealer) holder(w *crowbar.Work, log *runLog) func(context.Context) (func(), error) {
	if a.Acting == nil || !w.Role.Flags.Cluster {
		return nil
	}
	return func(ctx context.Context) (release func(), err error) {
		users := a.users(w)
		began := time.Now()
		err = a.each(ctx, users, role.Hold)
		log.step(began, err, "hold up %s", strings.Join(nodesOf(users), " "))
		return func() {
			began := time.Now()
			err := a.each(context.WithoutCancel(ctx), users, role.Release)
			log.step(began, err, "release them")
		}, err
	}
}

// user is a node-role that uses what another keeps.
type user struct {
	id         crowbar.ID
	role, node string
}

// users is the node-roles that have been applied on nodes that are up, of roles that require the role of a run and can be held up.
func (a *Annealer) users(w *crowbar.Work) []user {
	s := a.Engine.View()
	var all []user
	for r := range s.Roles() {
		if !slices.Contains(r.Requires, w.Role.Name) || !a.Knows(r.Name, role.Hold) {
			continue
		}
		for nr := range s.EachOf(w.NodeRole.Deployment, r.ID) {
			if n := s.Node(nr.Node); n != nil && n.Alive && nr.RunCount > 0 {
				all = append(all, user{nr.ID, r.Name, n.Short()})
			}
		}
	}
	return all
}

// each has them do an action, all at once: what comes late holds nobody up for longer.
func (a *Annealer) each(ctx context.Context, users []user, action string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, role.HoldLimit, fmt.Errorf("it took longer than %s", role.HoldLimit))
	defer cancel()
	bad := make([]error, len(users))
	var all sync.WaitGroup
	for i, u := range users {
		all.Go(func() {
			w, err := a.Acting(ctx, u.id)
			if err == nil {
				_, err = a.Do(ctx, w, action, nil)
			}
			if err != nil {
				bad[i] = fmt.Errorf("%s on %s: %w", u.role, u.node, err)
			}
		})
	}
	all.Wait()
	return errors.Join(bad...)
}

func nodesOf(users []user) (nodes []string) {
	for _, u := range users {
		nodes = append(nodes, u.node)
	}
	return nodes
}
