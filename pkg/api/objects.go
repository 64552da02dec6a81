package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func singular(k crowbar.Kind) string { return strings.TrimSuffix(string(k), "s") }

func (a *API) list(k crowbar.Kind) handler {
	return func(*http.Request) (form, any, error) {
		s := a.Engine.View()
		out := []any{}
		for o := range s.All(k) {
			out = append(out, shown(s, o))
		}
		return form(singular(k) + ".list"), out, nil
	}
}

func (a *API) show(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		s := a.Engine.View()
		o, err := find(s, k, r.PathValue("id"))
		if err != nil {
			return "", nil, err
		}
		return form(singular(k) + ".obj"), shown(s, o), nil
	}
}

// shown adds what OpenCrowbar computes on reading; what is secret never leaves through here.
func shown(s *crowbar.Snapshot, o crowbar.Object) any {
	d, ok := o.(*crowbar.Deployment)
	if !ok {
		return o
	}
	return struct {
		*crowbar.Deployment
		State int `json:"state"`
	}{d, deploymentStates[deploymentState(s, d)]}
}

var deploymentStates = map[string]int{"error": -1, "proposed": 0, "committed": 1, "active": 2}

// deploymentState is OpenCrowbar's computed state of a deployment.
func deploymentState(s *crowbar.Snapshot, d *crowbar.Deployment) string {
	if d.Stored == crowbar.DeploymentProposed {
		return "proposed"
	}
	state := "active"
	for nr := range s.NodeRoles() {
		if nr.Deployment != d.ID {
			continue
		}
		switch nr.State {
		case crowbar.Error:
			return "error"
		case crowbar.Active:
		default:
			state = "committed"
		}
	}
	return state
}

// find looks an object up as OpenCrowbar does: only digits is an id, everything else a name; node-roles also "node/role".
func find(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.Object, error) {
	if n, err := strconv.ParseUint(key, 10, 64); err == nil {
		if o := s.Get(k, crowbar.ID(n)); o != nil {
			return o, nil
		}
		return nil, missing(s, k, key)
	}
	for o := range s.All(k) {
		if natural(s, o) == key {
			return o, nil
		}
	}
	if k == crowbar.KindNode && key == "admin" {
		for n := range s.Nodes() {
			if n.Admin {
				return n, nil
			}
		}
	}
	return nil, missing(s, k, key)
}

func missing(s *crowbar.Snapshot, k crowbar.Kind, key string) error {
	names := []string{}
	for o := range s.All(k) {
		if n := natural(s, o); n != "" && len(names) < 30 {
			names = append(names, n)
		}
	}
	known := "there is none yet"
	if len(names) > 0 {
		known = "known: " + strings.Join(names, ", ")
	}
	return crowbar.Errorf(crowbar.NotFound, "Could not find %s with id %s. (%s)", singular(k), key, known)
}

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
	}
	return ""
}

func findID(s *crowbar.Snapshot, k crowbar.Kind, r *http.Request) (crowbar.ID, error) {
	o, err := find(s, k, r.PathValue("id"))
	if err != nil {
		return 0, err
	}
	return o.Key(), nil
}

func body(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "request body: %w", err)
	}
	return nil
}

func deleted(k crowbar.Kind, id crowbar.ID) (form, any, error) {
	return form(singular(k) + ".empty"), map[string]string{"message": "Successfully deleted " + singular(k) + " id " + id.String() + "."}, nil
}
