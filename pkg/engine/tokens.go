package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// CreateToken makes a bearer token for a user, at most as mighty as the user is. The text comes back this once; its sum is
// kept. lasts 0 means that it does not expire.
func (e *Engine) CreateToken(ctx context.Context, t crowbar.Token, lasts time.Duration) (made *crowbar.Token, text string, err error) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	text = "kc_" + base64.RawURLEncoding.EncodeToString(b)
	sum := sha256.Sum256([]byte(text))
	t.Sum = hex.EncodeToString(sum[:])
	err = e.change(ctx, func(d *draft) error {
		if err := checkToken(d, t); err != nil {
			return err
		}
		t.ID, t.Expires = d.s.Next(), time.Time{}
		if lasts > 0 {
			t.Expires = e.Now().UTC().Add(lasts).Truncate(time.Second)
		}
		d.put(&t)
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("create token %q: %w", t.Name, err)
	}
	return e.View().TokenNamed(t.Name), text, nil
}

func checkToken(d *draft, t crowbar.Token) error {
	if err := label(t.Name); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "name: %w", err)
	}
	if d.s.TokenNamed(t.Name) != nil {
		return crowbar.Errorf(crowbar.Conflict, "there is a token of this name already: delete it, or take another name")
	}
	if !t.Right.Known() {
		return crowbar.Errorf(crowbar.Invalid, "right %q: there are viewer, operator and admin", t.Right)
	}
	if t.Username != "" {
		u := d.s.UserNamed(t.Username)
		if u == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no user %q", t.Username)
		}
		if !callerOf(u).Right.Has(t.Right) {
			return crowbar.Errorf(crowbar.Conflict, "user %q is %s and cannot have a token that is %s", u.Username, callerOf(u).Right, t.Right)
		}
	}
	for _, name := range t.Deployments {
		if d.s.DeploymentNamed(name) == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no deployment %q", name)
		}
	}
	return nil
}

// DeleteToken lets nobody in with it any more.
func (e *Engine) DeleteToken(ctx context.Context, id crowbar.ID) error {
	err := e.change(ctx, func(d *draft) error {
		t := d.s.Token(id)
		if t == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no token %d", id)
		}
		d.drop(t)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete token: %w", err)
	}
	return nil
}

// Token finds whose bearer token has this sum. One that has expired, or whose user is locked or gone, lets nobody in.
func (e *Engine) Token(sum [sha256.Size]byte) (crowbar.Caller, bool) {
	text := hex.EncodeToString(sum[:])
	s := e.View()
	for t := range s.Tokens() {
		if t.Sum != text { // both are sums of random texts: their comparison tells nobody anything
			continue
		}
		c, ok := bearer(s, t, e.Now())
		if ok {
			e.uses.note(t, e.Now())
		}
		return c, ok
	}
	return crowbar.Caller{}, false
}

// bearer is who comes with a token: it is never more than its user may do.
func bearer(s *crowbar.Snapshot, t *crowbar.Token, now time.Time) (crowbar.Caller, bool) {
	if t.Ended(now) {
		return crowbar.Caller{}, false
	}
	c := crowbar.Caller{Name: "token " + t.Name, Via: "token", Right: t.Right, Deployments: t.Deployments}
	if t.Username == "" {
		return c, true
	}
	u := s.UserNamed(t.Username)
	if u == nil || u.Locked() {
		return crowbar.Caller{}, false
	}
	c.Name = u.Username
	limit := callerOf(u)
	if !limit.Right.Has(c.Right) {
		c.Right = limit.Right
	}
	switch {
	case limit.Deployments == nil:
	case c.Deployments == nil:
		c.Deployments = limit.Deployments
	default:
		c.Deployments = both(s, c.Deployments, limit.Deployments)
	}
	return c, true
}

// both is the deployments of one list that are in the other too, or below one of it; never nil, which would be all.
func both(s *crowbar.Snapshot, of, in []string) []string {
	out := []string{}
	for _, pair := range [][2][]string{{of, in}, {in, of}} {
		for _, name := range pair[0] {
			d := s.DeploymentNamed(name)
			if d != nil && s.Below(d.ID, pair[1]) && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// noteEvery is how long a token may be used before that is noted anew.
const noteEvery = 10 * time.Minute

// uses is the tokens that were used and of which that is not noted yet.
type uses struct {
	mu   sync.Mutex
	when map[crowbar.ID]time.Time
	wake chan struct{}
}

func (u *uses) note(t *crowbar.Token, now time.Time) {
	if now.Sub(t.Used) < noteEvery {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, had := u.when[t.ID]; had {
		return
	}
	if u.when == nil {
		u.when = map[crowbar.ID]time.Time{}
	}
	u.when[t.ID] = now.UTC().Truncate(time.Second)
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *uses) take() map[crowbar.ID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.when
	u.when = nil
	return all
}

// NoteUses writes down when tokens were used, until ctx ends. What could not be written is noted at the next use.
func (e *Engine) NoteUses(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-e.uses.wake:
		}
		all := e.uses.take()
		err := e.change(ctx, func(d *draft) error {
			for id, when := range all {
				if t := d.s.Token(id); t != nil && t.Used.Before(when) {
					t = clone(t)
					t.Used = when
					d.put(t)
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			e.Log.Warn("when tokens were used is not noted", "error", err)
		}
	}
}
