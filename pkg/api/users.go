package api

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Accounts makes users and their passwords.
type Accounts interface {
	CreateUser(ctx context.Context, u crowbar.User, password string, digest bool) (*crowbar.User, error)
	SetPassword(ctx context.Context, user crowbar.ID, password string, digest bool) error
	HasDigest(username string) bool
	Bearing
}

type userForm struct {
	Username     *string  `json:"username"`
	Email        *string  `json:"email"`
	Admin        *bool    `json:"is_admin"`
	Right        *string  `json:"right"`
	Deployments  []string `json:"deployments"`
	Password     string   `json:"password"`
	Current      string   `json:"current_password"`
	Confirmation *string  `json:"password_confirmation"`
	Digest       *bool    `json:"digest"` // keep what HTTP digest needs
}

func (f userForm) onto(u *crowbar.User, p params) {
	set(&u.Username, f.Username)
	set(&u.Email, f.Email)
	set(&u.Admin, f.Admin)
	if f.Right != nil {
		u.Right = crowbar.Right(*f.Right)
	}
	if _, said := p["deployments"]; said {
		u.Deployments = f.Deployments
	}
}

// confirmed refuses a password that was not typed twice alike, where it was typed twice.
func (f userForm) confirmed() error {
	if f.Confirmation != nil && *f.Confirmation != f.Password {
		return crowbar.Errorf(crowbar.Invalid, "password_confirmation: it is not the password")
	}
	return nil
}

func (a *API) routeUsers() {
	const at = "/api/v2/users"
	k := crowbar.KindUser
	a.handle("GET "+at, a.list(k))
	a.handle("GET "+at+"/{id}", a.show(k))
	a.handle("GET "+at+"/sample", func(*http.Request) (form, any, error) { return "user.obj", map[string]any{}, nil })
	a.handle("POST "+at+"/match", a.match(k))
	a.handle("POST "+at, a.createUser)
	e := a.userEditor()
	a.handle("PUT "+at+"/{id}", a.put(k, e))
	a.handle("PATCH "+at+"/{id}", a.patch(k, e))
	a.handle("DELETE "+at+"/{id}", a.destroyed(k))
	a.handle("PUT "+at+"/{id}/reset_password", a.verbOf(k, a.resetPassword))
	for verb, is := range map[string]bool{http.MethodPost: true, http.MethodDelete: false} {
		a.handle(verb+" "+at+"/{id}/admin", a.verbOf(k, a.user(func(u *crowbar.User) { u.Admin = is })))
		a.handle(verb+" "+at+"/{id}/lock", a.verbOf(k, a.user(func(u *crowbar.User) {
			switch {
			case !is:
				u.LockedAt = time.Time{}
			case !u.Locked():
				u.LockedAt = time.Now().UTC().Truncate(time.Second)
			}
		})))
	}
}

// verbOf does something with an object that needs the request, and answers with what became of it.
func (a *API) verbOf(k crowbar.Kind, do func(r *http.Request, id crowbar.ID) error) handler {
	return func(r *http.Request) (form, any, error) {
		id, err := findID(a.Engine.View(), k, r)
		if err != nil {
			return "", nil, err
		}
		if err := do(r, id); err != nil {
			return "", nil, err
		}
		s := a.Engine.View()
		if o := s.Get(k, id); o != nil {
			return form(singular(k) + ".obj"), o, nil
		}
		return "", nil, missing(s, k, id.String())
	}
}

func (a *API) user(edit func(*crowbar.User)) func(*http.Request, crowbar.ID) error {
	return func(r *http.Request, id crowbar.ID) error {
		_, err := a.Engine.Edit(r.Context(), crowbar.KindUser, id, func(o crowbar.Object) error { edit(o.(*crowbar.User)); return nil })
		return err
	}
}

func (a *API) createUser(r *http.Request) (form, any, error) {
	var f userForm
	p, err := read(r)
	if err == nil {
		err = p.into(&f)
	}
	if err != nil {
		return "", nil, err
	}
	if f.Username == nil {
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "username: it is missing"), http.StatusInternalServerError)
	}
	if err := f.confirmed(); err != nil {
		return "", nil, err
	}
	var u crowbar.User
	f.onto(&u, p)
	made, err := a.Engine.CreateUser(r.Context(), u, f.Password, f.Digest != nil && *f.Digest)
	if err != nil {
		return "", nil, err
	}
	return "user.obj", made, nil
}

func (a *API) userEditor() editor {
	return editor{[]string{"username", "email", "is_admin", "right", "deployments"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f userForm
		if err := p.into(&f); err != nil {
			return err
		}
		if err := f.confirmed(); err != nil {
			return err
		}
		_, err := a.Engine.Edit(ctx, crowbar.KindUser, id, func(o crowbar.Object) error { f.onto(o.(*crowbar.User), p); return nil })
		if err != nil || f.Password == "" {
			return err
		}
		return a.password(ctx, id, f)
	}}
}

// password gives a user a password; what digest needs is kept where it was kept before, or where that is asked for.
func (a *API) password(ctx context.Context, id crowbar.ID, f userForm) error {
	digest := false
	if u := a.Engine.View().User(id); u != nil {
		digest = a.Engine.HasDigest(u.Username)
	}
	return a.Engine.SetPassword(ctx, id, f.Password, *cmp.Or(f.Digest, &digest))
}

func (a *API) resetPassword(r *http.Request, id crowbar.ID) error {
	p, err := read(r)
	if err != nil {
		return err
	}
	if inner, ok := p["user"].(map[string]any); ok { // OpenCrowbar's page
		p = inner
	}
	var f userForm
	if err := p.into(&f); err != nil {
		return err
	}
	if err := f.confirmed(); err != nil {
		return err
	}
	if err := a.owns(r, id, f.Current); err != nil {
		return err
	}
	return a.password(r.Context(), id, f)
}

// owns refuses to give people another password of their own who do not know the present one: somebody may have sat down at
// their browser. Whoever may reset everybody's is not asked, unless they come by a browser.
func (a *API) owns(r *http.Request, id crowbar.ID, current string) error {
	c, u := caller(r), a.Engine.View().User(id)
	if u == nil || !is(c, u.Username) || c.Right == crowbar.RightAdmin && c.Via != "session" {
		return nil
	}
	right, wait := a.admits(r, u.Username, current)
	switch {
	case wait > 0:
		return &throttled{wait}
	case !right:
		return crowbar.Errorf(crowbar.Invalid, "current_password: it is not your password")
	}
	return nil
}

type userWire struct {
	ID       ref    `json:"id"`
	Email    string `json:"email"`
	Username string `json:"username"`
	Admin    bool   `json:"is_admin"`
	Locked   bool   `json:"is_locked"`
	stamps
}

// userOf is a user as one sees it; our own clients are told its right too.
func userOf(u *crowbar.User, own bool) any {
	if own {
		return struct {
			*crowbar.User
			Locked bool `json:"is_locked"`
		}{u, u.Locked()}
	}
	return userWire{ref(u.ID), u.Email, u.Username, u.Admin, u.Locked(), stampsOf(u.Stamps)}
}
