package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// rebarBootEnv is the bootenv of a node of which none is said.
const rebarBootEnv = "unknown"

// rebarForm is what Digital Rebar's clients say of a node or a deployment beyond OpenCrowbar's.
type rebarForm struct {
	Provider   string         `json:"provider"`
	ProviderID string         `json:"provider_id"`
	Tenant     string         `json:"tenant"`
	TenantID   string         `json:"tenant_id"`
	Profiles   []string       `json:"profiles"`
	Variant    string         `json:"variant"`
	Arch       string         `json:"arch"`
	OSFamily   string         `json:"os_family"`
	Icon       string         `json:"icon"`
	Hints      map[string]any `json:"hints"`
}

// noProfile: there are none.
func noProfile(name string) error {
	return &absent{"profile", name, "there are no profiles: set attribs for a deployment or a node"}
}

// rebarSaid reads that part of a request, and refuses what is not there: a client that asks for a tenant of its own, or for a
// machine of a cloud, is not to believe that it has it.
func rebarSaid(p params) (f rebarForm, err error) {
	if err := p.into(&f); err != nil {
		return f, err
	}
	for _, key := range []string{f.Provider, f.ProviderID} {
		if key != "" && key != "0" {
			if _, err := fixedNamed("provider", providers(), key); err != nil {
				return f, err
			}
		}
	}
	for _, key := range []string{f.Tenant, f.TenantID} {
		if key != "" && key != "0" {
			if _, err := fixedNamed("tenant", tenants(), key); err != nil {
				return f, err
			}
		}
	}
	if len(f.Profiles) > 0 {
		return f, noProfile(f.Profiles[0])
	}
	return f, nil
}

// refused says of a change what a client cannot have here.
func (a *API) refused(p params) error {
	if a.Compat != CompatRebar {
		return nil
	}
	_, err := rebarSaid(p)
	return err
}

// onto keeps what was said of a node in its notes.
func (f rebarForm) onto(n *crowbar.Node) {
	n.BootEnv = rebarBootEnv
	said := crowbar.Data{}
	for key, v := range map[string]string{"variant": f.Variant, "arch": f.Arch, "os_family": f.OSFamily, "icon": f.Icon} {
		if v != "" {
			said[key] = v
		}
	}
	if len(said) > 0 {
		n.Notes = crowbar.Data{traitsNote: said}
	}
}

// hinted sets the attribs that a new node came with. Its address is one of them.
func (a *API) hinted(ctx context.Context, id crowbar.ID, hints map[string]any) error {
	names := make([]string, 0, len(hints))
	for name := range hints {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := a.Engine.Set(ctx, crowbar.KindNode, id, name, hints[name]); err != nil {
			return err
		}
	}
	return nil
}

// hintsKnown says whether there are such attribs, before a node is made; it takes the address out of them.
func hintsKnown(s *crowbar.Snapshot, f *nodeForm, hints map[string]any) error {
	for _, key := range []string{"node-control-address", "node-private-control-address"} {
		if v := text(hints[key]); v != "" && f.Address == nil && f.IP == nil {
			f.IP = &v
		}
		delete(hints, key)
	}
	for name := range hints {
		if _, err := find(s, crowbar.KindAttrib, name); err != nil {
			return err
		}
	}
	return nil
}

// attribEditor changes what an attrib is.
func (a *API) attribEditor() editor {
	return editor{[]string{"name", "description", "map", "order", "schema", "default"}, func(ctx context.Context, id crowbar.ID, p params) error {
		var f struct {
			Name        *string       `json:"name"`
			Description *string       `json:"description"`
			Map         *string       `json:"map"`
			Order       *int          `json:"order"`
			Schema      *crowbar.Data `json:"schema"`
			Default     any           `json:"default"`
		}
		if err := p.into(&f); err != nil {
			return err
		}
		return legacy(a.Engine.UpdateAttrib(ctx, id, func(at *crowbar.Attrib) error {
			if f.Name != nil && *f.Name != at.Name {
				return crowbar.Errorf(crowbar.Conflict, "an attrib keeps its name: delete it, and make another one")
			}
			set(&at.Description, f.Description)
			set(&at.Map, f.Map)
			set(&at.Order, f.Order)
			set(&at.Schema, f.Schema)
			if has(p, "default") {
				at.Default = f.Default
				if d, ok := f.Default.(map[string]any); ok && len(d) == 1 && has(d, "value") {
					at.Default = d["value"]
				}
			}
			return nil
		}), http.StatusConflict)
	}}
}

// importText imports a barclamp document that came as YAML; of a PUT it must be that of the barclamp in the path.
func (a *API) importText(ctx context.Context, yaml, name string) (form, any, error) {
	b, err := a.Engine.ImportText(ctx, yaml, name)
	if err != nil {
		return "", nil, legacy(err, http.StatusInternalServerError)
	}
	return "barclamp.obj", b, nil
}

// networkName is what Digital Rebar calls a network, whatever a request says.
func networkName(p params) {
	o, _ := engine.Blank(crowbar.KindNetwork).(*crowbar.Network)
	p["name"] = cmp.Or(text(p["category"]), o.Category) + "-" + cmp.Or(text(p["group"]), o.Group)
}

// beyond says that a caller whose right is limited asks for something in another deployment.
func beyond(s *crowbar.Snapshot, r *http.Request, dep crowbar.ID) error {
	c := caller(r)
	if c.Deployments == nil || s.Below(dep, c.Deployments) {
		return nil
	}
	return &coded{crowbar.Errorf(crowbar.Conflict, "%s may change %s alone", c.Name, strings.Join(c.Deployments, ", ")), http.StatusForbidden}
}
