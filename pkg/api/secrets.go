package api

import (
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Sealing is the keys that seal secrets at rest. A key itself never goes over the API.
type Sealing interface {
	SealStatus() crowbar.SealStatus
	RotateKeys(given bool) (crowbar.SealStatus, error)
	ForgetKey(id string) (crowbar.SealStatus, error)
}

// Explaining is where values come from.
type Explaining interface {
	Explain(nodeRole crowbar.ID, attrib string) ([]crowbar.Explanation, error)
	Uses(attrib string) (crowbar.AttribUse, error)
}

func (a *API) sealStatus(*http.Request) (form, any, error) {
	return "secret.status", a.Engine.SealStatus(), nil
}

func (a *API) rotate(r *http.Request) (form, any, error) {
	var f struct {
		Given bool `json:"given"`
	}
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	st, err := a.Engine.RotateKeys(f.Given)
	return "secret.status", st, err
}

func (a *API) forgetKey(r *http.Request) (form, any, error) {
	var f struct {
		Key string `json:"key"`
	}
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	st, err := a.Engine.ForgetKey(f.Key)
	return "secret.status", st, err
}

// explain is of every attrib that the node-role is given, or with ?attrib=NAME of that one.
func (a *API) explain(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNodeRole, r)
	if err != nil {
		return "", nil, err
	}
	all, err := a.Engine.Explain(id, r.URL.Query().Get("attrib"))
	return "node_role.explain", nonNil(all), err
}

func (a *API) uses(r *http.Request) (form, any, error) {
	o, err := find(a.Engine.View(), crowbar.KindAttrib, r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	u, err := a.Engine.Uses(o.(*crowbar.Attrib).Name)
	return "attrib.uses", u, err
}
