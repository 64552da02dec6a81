package kube

import "testing"

func TestTaintsOfNodes(t *testing.T) {
	got := taints([]byte(`{"items":[
 {"metadata":{"name":"n1"},"spec":{"taints":[{"key":"node.kubernetes.io/disk-pressure","effect":"NoSchedule"},{"key":"soft","effect":"PreferNoSchedule"}]}},
 {"metadata":{"name":"n2"},"spec":{}},
 {"metadata":{"name":"n3"},"spec":{"taints":[{"key":"mine","effect":"NoExecute"}]}}]}`))
	want := "node n1 takes no pods: taint node.kubernetes.io/disk-pressure (its disk is nearly full: make room, or lower attrib k8s-minion-eviction)\nnode n3 takes no pods: taint mine"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := taints([]byte("no")); got != "" {
		t.Errorf("of what is no list: %q", got)
	}
}
