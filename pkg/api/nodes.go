package api

import (
	"encoding/json"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// nodeForm is what may be said of a node; a nil field is left as it is.
type nodeForm struct {
	Name        *string         `json:"name"`
	Description *string         `json:"description"`
	Address     *string         `json:"address"`
	Admin       *bool           `json:"admin"`
	Jig         *string         `json:"jig_name"`
	Alive       *bool           `json:"alive"`
	Available   *bool           `json:"available"`
	SSH         json.RawMessage `json:"ssh"` // its keys one by one as well
	Deployment  *string         `json:"deployment"`
}

func (f nodeForm) onto(s *crowbar.Snapshot, n *crowbar.Node) error {
	set(&n.Name, f.Name)
	set(&n.Description, f.Description)
	set(&n.Address, f.Address)
	set(&n.Admin, f.Admin)
	set(&n.Jig, f.Jig)
	set(&n.Alive, f.Alive)
	set(&n.Available, f.Available)
	if len(f.SSH) > 0 {
		if err := json.Unmarshal(f.SSH, &n.SSH); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "ssh: %w", err)
		}
	}
	if f.Deployment != nil {
		d, err := find(s, crowbar.KindDeployment, *f.Deployment)
		if err != nil {
			return err
		}
		n.Deployment = d.Key()
	}
	return nil
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

func (a *API) createNode(r *http.Request) (form, any, error) {
	var f nodeForm
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	n := crowbar.Node{Alive: true, Available: true}
	if err := f.onto(a.Engine.View(), &n); err != nil {
		return "", nil, err
	}
	made, err := a.Engine.CreateNode(r.Context(), n)
	if err != nil {
		return "", nil, err
	}
	return "node.obj", shown(a.Engine.View(), made), nil
}

func (a *API) updateNode(r *http.Request) (form, any, error) {
	var f nodeForm
	if err := body(r, &f); err != nil {
		return "", nil, err
	}
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindNode, r)
	if err != nil {
		return "", nil, err
	}
	n, err := a.Engine.UpdateNode(r.Context(), id, func(n *crowbar.Node) error { return f.onto(s, n) })
	if err != nil {
		return "", nil, err
	}
	return "node.obj", shown(a.Engine.View(), n), nil
}

func (a *API) deleteNode(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNode, r)
	if err != nil {
		return "", nil, err
	}
	if err := a.Engine.DeleteNode(r.Context(), id, r.URL.Query().Get("force") == "true"); err != nil {
		return "", nil, err
	}
	return deleted(crowbar.KindNode, id)
}
