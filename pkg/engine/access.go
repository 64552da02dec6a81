package engine

import (
	"context"
	"crypto/md5" //nolint:gosec // HTTP digest as OpenCrowbar's clients speak it
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

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
	hash, err := hashed(password)
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
		if !t.Expires.IsZero() && !e.Now().Before(t.Expires) {
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
		if limit := callerOf(u); !limit.Right.Has(c.Right) {
			c.Right = limit.Right
		} else if c.Deployments == nil {
			c.Deployments = limit.Deployments
		}
		return c, true
	}
	return crowbar.Caller{}, false
}
