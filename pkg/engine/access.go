package engine

import (
	"context"
	"crypto/md5" //nolint:gosec // HTTP digest as OpenCrowbar's clients speak it
	"encoding/hex"
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/bcrypt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// credentials is what a user's password is checked against.
type credentials struct {
	Hash  string `json:"hash"`                // bcrypt
	HA1   string `json:"ha1,omitempty"`       // of HTTP digest; "" for one who signs in otherwise
	Rebar string `json:"ha1_rebar,omitempty"` // the same for Digital Rebar's realm: a digest is good in one realm alone
}

const (
	shortest = 8
	longest  = 72 // what bcrypt looks at
)

// SetPassword gives a user a password. With digest it can be used with HTTP digest as well, for which something as good as
// the password must be kept (sealed).
func (e *Engine) SetPassword(ctx context.Context, user crowbar.ID, password string, digest bool) error {
	hash, err := e.hashed(password)
	if err == nil {
		err = e.change(ctx, func(d *draft) error { return e.credit(d, user, hash, password, digest) })
	}
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	return nil
}

func ha1(username, realm, password string) string {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

func (e *Engine) credentials(username string) (*crowbar.User, credentials, bool) {
	var c credentials
	u := e.View().UserNamed(username)
	if u == nil || u.Locked() || len(u.Credentials) == 0 || e.Ring == nil {
		return u, c, false
	}
	b, err := e.Ring.Open(u.Credentials, u.Place())
	if err != nil || json.Unmarshal(b, &c) != nil {
		e.Log.Error("a user's credentials do not open", "user", u.Username, "error", err)
		return u, c, false
	}
	return u, c, true
}

// HA1 is a user's digest secret for a realm; false if nobody of that name may sign in by digest there.
func (e *Engine) HA1(username, realm string) (string, bool) {
	_, c, ok := e.credentials(username)
	secret := c.HA1
	if realm == crowbar.RebarRealm {
		secret = c.Rebar
	}
	return secret, ok && secret != ""
}

// nobody is a hash that no password has; it is compared with so that nobody learns from the time which users there are.
const nobody = "$2a$10$7EqJtq98hPqEX7fNZaFWoOhi0ZyaDBBTkvgNDdRtgWg1lNIVXhWbW"

// Password says whether a user may sign in with this password.
func (e *Engine) Password(username, password string) bool {
	_, c, ok := e.credentials(username)
	if !ok {
		c.Hash = nobody
	}
	return bcrypt.CompareHashAndPassword([]byte(c.Hash), []byte(password)) == nil && ok
}

// Caller is what a user may do; false if there is none of that name, or it is locked.
func (e *Engine) Caller(username string) (crowbar.Caller, bool) {
	u := e.View().UserNamed(username)
	if u == nil || u.Locked() {
		return crowbar.Caller{}, false
	}
	return callerOf(u), true
}

func callerOf(u *crowbar.User) crowbar.Caller {
	c := crowbar.Caller{Name: u.Username, Right: u.Right, Deployments: u.Deployments}
	switch {
	case u.Admin:
		c.Right, c.Deployments = crowbar.RightAdmin, nil
	case !u.Right.Known():
		c.Right = crowbar.RightOperator // as OpenCrowbar's users who are no admins
	}
	return c
}
