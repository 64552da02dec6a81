package k8smaster

import (
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

func TestStrays(t *testing.T) {
	api, n := kubetest.New(t, "pool.test"), roletest.NewNode()
	on := onNode(n, api, attribs(t, api))
	on.Peers = append(on.Peers, role.Peer{Role: "k8s-master", Node: "n1", Settled: true})
	put := func(name, host string, ago time.Duration) {
		api.Set(leases+"/"+name, map[string]any{"metadata": map[string]any{"labels": map[string]any{identity: "kube-apiserver", hostname: host}},
			"spec": map[string]any{"renewTime": time.Now().Add(-ago).UTC().Format("2006-01-02T15:04:05.000000Z07:00")}})
	}
	put("apiserver-1", "n1", 0)
	put("apiserver-2", "n2", time.Hour) // a master, however it is
	put("apiserver-8", "n8", 10*time.Minute)
	put("apiserver-9", "n9", 5*time.Second)
	api.Set(leases+"/kube-scheduler", map[string]any{"spec": map[string]any{"holderIdentity": "n7_1"}})
	found, err := roletest.Strays(t, New(), on)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range found {
		got = append(got, strings.TrimSpace(x.Name+" "+x.Node+" "+string(x.Mend)))
	}
	if s := strings.Join(got, ", "); s != "apiserver-8 n8 forget, apiserver-9 n9" {
		t.Errorf("found %q", s)
	}
	if len(api.Log) > 0 {
		t.Errorf("it changed %v", api.Log)
	}
}
