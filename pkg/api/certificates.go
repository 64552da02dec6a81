package api

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Certifying is the authorities, leaves and keys of clusters. A key itself never goes over the API here.
type Certifying interface {
	Certificates() ([]crowbar.Certificate, error)
	Renew(ctx context.Context, w crowbar.RenewWish) (names []string, err error)
	Rotate(ctx context.Context, w crowbar.RotateWish) ([]crowbar.RotationStep, error)
}

func (a *API) certificates(*http.Request) (form, any, error) {
	all, err := a.Engine.Certificates()
	return "certificate.list", nonNil(all), err
}

func (a *API) renew(r *http.Request) (form, any, error) {
	var w crowbar.RenewWish
	if err := body(r, &w); err != nil {
		return "", nil, err
	}
	names, err := a.Engine.Renew(r.Context(), w)
	return "certificate.renewed", nonNil(names), err
}

func (a *API) rotateCertificates(r *http.Request) (form, any, error) {
	var w crowbar.RotateWish
	if err := body(r, &w); err != nil {
		return "", nil, err
	}
	steps, err := a.Engine.Rotate(r.Context(), w)
	return "certificate.rotation", nonNil(steps), err
}
