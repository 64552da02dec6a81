package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// needs is the right for the routes that do not follow the rule: who reads must be a viewer, who changes an operator.
var needs = map[string]crowbar.Right{
	"POST /api/v2/deployments/{id}/kubeconfig": crowbar.RightAdmin, // it has the administrator's key in it
	"PUT /api/v2/node_roles/{id}/act":          crowbar.RightAdmin, // one of them stops etcd
	"POST /api/v2/deployments/{id}/plan":       crowbar.RightViewer,
	"GET /api/v2/tenants/{id}/users":           crowbar.RightAdmin,
	"POST /api/v2/nodes/whoami":                crowbar.RightViewer,
	"PUT /api/status/active":                   crowbar.RightViewer,
	"POST /api/v2/digest":                      crowbar.RightViewer,
	"DELETE /api/v2/digest":                    crowbar.RightViewer,
	"POST /wizard/{barclamp}":                  crowbar.RightViewer, // what it does it asks the API for, which looks at the right again
}

// adminOnly are the trees in which everything is the administrator's, but what a viewer may read.
var adminOnly = []struct {
	path string
	read crowbar.Right
}{
	{"/api/v2/event_sinks", crowbar.RightAdmin}, {"/api/v2/event_selectors", crowbar.RightAdmin},
	{"/api/v2/users", crowbar.RightAdmin}, {"/api/v2/tokens", crowbar.RightAdmin}, {"/api/v2/audit", crowbar.RightAdmin},
	{"/api/v2/barclamps", crowbar.RightViewer}, {"/api/v2/jigs", crowbar.RightViewer}, {"/api/v2/roles", crowbar.RightViewer},
	{"/api/v2/attribs", crowbar.RightViewer}, {"/api/v2/available_hammers", crowbar.RightViewer}, {"/api/v2/state", crowbar.RightAdmin}, {"/api/v2/secrets", crowbar.RightAdmin},
	{"/api/v2/backups", crowbar.RightViewer},
	{"/api/v2/certificates", crowbar.RightViewer},
}

// needed is the right that a request takes.
func needed(method, pattern string) crowbar.Right {
	if r, ok := needs[pattern]; ok {
		return r
	}
	reads := method == http.MethodGet || method == http.MethodHead || strings.HasSuffix(pattern, "/match")
	_, path, _ := strings.Cut(pattern, " ")
	for _, t := range adminOnly {
		if path == t.path || strings.HasPrefix(path, t.path+"/") {
			if reads {
				return t.read
			}
			return crowbar.RightAdmin
		}
	}
	if reads {
		return crowbar.RightViewer
	}
	return crowbar.RightOperator
}

// oneself is what everybody may do with themselves: a client of OpenCrowbar's asks who it is on every command.
var oneself = []string{"GET /api/v2/users/{id}", "PUT /api/v2/users/{id}/reset_password", "GET /api/v2/users/{id}/capabilities"}

// myself is the key of the caller's own user.
const myself = "me"

// is says that a key is that of the caller's own user.
func is(c crowbar.Caller, key string) bool {
	return c.Name != "" && strings.EqualFold(key, c.Name) || key == myself
}

// homed is the kinds of objects that lie in a deployment.
var homed = []crowbar.Kind{crowbar.KindDeployment, crowbar.KindNode, crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindNetwork, crowbar.KindRange,
	crowbar.KindRouter, crowbar.KindAllocation, crowbar.KindHammer}

// kindIn is the kind of objects that a route is of.
func kindIn(pattern string) crowbar.Kind {
	_, path, _ := strings.Cut(pattern, " ")
	return kindOf(strings.TrimPrefix(path, "/api/v2/"))
}

// keyIn is the key of the object in a request's path.
func keyIn(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v2/"), "/")
	if len(parts) < 2 {
		return ""
	}
	return unescaped(parts[1])
}

// may says whether the caller may do this, and if not, why.
func (a *API) may(r *http.Request, c crowbar.Caller) error {
	_, pattern := a.mux.Handler(r)
	need := needed(r.Method, pattern)
	if slices.Contains(oneself, pattern) && is(c, keyIn(r)) {
		need = crowbar.RightViewer
	}
	if !c.Right.Has(need) {
		return fmt.Errorf("%s is %s: %s %s needs %s", c.Name, orNone(c.Right), r.Method, r.URL.Path, need)
	}
	if c.Deployments == nil || need == crowbar.RightViewer {
		return nil
	}
	if !slices.Contains(homed, kindIn(pattern)) { // whatever deployment the request names
		return fmt.Errorf("%s may change %s alone: %s %s is about all of them", c.Name, orNone(crowbar.Right(strings.Join(c.Deployments, ", "))), r.Method, r.URL.Path)
	}
	all, err := a.deploymentsOf(r, pattern)
	if err != nil {
		return fmt.Errorf("%s may change %s alone: %w", c.Name, strings.Join(c.Deployments, ", "), err)
	}
	for _, d := range all {
		if !a.Engine.View().Below(d, c.Deployments) {
			return fmt.Errorf("%s may change %s alone", c.Name, strings.Join(c.Deployments, ", "))
		}
	}
	return nil
}

