package api

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Backups is copies of clusters that this daemon keeps.
type Backups interface {
	Create(ctx context.Context, deployment crowbar.ID, why string) (crowbar.Backup, error)
	List() ([]crowbar.Backup, error)
	Verify(ctx context.Context, name string) (crowbar.Backup, error)
	Delete(name string) error
}

func (a *API) routeBackups() {
	a.handle("GET /api/v2/backups", a.listBackups)
	a.handle("POST /api/v2/backups", a.createBackup)
	a.handle("PUT /api/v2/backups/{id}/verify", a.verifyBackup)
	a.handle("DELETE /api/v2/backups/{id}", a.deleteBackup)
}

func (a *API) backups() (Backups, error) {
	if a.Backups == nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "this daemon keeps no backups")
	}
	return a.Backups, nil
}

func (a *API) listBackups(*http.Request) (form, any, error) {
	b, err := a.backups()
	if err != nil {
		return "", nil, err
	}
	all, err := b.List()
	return "backup.list", all, err
}

func (a *API) createBackup(r *http.Request) (form, any, error) {
	var f struct {
		Deployment string `json:"deployment"`
	}
	b, err := a.backups()
	if err != nil {
		return "", nil, err
	}
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	o, err := find(a.Engine.View(), crowbar.KindDeployment, f.Deployment)
	if err != nil {
		return "", nil, err
	}
	// One that has begun is made to its end, also where nobody waits for it any more.
	made, err := b.Create(context.WithoutCancel(r.Context()), o.(*crowbar.Deployment).ID, "asked")
	return "backup.obj", made, err
}

func (a *API) verifyBackup(r *http.Request) (form, any, error) {
	b, err := a.backups()
	if err != nil {
		return "", nil, err
	}
	one, err := b.Verify(r.Context(), r.PathValue("id"))
	return "backup.obj", one, err
}

func (a *API) deleteBackup(r *http.Request) (form, any, error) {
	b, err := a.backups()
	if err != nil {
		return "", nil, err
	}
	name := r.PathValue("id")
	return "backup.empty", map[string]string{"message": "Successfully deleted backup " + name + "."}, b.Delete(name)
}
