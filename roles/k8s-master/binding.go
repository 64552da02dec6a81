package k8smaster

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// group is the organization in the API servers' certificate for kubelets.
const group = "kubeclamp:kubelet-api-admins"

// binding is as much of a ClusterRoleBinding as this role cares for.
type binding struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Metadata   meta      `json:"metadata"`
	RoleRef    ref       `json:"roleRef"`
	Subjects   []subject `json:"subjects"`
}

type meta struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

type ref struct {
	APIGroup string `json:"apiGroup"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

type subject struct {
	APIGroup string `json:"apiGroup"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

func wanted() binding {
	const api = "rbac.authorization.k8s.io"
	return binding{APIVersion: api + "/v1", Kind: "ClusterRoleBinding", Metadata: meta{Name: rule},
		RoleRef: ref{APIGroup: api, Kind: "ClusterRole", Name: "system:kubelet-api-admin"}, Subjects: []subject{{APIGroup: api, Kind: "Group", Name: group}}}
}

func (b binding) right() bool {
	w := wanted()
	return b.RoleRef == w.RoleRef && len(b.Subjects) == 1 && b.Subjects[0] == w.Subjects[0]
}

// grant makes the binding; another master that does the same at the same time is as good. A role reference cannot be
// changed, so a wrong binding is replaced.
func grant(ctx context.Context, api *kube.Client) (changed bool, err error) {
	var have binding
	switch err := api.Do(ctx, http.MethodGet, rules+"/"+rule, nil, &have); {
	case err == nil && have.right():
		return false, nil
	case err == nil:
		if err := api.Do(ctx, http.MethodDelete, rules+"/"+rule, nil, nil); err != nil && kube.Code(err) != http.StatusNotFound {
			return false, fmt.Errorf("replace clusterrolebinding %s: %w", rule, err)
		}
	case kube.Code(err) != http.StatusNotFound:
		return false, fmt.Errorf("read clusterrolebinding %s: %w", rule, err)
	}
	if err := api.Do(ctx, http.MethodPost, rules, wanted(), nil); err != nil && kube.Code(err) != http.StatusConflict {
		return false, fmt.Errorf("create clusterrolebinding %s: %w", rule, err)
	}
	return true, nil
}
