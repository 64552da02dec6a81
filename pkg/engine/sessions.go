package engine

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Session is what the sessions of a user are tied to: one that was begun under another text is over, and so is one that signed
// out. A user that is not there has none.
func (e *Engine) Session(username, id string) (tie string, over bool) {
	u := e.View().UserNamed(username)
	if u == nil {
		return "", true
	}
	_, out := u.SignedOut[id]
	return u.ID.String() + "." + strconv.Itoa(u.Sessions), out
}

// mostSignedOut is how many sessions of a user end one by one; with one more all of them do.
const mostSignedOut = 100

// SignOut ends one session, on all daemons that share the state. After until nobody could have come with it anyway.
func (e *Engine) SignOut(ctx context.Context, username, id string, until time.Time) error {
	err := e.change(ctx, func(d *draft) error {
		u := d.s.UserNamed(username)
		if u == nil {
			return nil
		}
		u = clone(u)
		out := maps.Clone(u.SignedOut)
		if out == nil {
			out = map[string]time.Time{}
		}
		now := e.Now()
		maps.DeleteFunc(out, func(_ string, t time.Time) bool { return now.After(t) })
		out[id] = until.UTC().Truncate(time.Second)
		if u.SignedOut = out; len(out) > mostSignedOut {
			endSessions(u)
		}
		d.put(u)
		return nil
	})
	if err != nil {
		return fmt.Errorf("sign out %q: %w", username, err)
	}
	return nil
}

// endSessions ends all sessions of a user, which is a copy.
func endSessions(u *crowbar.User) {
	u.Sessions++
	u.SignedOut = nil
}
