package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// batchForm is a deployment at once: its nodes with their roles, and its attribs.
type batchForm struct {
	Nodes    []batchNode    `json:"nodes"`
	Attribs  map[string]any `json:"attribs"`
	Order    []string       `json:"role_apply_order"`
	Provider map[string]any `json:"provider"`
	TLD      string         `json:"tld"`
	Keys     map[string]any `json:"public_keys"`
	Commit   bool           `json:"commit"`
}

type batchNode struct {
	ID          any            `json:"id"` // of one that is there; its name does as well
	Name        string         `json:"name"`
	Prefix      string         `json:"prefix"`
	Count       int            `json:"count"`
	Description string         `json:"description"`
	Provider    map[string]any `json:"provider"`
	Roles       any            `json:"roles"` // a list of names, or name -> true
	Attribs     map[string]any `json:"attribs"`
	Hints       map[string]any `json:"hints"`
	Profiles    []string       `json:"profiles"`
}

// mostBatch is how many nodes one entry of a batch may make.
const mostBatch = 1000

// batch fills a deployment that is proposed.
func (a *API) batch(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindDeployment, r)
	if err != nil {
		return "", nil, err
	}
	p, err := read(r)
	if err == nil {
		err = a.filled(r, id, p)
	}
	if err != nil {
		return "", nil, err
	}
	return "deployment.obj", a.Engine.View().Deployment(id), nil
}

// filled does what a batch says with a deployment, after all that it names was looked up: what is not there is found out before
// anything is changed.
func (a *API) filled(r *http.Request, dep crowbar.ID, p params) error {
	ctx := r.Context()
	var f batchForm
	b, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return legacy(crowbar.Errorf(crowbar.Invalid, "request: %w", plain(err)), http.StatusBadRequest)
	}
	s := a.Engine.View()
	if d := s.Deployment(dep); d.Stored != crowbar.DeploymentProposed {
		return crowbar.Errorf(crowbar.Conflict, "Deployment must be proposed: propose %s first", d.Name)
	}
	if f.Nodes == nil {
		return crowbar.Errorf(crowbar.Invalid, "Nodes List is required")
	}
	if len(f.Keys) > 0 {
		f.Attribs = withKeys(f.Attribs, f.Keys)
	}
	steps, err := f.steps(s, dep)
	if err != nil {
		return err
	}
	for _, at := range steps.nodes {
		if n := s.Node(at.id); n != nil {
			if err := beyond(s, r, n.Deployment); err != nil {
				return err
			}
		}
	}
	for _, role := range steps.roles {
		if _, err := a.Engine.AddDeploymentRole(ctx, dep, role); err != nil {
			return err
		}
	}
	if err := a.placed(ctx, dep, steps); err != nil {
		return err
	}
	for name, v := range f.Attribs {
		if err := a.Engine.Set(ctx, crowbar.KindDeployment, dep, name, v); err != nil {
			return err
		}
	}
	if f.Commit {
		return a.Engine.Commit(ctx, dep)
	}
	return nil
}

// withKeys: the public keys go where Digital Rebar's role has them.
func withKeys(attribs, keys map[string]any) map[string]any {
	if attribs == nil {
		attribs = map[string]any{}
	}
	attribs["rebar-access_keys"] = keys
	return attribs
}

// batchSteps is what a batch does, everything by its id.
type batchSteps struct {
	roles []crowbar.ID // in the order in which they are bound
	nodes []batchPlace
}

type batchPlace struct {
	id    crowbar.ID   // 0 = it is made
	fresh crowbar.Node // what is made
	roles map[crowbar.ID]bool
	said  map[string]any // attribs and hints
}

