package k8smaster

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// API servers that serve are restarted one after another: a lease in the cluster itself says whose turn it is.
const (
	leases   = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
	turnName = "kubeclamp-master-restart"
	turnLong = 4 * time.Minute  // after which a holder that does not release counts as dead
	turnWait = 10 * time.Minute // for one's turn
)

type lease struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Metadata   leaseMeta `json:"metadata"`
	Spec       leaseSpec `json:"spec"`
}

type leaseMeta struct {
	Name            string `json:"name"`
	ResourceVersion string `json:"resourceVersion,omitempty"`
}

type leaseSpec struct {
	Holder  string    `json:"holderIdentity"`
	Seconds int       `json:"leaseDurationSeconds"`
	Renewed time.Time `json:"renewTime"`
}

// free says whether the lease may be taken.
func (l lease) free(me string, now time.Time) bool {
	return l.Spec.Holder == "" || l.Spec.Holder == me || now.After(l.Spec.Renewed.Add(time.Duration(l.Spec.Seconds)*time.Second))
}

// restarts says whether the changes stop an API server that runs.
func restarts(changes []role.Change) bool {
	return slices.ContainsFunc(changes, func(c role.Change) bool { return c.What == "unit" && c.Name == apiserver && c.Do == "restart" })
}

// takeTurn waits until no other master restarts its API server, and holds them off until the turn is given back.
func takeTurn(ctx context.Context, on role.Target, api *kube.Client) error {
	on.Logf("wait for this master's turn to restart its API server")
	return role.Await(ctx, "the other masters to end their restarts", turnWait, func(ctx context.Context) (bool, error) {
		var l lease
		err := api.Do(ctx, http.MethodGet, leases+"/"+turnName, nil, &l)
		if err != nil && kube.Code(err) != http.StatusNotFound {
			return false, err
		}
		if !l.free(on.Node, time.Now()) {
			return false, fmt.Errorf("it is the turn of %s", l.Spec.Holder)
		}
		err = writeTurn(ctx, api, l.Metadata.ResourceVersion, on.Node)
		if kube.Code(err) == http.StatusConflict { // another was faster
			return false, err
		}
		return err == nil, err
	})
}

func writeTurn(ctx context.Context, api *kube.Client, version, me string) error {
	l := lease{APIVersion: "coordination.k8s.io/v1", Kind: "Lease", Metadata: leaseMeta{Name: turnName, ResourceVersion: version},
		Spec: leaseSpec{Holder: me, Seconds: int(turnLong.Seconds()), Renewed: time.Now().UTC().Truncate(time.Microsecond)}}
	if version == "" {
		return api.Do(ctx, http.MethodPost, leases, l, nil)
	}
	return api.Do(ctx, http.MethodPut, leases+"/"+turnName, l, nil)
}

// giveTurn lets the next master go on.
func giveTurn(ctx context.Context, on role.Target, api *kube.Client) {
	if err := api.Do(ctx, http.MethodDelete, leases+"/"+turnName, nil, nil); err != nil && kube.Code(err) != http.StatusNotFound {
		on.Logf("the next master's restart waits until %s have passed: %v", turnLong, err)
	}
}
