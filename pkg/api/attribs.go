package api

import (
	"cmp"
	"context"
	"net/http"
	"reflect"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Carrying is what carries attribs, and the attribs themselves.
type Carrying interface {
	AttribIn(k crowbar.Kind, id crowbar.ID, name, bucket string) (any, error)
	AttribsOf(k crowbar.Kind, id crowbar.ID, bucket string) ([]crowbar.Valued, error)
	Note(ctx context.Context, k crowbar.Kind, id crowbar.ID, name string, value any) error
	CreateAttrib(ctx context.Context, a crowbar.Attrib) (*crowbar.Attrib, error)
	UpdateAttrib(ctx context.Context, id crowbar.ID, edit func(*crowbar.Attrib) error) error
	DeleteAttrib(ctx context.Context, id crowbar.ID) error
	ImportDocument(ctx context.Context, document crowbar.Data) (*crowbar.Barclamp, error)
	ImportText(ctx context.Context, text, name string) (*crowbar.Barclamp, error)
}

// carriers are the kinds whose objects have values of attribs.
var carriers = []crowbar.Kind{crowbar.KindNode, crowbar.KindRole, crowbar.KindDeployment, crowbar.KindDeploymentRole, crowbar.KindNodeRole}

func (a *API) routeAttribs() {
	for _, k := range carriers {
		at := "/api/v2/" + string(k) + "/{id}/attribs"
		a.handle("GET "+at, a.attribs(k))
		a.handle("GET "+at+"/{attrib}", a.attrib(k))
		a.handle("PUT "+at+"/{attrib}", a.setAttrib(k))
		a.handle("PATCH "+at+"/{attrib}", a.patchAttrib(k))
		a.handle("DELETE "+at+"/{attrib}", a.unsetAttrib(k))
	}
	a.handle("POST /api/v2/attribs", a.createAttrib)
	a.handle("DELETE /api/v2/attribs/{id}", a.destroy(crowbar.KindAttrib, a.Engine.DeleteAttrib))
	a.handle("POST /api/v2/barclamps", a.importBarclamp)
	a.handle("PUT /api/v2/barclamps/{id}", a.importBarclamp)
}

// valuedWire is an attrib with its value, with OpenCrowbar's keys.
type valuedWire struct {
	attribWire
	Value any `json:"value"`
}

// valued is an attrib with the value that a carrier has of it, masked already.
func valued(s *crowbar.Snapshot, a *crowbar.Attrib, v any, as tongue) any {
	a = mask(s, a).(*crowbar.Attrib)
	if as == ours {
		return crowbar.Valued{Attrib: a, Value: v}
	}
	w := valuedWire{attribOf(a), v}
	if as == rebars {
		return plus{w, rebarObject{uuid(a)}}
	}
	return w
}

func (a *API) attribs(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		id, err := findID(s, k, r)
		if err != nil {
			return "", nil, err
		}
		all, err := a.Engine.AttribsOf(k, id, cmp.Or(r.URL.Query().Get("bucket"), "all"))
		if err != nil {
			return "", nil, legacy(err, http.StatusInternalServerError)
		}
		out := make([]any, len(all))
		for i, one := range all {
			out[i] = valued(s, one.Attrib, one.Value, a.tongue(r))
		}
		return "attrib.list", out, nil
	}
}

// carried finds the carrier and the attrib of a request's path.
func (a *API) carried(r *http.Request, k crowbar.Kind) (crowbar.ID, *crowbar.Attrib, error) {
	s := a.Engine.View()
	id, err := findID(s, k, r)
	if err != nil {
		return 0, nil, err
	}
	at, err := find(s, crowbar.KindAttrib, r.PathValue("attrib"))
	if err != nil {
		return 0, nil, err
	}
	return id, at.(*crowbar.Attrib), nil
}

func (a *API) attrib(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		id, at, err := a.carried(r, k)
		if err != nil {
			return "", nil, err
		}
		v, err := a.Engine.AttribIn(k, id, at.Name, cmp.Or(r.URL.Query().Get("bucket"), "all"))
		if err != nil {
			return "", nil, legacy(err, http.StatusInternalServerError)
		}
		return "attrib.obj", valued(a.Engine.View(), at, v, a.tongue(r)), nil
	}
}

func (a *API) setAttrib(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		id, at, err := a.carried(r, k)
		if err != nil {
			return "", nil, err
		}
		p, err := read(r)
		if err != nil {
			return "", nil, err
		}
		if inner, ok := p["attrib"].(map[string]any); ok { // OpenCrowbar's page
			p = inner
		}
		return a.sayAttrib(r, k, id, at, p["value"])
	}
}

// sayAttrib sets a value, or notes it: no other bucket is written over the wire.
func (a *API) sayAttrib(r *http.Request, k crowbar.Kind, id crowbar.ID, at *crowbar.Attrib, v any) (form, any, error) {
	say := a.Engine.Set
	switch b := cmp.Or(r.URL.Query().Get("bucket"), "user"); b {
	case "user":
	case "note":
		say = a.Engine.Note
	default:
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "bucket %q is only read: there are user and note to write to", b), http.StatusMethodNotAllowed)
	}
	if err := say(r.Context(), k, id, at.Name, v); err != nil {
		return "", nil, legacy(err, http.StatusInternalServerError)
	}
	if at.Secret {
		v = masked
	}
	return "attrib.obj", valued(a.Engine.View(), at, v, a.tongue(r)), nil
}