// placed makes and moves the nodes and binds their roles.
func (a *API) placed(ctx context.Context, dep crowbar.ID, steps *batchSteps) error {
	for i := range steps.nodes {
		at := &steps.nodes[i]
		if at.id == 0 {
			n, err := a.Engine.CreateNode(ctx, at.fresh)
			if err != nil {
				return err
			}
			at.id = n.ID
		} else if _, err := a.Engine.UpdateNode(ctx, at.id, func(n *crowbar.Node) error { n.Deployment = dep; return nil }); err != nil {
			return err
		}
	}
	for _, role := range steps.roles {
		for _, at := range steps.nodes {
			if !at.roles[role] {
				continue
			}
			if _, err := a.Engine.Bind(ctx, role, at.id, dep); err != nil {
				return err
			}
		}
	}
	for _, at := range steps.nodes {
		for name, v := range at.said {
			if err := a.Engine.Set(ctx, crowbar.KindNode, at.id, name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f batchForm) steps(s *crowbar.Snapshot, dep crowbar.ID) (*batchSteps, error) {
	out := &batchSteps{}
	known := map[crowbar.ID]*crowbar.Role{}
	for name := range f.Attribs {
		o, err := find(s, crowbar.KindAttrib, name)
		if err != nil {
			return nil, err
		}
		if role := s.Role(o.(*crowbar.Attrib).Role); role != nil {
			known[role.ID] = role
		}
	}
	for i, n := range f.Nodes {
		roles := map[crowbar.ID]bool{}
		for _, name := range roleNames(n.Roles) {
			o, err := find(s, crowbar.KindRole, name)
			if err != nil {
				return nil, err
			}
			known[o.Key()], roles[o.Key()] = o.(*crowbar.Role), true
		}
		places, err := f.places(s, dep, i, n)
		if err != nil {
			return nil, err
		}
		for _, at := range places {
			at.roles = roles
			out.nodes = append(out.nodes, at)
		}
	}
	rank := func(r *crowbar.Role) int {
		if i := slices.Index(f.Order, r.Name); i >= 0 {
			return i - len(f.Order)
		}
		return r.Cohort
	}
	all := make([]*crowbar.Role, 0, len(known))
	for _, r := range known {
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y *crowbar.Role) int { return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.ID, y.ID)) })
	for _, r := range all {
		out.roles = append(out.roles, r.ID)
	}
	return out, nil
}

// places are the nodes of one entry: one that is there, or those that it makes.
func (f batchForm) places(s *crowbar.Snapshot, dep crowbar.ID, at int, n batchNode) ([]batchPlace, error) {
	if len(n.Profiles) > 0 {
		return nil, noProfile(n.Profiles[0])
	}
	said := map[string]any{}
	for _, more := range []map[string]any{n.Attribs, n.Hints} {
		for name, v := range more {
			if _, err := find(s, crowbar.KindAttrib, name); err != nil {
				return nil, err
			}
			said[name] = v
		}
	}
	if key := text(n.ID); key != "" && key != "-1" {
		o, err := find(s, crowbar.KindNode, key)
		if err != nil {
			return nil, err
		}
		return []batchPlace{{id: o.Key(), said: said}}, nil
	}
	pro := n.Provider
	if pro == nil {
		pro = f.Provider
	}
	name := text(pro["name"])
	if name == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "nodes[%d]: Provider required: say which by provider.name", at)
	}
	if _, err := fixedNamed("provider", providers(), name); err != nil {
		return nil, err
	}
	d := s.Deployment(dep)
	count := max(1, n.Count)
	if count > mostBatch {
		return nil, crowbar.Errorf(crowbar.Invalid, "nodes[%d]: count %d: at most %d", at, count, mostBatch)
	}
	out := make([]batchPlace, count)
	for i := range out {
		host := n.Name
		if host == "" || count > 1 {
			host = fmt.Sprintf("%s-%03d.%s.%s", cmp.Or(n.Prefix, n.Name, fmt.Sprintf("%s-%02d", d.Name, at+1)), i+1, name, cmp.Or(f.TLD, d.Name+".cloud"))
		}
		out[i] = batchPlace{said: said, fresh: crowbar.Node{Name: host, Description: n.Description, Deployment: dep, Available: true, BootEnv: rebarBootEnv}}
	}
	return out, nil
}

// roleNames are the roles of a node of a batch: a list of names, or an object whose values say which count.
func roleNames(v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			out = append(out, text(x))
		}
	case map[string]any:
		for name, on := range v {
			if text(on) != "false" && on != nil {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// deploymentSaid refuses what Digital Rebar's clients may say of a new deployment, and cannot have.
func deploymentSaid(p params) error {
	if text(p["system"]) == "true" {
		return crowbar.Errorf(crowbar.Conflict, "Only one system deployment permitted")
	}
	q := maps.Clone(p)
	delete(q, "provider") // of the nodes
	_, err := rebarSaid(q)
	return err
}
