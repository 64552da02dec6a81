package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func singular(k crowbar.Kind) string { return strings.TrimSuffix(string(k), "s") }

func (a *API) list(k crowbar.Kind) handler {
	return func(*http.Request) (form, any, error) {
		return form(singular(k) + ".list"), sorted(a.Engine.View(), k), nil
	}
}

func (a *API) show(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		o, err := find(s, k, keyOf(r, k))
		if err != nil {
			return "", nil, err
		}
		if nr, ok := o.(*crowbar.NodeRole); ok && !own(r) {
			return "node_role.obj", a.logged(r, s, nr), nil
		}
		return form(singular(k) + ".obj"), shown(s, o), nil
	}
}

// shown is an object on its way out: handle gives it the shape that the caller wants, with what is secret masked.
func shown(_ *crowbar.Snapshot, o crowbar.Object) any { return o }

var deploymentStates = map[string]int{"error": -1, "proposed": 0, "committed": 1, "active": 2}

// deploymentState is OpenCrowbar's computed state of a deployment.
func deploymentState(s *crowbar.Snapshot, d *crowbar.Deployment) string {
	if d.Stored == crowbar.DeploymentProposed {
		return "proposed"
	}
	switch n := s.States(d.ID); {
	case n.Error > 0:
		return "error"
	case int(n.Active) < n.Total():
		return "committed"
	}
	return "active"
}

// find looks an object up as OpenCrowbar does: only digits is an id, everything else a name, or a uuid as Digital Rebar has it. A node is found by its short
// name too, a node-role by "node/role", a deployment-role by "deployment/role", and node "admin" is the admin host.
func find(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.Object, error) {
	if n, err := strconv.ParseUint(key, 10, 64); err == nil {
		if o := s.Get(k, crowbar.ID(n)); o != nil {
			return o, nil
		}
		return nil, missing(s, k, key)
	}
	if o := withUUID(s, k, key); o != nil {
		return o, nil
	}
	o, err := named(s, k, key)
	if err == nil && o == nil {
		err = missing(s, k, key)
	}
	return o, err
}

// named is the object of that name, or nil.
func named(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.Object, error) {
	switch k {
	case crowbar.KindBarclamp:
		return orNil(s.BarclampNamed(key))
	case crowbar.KindRole:
		return orNil(s.RoleNamed(key))
	case crowbar.KindJig:
		return orNil(s.JigNamed(key))
	case crowbar.KindAttrib:
		return orNil(s.AttribNamed(key))
	case crowbar.KindDeployment:
		return orNil(s.DeploymentNamed(key))
	case crowbar.KindNode:
		n, err := nodeNamed(s, key)
		if err != nil {
			return nil, err
		}
		return orNil(n)
	case crowbar.KindNodeRole, crowbar.KindDeploymentRole:
		return pair(s, k, key)
	}
	return namedAround(s, k, key)
}

// orNil keeps a nil pointer from becoming an object that is not nil.
func orNil[T any, P interface {
	*T
	crowbar.Object
}](p P) (crowbar.Object, error) {
	if p == nil {
		return nil, nil
	}
	return p, nil
}

// nodeNamed finds a node by its whole name, which the state has an index of, or else by its short one.
func nodeNamed(s *crowbar.Snapshot, key string) (*crowbar.Node, error) {
	if n := s.NodeNamed(key); n != nil {
		return n, nil
	}
	found := s.NodesLike(key, "") // of which the state has an index too
	if key == "admin" {
		for n := range s.Nodes() {
			if n.Admin && !slices.Contains(found, n) {
				found = append(found, n)
			}
		}
		slices.SortFunc(found, func(a, b *crowbar.Node) int { return cmp.Compare(a.ID, b.ID) })
	}
	switch {
	case len(found) == 0:
		return nil, nil
	case len(found) > 1 && key != "admin":
		return nil, crowbar.Errorf(crowbar.Conflict, "%q is the short name of %s and of %s: say the whole name", key, found[0].Name, found[1].Name)
	}
	return found[0], nil
}

// pair finds "node/role" or "deployment/role".
func pair(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.Object, error) {
	where, role, ok := strings.Cut(key, "/")
	r := s.RoleNamed(role)
	if !ok || r == nil {
		return nil, nil
	}
	if k == crowbar.KindDeploymentRole {
		if d := s.DeploymentNamed(where); d != nil {
			return orNil(s.DeploymentRoleOf(d.ID, r.ID))
		}
		return nil, nil
	}
	n, err := nodeNamed(s, where)
	if n == nil || err != nil {
		return nil, err
	}
	return orNil(s.NodeRoleOn(n.ID, r.ID))
}

func missing(s *crowbar.Snapshot, k crowbar.Kind, key string) error {
	const most = 30
	names := []string{}
	for o := range s.All(k) {
		if len(names) == most {
			break
		}
		names = append(names, natural(s, o))
	}
	known := "there is none yet"
	if len(names) > 0 {
		known = "known: " + strings.Join(names, ", ")
	}
	if more := s.Count(k) - len(names); more > 0 {
		known += " and " + strconv.Itoa(more) + " more"
	}
	return &absent{singular(k), key, known}
}

// natural is the name by which an object is found, its id where it has none.
func natural(s *crowbar.Snapshot, o crowbar.Object) string {
	switch o := o.(type) {
	case *crowbar.Barclamp:
		return o.Name
	case *crowbar.Role:
		return o.Name
	case *crowbar.Jig:
		return o.Name
	case *crowbar.Attrib:
		return o.Name
	case *crowbar.Node:
		return o.Name
	case *crowbar.Deployment:
		return o.Name
	case *crowbar.NodeRole:
		n, r := s.Node(o.Node), s.Role(o.Role)
		if n != nil && r != nil {
			return n.Short() + "/" + r.Name
		}
	case *crowbar.DeploymentRole:
		d, r := s.Deployment(o.Deployment), s.Role(o.Role)
		if d != nil && r != nil {
			return d.Name + "/" + r.Name
		}
	default:
		return naturalAround(s, o)
	}
	return o.Key().String()
}

func findID(s *crowbar.Snapshot, k crowbar.Kind, r *http.Request) (crowbar.ID, error) {
	key := r.PathValue("id")
	if k == crowbar.KindUser {
		key = keyOf(r, k)
	}
	o, err := find(s, k, key)
	if err != nil {
		return 0, err
	}
	return o.Key(), nil
}

// body reads the request's JSON as it is; strict refuses keys that are not known.
func body(r *http.Request, into any, strict ...bool) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return unread(err)
	}
	if err := sound(b); err != nil {
		return legacy(err, http.StatusBadRequest)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if len(strict) > 0 && strict[0] {
		d.DisallowUnknownFields()
	}
	err = d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("there is something after the end of the JSON value")
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty; want a JSON value")
	}
	if err != nil {
		return legacy(crowbar.Errorf(crowbar.Invalid, "request body: %w", err), http.StatusBadRequest)
	}
	return nil
}

func deleted(k crowbar.Kind, id crowbar.ID) (form, any, error) {
	return form(singular(k) + ".empty"), map[string]string{"message": "Successfully deleted " + singular(k) + " id " + id.String() + "."}, nil
}
