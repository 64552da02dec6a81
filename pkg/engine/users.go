package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// CreateUser adds a user with its password; with "" as password it cannot sign in until it gets one. With digest it can use
// HTTP digest, see SetPassword.
func (e *Engine) CreateUser(ctx context.Context, u crowbar.User, password string, digest bool) (*crowbar.User, error) {
	var hash []byte
	var err error
	if password != "" {
		hash, err = e.hashed(password)
	}
	if err == nil {
		err = e.change(ctx, func(d *draft) error {
			u.LockedAt, u.Credentials = u.LockedAt.UTC(), nil
			made, err := e.make(d, &u)
			if err != nil || hash == nil {
				return err
			}
			return e.credit(d, made.Key(), hash, password, digest)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("create user %q: %w", u.Username, err)
	}
	return e.View().UserNamed(u.Username), nil
}

// hashed is what a password is checked against. It takes its time.
func (e *Engine) hashed(password string) ([]byte, error) {
	if len(password) < shortest || len(password) > longest {
		return nil, crowbar.Errorf(crowbar.Invalid, "password: want %d to %d bytes", shortest, longest)
	}
	return bcrypt.GenerateFromPassword([]byte(password), cmp.Or(e.HashCost, bcrypt.DefaultCost))
}

// credit gives a user a password.
func (e *Engine) credit(d *draft, user crowbar.ID, hash []byte, password string, digest bool) error {
	u := d.s.User(user)
	if u == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no user %d", user)
	}
	c := credentials{Hash: string(hash)}
	if digest {
		c.HA1, c.Rebar = ha1(u.Username, crowbar.Realm, password), ha1(u.Username, crowbar.RebarRealm, password)
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if e.Ring == nil {
		return crowbar.Errorf(crowbar.Unavailable, "there is no key to seal it with: start the daemon with its key file")
	}
	u = clone(u)
	u.Credentials = e.Ring.Seal(b, u.Place())
	endSessions(u)
	d.put(u)
	return nil
}

// HasDigest says that a user can sign in by HTTP digest.
func (e *Engine) HasDigest(username string) bool {
	_, ok := e.HA1(username, crowbar.Realm)
	return ok
}

// WithoutDigest are the users who sign in by HTTP digest in another realm and cannot in this one: their passwords were set
// before it was known. The next password that is set mends it.
func (e *Engine) WithoutDigest(realm string) []string {
	var out []string
	for u := range e.View().Users() {
		if _, ok := e.HA1(u.Username, realm); !ok && e.HasDigest(u.Username) {
			out = append(out, u.Username)
		}
	}
	return out
}
