package api

import (
	"context"
	"net/http"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Bearing makes bearer tokens, and has them let nobody in any more.
type Bearing interface {
	CreateToken(ctx context.Context, t crowbar.Token, lasts time.Duration) (made *crowbar.Token, text string, err error)
	DeleteToken(ctx context.Context, id crowbar.ID) error
}

const (
	tokenLasts = 90 * 24 * time.Hour // where nothing is said
	forever    = "never"             // said of a token that does not expire
)

type tokenForm struct {
	Name        string   `json:"name"`
	Username    string   `json:"username"`
	Right       string   `json:"right"`
	Deployments []string `json:"deployments"`
	Expires     string   `json:"expires"`
}

func (a *API) routeTokens() {
	const at = "/api/v2/tokens"
	k := crowbar.KindToken
	a.handle("GET "+at, a.list(k))
	a.handle("GET "+at+"/{id}", a.show(k))
	a.handle("GET "+at+"/sample", a.sample(k))
	a.handle("POST "+at+"/match", a.match(k))
	a.handle("POST "+at, a.createToken)
	a.handle("DELETE "+at+"/{id}", a.destroy(k, a.Engine.DeleteToken))
}

// createToken answers with the token's text, this once.
func (a *API) createToken(r *http.Request) (form, any, error) {
	var f tokenForm
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	lasts := tokenLasts
	switch {
	case f.Expires == forever:
		lasts = 0
	case f.Expires != "":
		var err error
		if lasts, err = time.ParseDuration(f.Expires); err != nil || lasts <= 0 {
			return "", nil, crowbar.Errorf(crowbar.Invalid, "expires %q: want how long it lasts, such as 720h, or %s", f.Expires, forever)
		}
	}
	if f.Right == "" {
		f.Right = string(crowbar.RightViewer)
	}
	made, text, err := a.Engine.CreateToken(r.Context(), crowbar.Token{Name: f.Name, Username: f.Username, Right: crowbar.Right(f.Right), Deployments: f.Deployments}, lasts)
	if err != nil {
		return "", nil, err
	}
	return "token.obj", newToken{tokenOf(made), text}, nil
}

type tokenWire struct {
	ID          ref           `json:"id"`
	Name        string        `json:"name"`
	Username    string        `json:"username"`
	Right       crowbar.Right `json:"right"`
	Deployments []string      `json:"deployments"`
	Expires     stamp         `json:"expires_at"`
	Used        stamp         `json:"used_at"`
	stamps
}

type newToken struct {
	tokenWire
	Text string `json:"token"`
}

func tokenOf(t *crowbar.Token) tokenWire {
	return tokenWire{ref(t.ID), t.Name, t.Username, t.Right, nonNil(t.Deployments), stamp(t.Expires), stamp(t.Used), stampsOf(t.Stamps)}
}
