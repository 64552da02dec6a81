package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// kubeconfig answers with a kubeconfig of the deployment's administrator. It dials the first master that serves by its
// address and checks it by the pool's name, so that it works where the pool's name is not (yet) resolved.
func (a *API) kubeconfig(w http.ResponseWriter, r *http.Request) {
	b, err := a.makeKubeconfig(r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(b)
}

func (a *API) makeKubeconfig(r *http.Request) ([]byte, error) {
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindDeployment, r)
	if err != nil {
		return nil, err
	}
	role := s.RoleNamed("k8s-master")
	if role == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "no role k8s-master is imported")
	}
	if nr := serving(s, s.NodeRolesOf(id, role.ID)); nr != nil {
		return a.kubeconfigOf(r, s, nr)
	}
	return nil, crowbar.Errorf(crowbar.Conflict, "no k8s-master of deployment %q is active yet: bind one and converge first", s.Deployment(id).Name)
}

// serving is the first that has been applied, one on a node that is up if there is one.
func serving(s *crowbar.Snapshot, masters []*crowbar.NodeRole) *crowbar.NodeRole {
	var down *crowbar.NodeRole
	for _, nr := range masters {
		n := s.Node(nr.Node)
		switch {
		case n == nil || !nr.Settled():
		case n.Alive:
			return nr
		case down == nil:
			down = nr
		}
	}
	return down
}

func (a *API) kubeconfigOf(r *http.Request, s *crowbar.Snapshot, nr *crowbar.NodeRole) ([]byte, error) {
	value, err := a.Engine.Reveal(r.Context(), nr.ID, "k8s-master-admin-leaf")
	if err != nil {
		return nil, err
	}
	leaf, _ := value.(map[string]any)
	text := func(k string) string { v, _ := leaf[k].(string); return base64.StdEncoding.EncodeToString([]byte(v)) }
	attr := map[string]any{}
	for _, n := range []string{"kubernetes-cluster-name", "kubernetes-pool-name", "kubernetes-api-port"} {
		if attr[n], err = a.Engine.AttribIn(crowbar.KindDeployment, nr.Deployment, n, "all"); err != nil {
			return nil, err
		}
	}
	name := fmt.Sprint(attr["kubernetes-cluster-name"])
	user := name + "-admin"
	type m = map[string]any
	doc := m{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []m{{"name": name, "cluster": m{"server": "https://" + net.JoinHostPort(s.Node(nr.Node).Address, fmt.Sprint(attr["kubernetes-api-port"])),
			"tls-server-name": attr["kubernetes-pool-name"], "certificate-authority-data": text("ca")}}},
		"users":    []m{{"name": user, "user": m{"client-certificate-data": text("cert"), "client-key-data": text("key")}}},
		"contexts": []m{{"name": name, "context": m{"cluster": name, "user": user}}},
	}
	return json.MarshalIndent(doc, "", "  ")
}