func orNone(r crowbar.Right) string {
	if r == "" {
		return "nobody"
	}
	return string(r)
}

type home struct {
	kind crowbar.Kind
	keys []string
}

// homes are the keys by which a request names what lies in a deployment.
var homes = []home{
	{crowbar.KindDeployment, []string{"deployment_id", "deployment", "parent_id", "parent"}},
	{crowbar.KindNode, []string{"node_id", "node"}},
	{crowbar.KindNetwork, []string{"network_id", "network"}},
	{crowbar.KindRange, []string{"network_range_id", "network_range"}},
}

// deploymentsOf is the deployments that a request changes something in: that of the object in its path, and those of all
// that its body names. Moving a node is left to those whose right is not limited.
func (a *API) deploymentsOf(r *http.Request, pattern string) ([]crowbar.ID, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, unread(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	peek := r.Clone(r.Context())
	peek.Body = io.NopCloser(bytes.NewReader(b))
	p, err := read(peek)
	if r.Method == http.MethodPatch {
		p, err = params{}, sameHome(b)
	}
	if err != nil {
		return nil, err
	}
	var out []crowbar.ID
	s := a.Engine.View()
	add := func(k crowbar.Kind, key string) error {
		id, err := homeOf(s, k, key)
		out = append(out, id)
		return err
	}
	_, path, _ := strings.Cut(pattern, " ")
	parts := strings.Split(strings.TrimPrefix(path, "/api/v2/"), "/")
	if kind := crowbar.Kind(parts[0]); len(parts) > 1 && parts[1] == "{id}" {
		if kind == crowbar.KindNode && (p["deployment"] != nil || p["deployment_id"] != nil) {
			return nil, fmt.Errorf("moving a node takes a right that is not limited")
		}
		if err := add(kind, keyIn(r)); err != nil {
			return nil, err
		}
	}
	for _, h := range homes {
		for _, key := range h.keys {
			if _, tree := p[key].(map[string]any); p[key] == nil || tree { // a tree is a form of OpenCrowbar's pages
				continue
			}
			if err := add(h.kind, text(p[key])); err != nil {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("say which deployment")
	}
	return out, nil
}

// sameHome refuses a JSON patch that says anew where its object belongs.
func sameHome(b []byte) error {
	var ops []struct {
		Path string `json:"path"`
	}
	if err := json.Unmarshal(b, &ops); err != nil {
		return fmt.Errorf("the patch cannot be read: %w", err)
	}
	for _, op := range ops {
		word, _, _ := strings.Cut(strings.TrimPrefix(op.Path, "/"), "/")
		if word == "" || slices.ContainsFunc(homes, func(h home) bool { return slices.Contains(h.keys, word) }) {
			return fmt.Errorf("a patch of %q takes a right that is not limited", op.Path)
		}
	}
	return nil
}

// homeOf is the deployment of an object.
func homeOf(s *crowbar.Snapshot, k crowbar.Kind, key string) (crowbar.ID, error) {
	o, err := find(s, k, key)
	if err != nil {
		return 0, err
	}
	switch o := o.(type) {
	case *crowbar.Deployment:
		return o.ID, nil
	case *crowbar.Node:
		return o.Deployment, nil
	case *crowbar.NodeRole:
		return o.Deployment, nil
	case *crowbar.DeploymentRole:
		return o.Deployment, nil
	case *crowbar.Network:
		return o.Deployment, nil
	case *crowbar.Range:
		return networkHome(s, o.Network), nil
	case *crowbar.Router:
		return networkHome(s, o.Network), nil
	case *crowbar.Allocation:
		return networkHome(s, o.Network), nil
	case *crowbar.Hammer:
		if n := s.Node(o.Node); n != nil {
			return n.Deployment, nil
		}
	}
	return 0, fmt.Errorf("%s are nobody's alone", k)
}

func networkHome(s *crowbar.Snapshot, network crowbar.ID) crowbar.ID {
	if n := s.Network(network); n != nil {
		return n.Deployment
	}
	return 0
}

// certified is the caller that a client certificate names: the user whose name is its common name.
func (a *API) certified(r *http.Request) (crowbar.Caller, bool) {
	name := r.TLS.VerifiedChains[0][0].Subject.CommonName
	if name == "" {
		return crowbar.Caller{}, false
	}
	c, ok := a.Users.Caller(name)
	c.Via = "certificate"
	return c, ok
}

func unescaped(segment string) string {
	if v, err := url.PathUnescape(segment); err == nil {
		return v
	}
	return segment
}
