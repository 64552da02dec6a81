package k8sminion

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// cluster is two nodes, n1 with pods of every sort. An eviction or deletion ends its pod; the taint ends the daemon's.
func cluster(t *testing.T) (*kubetest.API, *[]string) {
	api := kubetest.New(t, "pool.test", "198.18.0.11")
	api.Set(nodePath("n1"), ready("n1", "True"))
	api.Set(nodePath("n2"), ready("n2", "True"))
	owned := func(kind string) map[string]any {
		return map[string]any{"namespace": "default", "ownerReferences": []any{map[string]any{"kind": kind, "controller": true}}}
	}
	pods := map[string]map[string]any{"web": owned("ReplicaSet"), "bare": {"namespace": "default"}, "daemon": owned("DaemonSet")}
	for name, meta := range pods {
		api.Set("/api/v1/namespaces/default/pods/"+name, map[string]any{"metadata": meta, "status": map[string]any{"phase": "Running"}})
	}
	var done []string
	api.Hook = func(w http.ResponseWriter, r *http.Request) bool {
		if p, ok := strings.CutSuffix(r.URL.Path, "/eviction"); ok {
			done = append(done, "evict "+p[strings.LastIndexByte(p, '/')+1:])
			api.Drop(p)
			json.NewEncoder(w).Encode(map[string]any{})
			return true
		}
		if r.Method == http.MethodDelete {
			done = append(done, "delete "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		}
		if n := api.Get(nodePath("n1")); n != nil {
			if b, _ := json.Marshal(n); strings.Contains(string(b), leaving.Key) {
				api.Drop("/api/v1/namespaces/default/pods/daemon")
			}
		}
		return false
	}
	return api, &done
}

func remove(t *testing.T, api *kubetest.API) {
	t.Helper()
	on := onNode(roletest.NewNode(), api, attribs(t, api))
	if err := New().(role.Remover).Remove(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if api.Get(nodePath("n1")) != nil {
		t.Error("the node is still in the cluster")
	}
}

func TestDrainEvictsWhatCanLiveElsewhere(t *testing.T) {
	api, done := cluster(t)
	remove(t, api)
	slices.Sort(*done)
	if got := strings.Join(*done, ", "); got != "delete n1, evict bare, evict web" {
		t.Errorf("did %s", got)
	}
}

func TestDrainOfTheLastNodeDoesNotWaitForBudgets(t *testing.T) {
	api, done := cluster(t)
	api.Drop(nodePath("n2"))
	remove(t, api)
	slices.Sort(*done)
	if got := strings.Join(*done, ", "); got != "delete bare, delete n1, delete web" {
		t.Errorf("did %s", got)
	}
}

func TestRemoveIsRunAgain(t *testing.T) {
	api, _ := cluster(t)
	remove(t, api)
	remove(t, api)
}

func TestRemoveWithoutAnAPIServer(t *testing.T) {
	api := kubetest.New(t, "pool.test")
	on := onNode(roletest.NewNode(), api, attribs(t, api))
	api.Hook = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := New().(role.Remover).Remove(ctx, on); crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "unbind the masters first") {
		t.Errorf("error is %v", err)
	}
	on.Peers = nil // no masters: nothing to be taken out of
	if err := New().(role.Remover).Remove(t.Context(), on); err != nil {
		t.Error(err)
	}
}
