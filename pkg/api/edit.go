package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// routeEdits are the changes of single objects, and the verbs on them.
func (a *API) routeEdits() {
	for k, e := range map[crowbar.Kind]editor{
		crowbar.KindNode: a.nodeEditor(), crowbar.KindDeployment: a.deploymentEditor(), crowbar.KindRole: a.roleEditor(), crowbar.KindJig: a.jigEditor(),
		crowbar.KindDeploymentRole: a.dataEditor(crowbar.KindDeploymentRole), crowbar.KindNodeRole: a.dataEditor(crowbar.KindNodeRole),
	} {
		a.handle("PUT /api/v2/"+string(k)+"/{id}", a.put(k, e))
		a.handle("PATCH /api/v2/"+string(k)+"/{id}", a.patch(k, e))
	}
	for pattern, do := range map[string]func(context.Context, crowbar.ID) error{
		"nodes/{id}/commit": a.Engine.CommitNode, "nodes/{id}/propose": a.Engine.ProposeNode, "nodes/{id}/redeploy": a.Engine.RedeployNode,
		"node_roles/{id}/commit": a.Engine.CommitNodeRole, "node_roles/{id}/propose": a.Engine.ProposeNodeRole,
		"deployment_roles/{id}/commit": a.Engine.CommitDeploymentRole, "deployment_roles/{id}/propose": a.Engine.ProposeDeploymentRole,
	} {
		a.handle("PUT /api/v2/"+pattern, a.verb(kindOf(pattern), do))
	}
	a.handle("POST /api/v2/deployment_roles", a.addRole)
	a.handle("POST /api/v2/deployments/{id}/roles", a.addRoleTo)
	a.handle("DELETE /api/v2/deployment_roles/{id}", a.destroy(crowbar.KindDeploymentRole, a.Engine.DeleteDeploymentRole))
}

// kindOf is the first word of a path below /api/v2/.
func kindOf(pattern string) crowbar.Kind {
	for i := range pattern {
		if pattern[i] == '/' {
			return crowbar.Kind(pattern[:i])
		}
	}
	return crowbar.Kind(pattern)
}

// verb does something with an object and answers with what became of it. OpenCrowbar answers 500 to a move that the
// object's state does not allow.
func (a *API) verb(k crowbar.Kind, do func(context.Context, crowbar.ID) error) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		id, err := findID(s, k, r)
		if err != nil {
			return "", nil, err
		}
		if err := do(r.Context(), id); err != nil {
			return "", nil, legacy(err, http.StatusInternalServerError)
		}
		o := a.Engine.View().Get(k, id)
		if o == nil {
			return "", nil, missing(a.Engine.View(), k, id.String())
		}
		return form(singular(k) + ".obj"), o, nil
	}
}

func (a *API) destroy(k crowbar.Kind, do func(context.Context, crowbar.ID) error) handler {
	return func(r *http.Request) (form, any, error) {
		id, err := findID(a.Engine.View(), k, r)
		if err != nil {
			return "", nil, err
		}
		if err := do(r.Context(), id); err != nil {
			return "", nil, err
		}
		return deleted(k, id)
	}
}

func (a *API) deploymentEditor() editor {
	return editor{[]string{"name", "description"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f struct {
			Name        *string `json:"name"`
			Description *string `json:"description"`
		}
		if err := cmp.Or(p.into(&f), a.refused(p)); err != nil {
			return err
		}
		_, err := a.Engine.UpdateDeployment(ctx, id, func(d *crowbar.Deployment) error {
			set(&d.Name, f.Name)
			set(&d.Description, f.Description)
			return nil
		})
		return err
	}}
}

func (a *API) roleEditor() editor {
	return editor{[]string{"description", "template"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f struct {
			Description *string      `json:"description"`
			Template    crowbar.Data `json:"template"`
		}
		if err := p.into(&f); err != nil {
			return err
		}
		_, err := a.Engine.UpdateRole(ctx, id, f.Description, f.Template)
		return err
	}}
}

func (a *API) jigEditor() editor {
	return editor{[]string{"description", "active"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f struct {
			Description *string `json:"description"`
			Active      *bool   `json:"active"`
		}
		if err := p.into(&f); err != nil {
			return err
		}
		_, err := a.Engine.UpdateJig(ctx, id, func(j *crowbar.Jig) {
			set(&j.Description, f.Description)
			set(&j.Active, f.Active)
		})
		return err
	}}
}

// dataEditor replaces what is proposed for a deployment-role or node-role as a whole.
func (a *API) dataEditor(k crowbar.Kind) editor {
	return editor{[]string{"data"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f struct {
			Data crowbar.Data `json:"data"`
		}
		if err := p.into(&f); err != nil {
			return err
		}
		if f.Data == nil {
			return nil
		}
		return legacy(a.Engine.SetData(ctx, k, id, f.Data), http.StatusInternalServerError)
	}}
}

type roleInForm struct {
	Role         string       `json:"role"`
	RoleID       string       `json:"role_id"`
	Deployment   string       `json:"deployment"`
	DeploymentID string       `json:"deployment_id"`
	Data         crowbar.Data `json:"data"`
}

func (a *API) addRole(r *http.Request) (form, any, error) {
	var f roleInForm
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	dr, err := a.roleIn(r.Context(), f)
	return "deployment_role.obj", dr, err
}

func (a *API) roleIn(ctx context.Context, f roleInForm) (crowbar.Object, error) {
	s := a.Engine.View()
	role, err := either(s, crowbar.KindRole, f.Role, f.RoleID)
	if err != nil {
		return nil, err
	}
	dep, err := either(s, crowbar.KindDeployment, f.Deployment, f.DeploymentID)
	if err != nil {
		return nil, err
	}
	dr, err := a.Engine.AddDeploymentRole(ctx, dep, role)
	if err == nil && f.Data != nil {
		err = a.Engine.SetData(ctx, crowbar.KindDeploymentRole, dr.ID, f.Data)
	}
	if err != nil {
		return nil, err
	}
	return a.Engine.View().DeploymentRole(dr.ID), nil
}

// addRoleTo is the form of OpenCrowbar's page of a deployment; it answers with the deployment.
func (a *API) addRoleTo(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	p, err := read(r)
	if err != nil {
		return "", nil, err
	}
	if inner, ok := p["deployment"].(map[string]any); ok {
		p = inner
	}
	delete(p, "deployment")
	var f roleInForm
	if err := p.into(&f); err != nil {
		return "", nil, err
	}
	f.DeploymentID = id.String()
	if _, err := a.roleIn(r.Context(), f); err != nil {
		return "", nil, err
	}
	return "deployment.obj", a.Engine.View().Deployment(id), nil
}