// patchAttrib sets the value by a patch of the attrib with its value; nothing else of it may be patched.
func (a *API) patchAttrib(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		f, doc, err := a.attribToPatch(r, k)
		if err != nil {
			return "", nil, err
		}
		before, after, err := patched(r, doc)
		if err != nil {
			return "", nil, err
		}
		for key, v := range after {
			if key != "value" && !reflect.DeepEqual(v, before[key]) {
				return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "Cannot update attribute %s for Attrib", key), http.StatusInternalServerError)
			}
		}
		if reflect.DeepEqual(before["value"], after["value"]) {
			return f, doc, nil
		}
		id, at, err := a.carried(r, k)
		if err != nil {
			return "", nil, err
		}
		return a.sayAttrib(r, k, id, at, after["value"])
	}
}

// attribToPatch is what a patch is of: the value of the note bucket for a patch of that, else the one that counts.
func (a *API) attribToPatch(r *http.Request, k crowbar.Kind) (form, any, error) {
	id, at, err := a.carried(r, k)
	if err != nil {
		return "", nil, err
	}
	bucket := "all"
	if r.URL.Query().Get("bucket") == "note" {
		bucket = "note"
	}
	v, err := a.Engine.AttribIn(k, id, at.Name, bucket)
	return "attrib.obj", valued(a.Engine.View(), at, v, a.tongue(r)), err
}

func (a *API) unsetAttrib(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		id, at, err := a.carried(r, k)
		if err != nil {
			return "", nil, err
		}
		if err := a.Engine.Unset(r.Context(), k, id, at.Name); err != nil {
			return "", nil, legacy(err, http.StatusInternalServerError)
		}
		v, err := a.Engine.AttribIn(k, id, at.Name, "all")
		return "attrib.obj", valued(a.Engine.View(), at, v, a.tongue(r)), err
	}
}

func (a *API) createAttrib(r *http.Request) (form, any, error) {
	var f struct {
		Name        string       `json:"name"`
		Barclamp    string       `json:"barclamp"`
		BarclampID  string       `json:"barclamp_id"`
		Role        *string      `json:"role"`
		RoleID      *string      `json:"role_id"`
		Description string       `json:"description"`
		Writable    bool         `json:"writable"`
		Secret      bool         `json:"secret"`
		Schema      crowbar.Data `json:"schema"`
		Order       int          `json:"order"`
		Map         string       `json:"map"`
		Default     any          `json:"default"`
	}
	if err := asked(r, &f); err != nil {
		return "", nil, err
	}
	s := a.Engine.View()
	made := crowbar.Attrib{Name: f.Name, Description: f.Description, Map: f.Map, Writable: f.Writable, Secret: f.Secret, Schema: f.Schema, Order: f.Order, Default: f.Default}
	if d, ok := f.Default.(map[string]any); ok && len(d) == 1 {
		if v, ok := d["value"]; ok { // as OpenCrowbar shows it
			made.Default = v
		}
	}
	if f.Name == "" {
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "name: it is missing"), http.StatusInternalServerError)
	}
	var err error
	if made.Barclamp, err = either(s, crowbar.KindBarclamp, f.Barclamp, f.BarclampID); err != nil {
		return "", nil, err
	}
	if err := refer(s, crowbar.KindRole, &made.Role, f.RoleID, f.Role); err != nil {
		return "", nil, err
	}
	o, err := a.Engine.CreateAttrib(r.Context(), made)
	if err != nil {
		return "", nil, err
	}
	return "attrib.obj", o, nil
}

// importBarclamp imports the document in "value"; of a PUT it must be that of the barclamp in the path.
func (a *API) importBarclamp(r *http.Request) (form, any, error) {
	name := ""
	if r.PathValue("id") != "" {
		o, err := find(a.Engine.View(), crowbar.KindBarclamp, r.PathValue("id"))
		if err != nil {
			return "", nil, err
		}
		name = o.(*crowbar.Barclamp).Name
	}
	p, err := read(r)
	if err != nil {
		return "", nil, err
	}
	v, err := nested(p["value"])
	if yaml, is := p["value"].(string); is && err != nil && a.tongue(r) == rebars { // Digital Rebar took YAML, too
		return a.importText(r.Context(), yaml, name)
	}
	document, ok := v.(map[string]any)
	if !ok || err != nil {
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "value: want the barclamp document as a JSON object"), http.StatusInternalServerError)
	}
	if err := malformed(document, name); err != nil {
		return "", nil, legacy(err, http.StatusInternalServerError)
	}
	b, err := a.Engine.ImportDocument(r.Context(), document)
	if err != nil {
		return "", nil, err
	}
	return "barclamp.obj", b, nil
}

// malformed is what OpenCrowbar looked for before it read a document.
func malformed(document map[string]any, name string) error {
	said, _ := document["barclamp"].(map[string]any)
	switch {
	case text(said["name"]) == "" || text(said["source_path"]) == "":
		return crowbar.Errorf(crowbar.Invalid, "Barclamp metadata malformed! barclamp.name and barclamp.source_path must be there")
	case name != "" && text(said["name"]) != name:
		return crowbar.Errorf(crowbar.Invalid, "Cannot change the name of a barclamp via update! It is %q", name)
	}
	jigs, _ := document["jigs"].([]any)
	for _, one := range jigs {
		j, _ := one.(map[string]any)
		for _, must := range [][2]string{{"name", "a name"}, {"class", "a type"}} {
			if text(j[must[0]]) == "" {
				return crowbar.Errorf(crowbar.Invalid, "Jigs must have %s", must[1])
			}
		}
	}
	return nil
}
