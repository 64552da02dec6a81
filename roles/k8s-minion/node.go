package k8sminion

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// node is as much of a Node object as this role cares for.
type node struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Unschedulable bool    `json:"unschedulable"`
		Taints        []taint `json:"taints"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
		NodeInfo   struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
	Added  string `json:"timeAdded,omitempty"`
}

type condition struct {
	Type, Status, Reason, Message string
}

// leaving marks a node that this role takes off the cluster; pods without a word on it go.
var leaving = taint{Key: "kubeclamp.io/leaving", Effect: "NoExecute"}

func nodePath(name string) string { return "/api/v1/nodes/" + name }

func (n node) leaves() bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t taint) bool { return t.Key == leaving.Key })
}

// ready is nil when the node may run pods, and else says why not, in the kubelet's words.
func (n node) ready() error {
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" {
			if c.Status == "True" {
				return nil
			}
			return fmt.Errorf("%s: %s", c.Reason, c.Message)
		}
	}
	return errors.New("the kubelet has not said yet how the node is")
}

// ownClient reaches the API the way that the kubelet does: through the balancer on the node, with the kubelet's certificate.
func ownClient(on role.Target, s settings) (*kube.Client, error) {
	return kube.New(on.Conn, kube.Leaf{Cert: s.Kubelet.Cert, Key: s.Kubelet.Key, CA: s.CA}, s.Pool, s.balancer())
}

// adminClient reaches the API servers themselves with all rights. Its key is used here and is never on the node.
func adminClient(on role.Target, s settings) (*kube.Client, error) {
	return kube.New(on.Conn, kube.Leaf{Cert: s.Admin.Cert, Key: s.Admin.Key, CA: s.CA}, s.Pool, s.Masters...)
}

// awaitReady waits until the API says that the node is ready. After a change the kubelet itself is asked first: what the
// API says may be from before.
func awaitReady(ctx context.Context, on role.Target, s settings, changed bool) (node, error) {
	if changed {
		if err := awaitKubelet(ctx, on, s); err != nil {
			return node{}, err
		}
	}
	api, err := ownClient(on, s)
	if err != nil {
		return node{}, err
	}
	defer api.Close()
	var n node
	err = role.Await(ctx, "node "+on.Node+" to be Ready", 3*time.Minute, func(ctx context.Context) (bool, error) {
		n = node{}
		err := api.Do(ctx, http.MethodGet, nodePath(on.Node), nil, &n)
		if err == nil {
			err = n.ready()
		}
		return err == nil, err
	})
	return n, err
}

// awaitKubelet asks the kubelet's own port as an API server would: certificate, authentication and authorization included.
func awaitKubelet(ctx context.Context, on role.Target, s settings) error {
	if s.Admin == (kube.Leaf{}) {
		return nil // nobody here may ask it; what the API says has to do
	}
	k, err := kube.New(on.Conn, kube.Leaf{Cert: s.Admin.Cert, Key: s.Admin.Key, CA: s.CA}, s.Address, s.hostPort(10250))
	if err != nil {
		return err
	}
	defer k.Close()
	return role.Await(ctx, "the kubelet on "+on.Node, 2*time.Minute, func(ctx context.Context) (bool, error) {
		err := k.Do(ctx, http.MethodGet, "/healthz", nil, nil)
		return err == nil, err
	})
}

// welcome takes back what an upgrade, or a Remove that died half-way, left on the Node object.
func welcome(ctx context.Context, on role.Target, s settings, n node) error {
	if s.Admin == (kube.Leaf{}) {
		return crowbar.Errorf(crowbar.Invalid, "node %s was being taken off the cluster, and it cannot be let back from here: run `kubectl uncordon %[1]s` and `kubectl taint node %[1]s %s-` on a master", on.Node, leaving.Key)
	}
	api, err := adminClient(on, s)
	if err != nil {
		return err
	}
	defer api.Close()
	keep := slices.DeleteFunc(slices.Clone(n.Spec.Taints), func(t taint) bool {
		return t.Key == upgrading.Key || n.leaves() && (t.Key == leaving.Key || t.Key == "node.kubernetes.io/unschedulable")
	})
	if err := mark(ctx, api, n, n.Spec.Unschedulable && !n.leaves(), keep); err != nil {
		return fmt.Errorf("let pods back on node %s: %w", on.Node, err)
	}
	return nil
}

// mark sets whether pods may be put on a node, and its taints, unless the Node object has moved since it was read.
func mark(ctx context.Context, api *kube.Client, n node, unschedulable bool, taints []taint) error {
	if taints == nil {
		taints = []taint{}
	}
	patch := map[string]any{
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion},
		"spec":     map[string]any{"unschedulable": unschedulable, "taints": taints},
	}
	return api.Do(ctx, http.MethodPatch, nodePath(n.Metadata.Name), patch, nil)
}
