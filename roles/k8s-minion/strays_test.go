package k8sminion

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestStrays(t *testing.T) {
	api, n := kubetest.New(t, "pool.test", "198.18.0.11"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	on.Peers = append(on.Peers[:len(on.Peers):len(on.Peers)], role.Peer{Role: "k8s-minion", Node: "n2", Address: "198.18.0.12", Settled: true},
		role.Peer{Role: "k8s-minion", Node: "n3", Address: "198.18.0.13", State: crowbar.Todo}, role.Peer{Role: "k8s-minion", Node: "n6", Settled: true})
	for name, status := range map[string]string{"n1": "True", "n2": "Unknown", "n4": "Unknown", "n5": "True"} {
		api.Set(nodePath(name), ready(name, status))
	}
	ask := func() []role.Stray {
		t.Helper()
		found, err := roletest.Strays(t, New(), on)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	names := func(found []role.Stray) string {
		var out []string
		for _, x := range found {
			out = append(out, strings.TrimSpace(x.Node+" "+string(x.Mend)))
		}
		return strings.Join(out, ", ")
	}
	if got := names(ask()); got != "n4 forget, n5, n6" {
		t.Errorf("found %q", got)
	}
	if len(api.Log) > 0 {
		t.Errorf("it changed %v", api.Log)
	}
	if _, err := New().(role.Actor).Act(t.Context(), on, role.Action{Name: role.Forget, Args: crowbar.Data{"node": "n4", "address": ""}}); err != nil {
		t.Fatal(err)
	}
	if got := names(ask()); got != "n5, n6" {
		t.Errorf("afterwards %q", got)
	}
	api.Hook = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}
	if _, err := roletest.Strays(t, New(), on); err == nil || !strings.Contains(err.Error(), "list the Nodes") {
		t.Errorf("where the API fails: %v", err)
	}
}
