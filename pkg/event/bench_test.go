package event

import (
	"fmt"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// BenchmarkOf tells a commit that changes twenty thousand node-roles.
func BenchmarkOf(b *testing.B) {
	var all, next []crowbar.Change
	all = append(all, put(&crowbar.Deployment{ID: 1, Name: "k8s", Stored: crowbar.DeploymentCommitted}, &crowbar.Role{ID: 2, Name: "etcd"})...)
	for i := range crowbar.ID(1000) {
		all = append(all, put(&crowbar.Node{ID: i + 10, Name: fmt.Sprintf("n%d.example.org", i), Deployment: 1})...)
	}
	for i := range crowbar.ID(20000) {
		nr := crowbar.NodeRole{ID: i + 2000, Deployment: 1, Node: 10 + i%1000, Role: 2, State: crowbar.Proposed}
		if i >= 1000 { // twenty on each node, one after the other
			nr.Parents = []crowbar.Link{{ID: i - 1000 + 2000}}
		}
		on := nr
		on.State = crowbar.Blocked
		all, next = append(all, crowbar.Change{Put: &nr}), append(next, crowbar.Change{Put: &on})
	}
	was := crowbar.NewSnapshot().Apply(1, all...)
	m := crowbar.Moved{Was: was, Now: was.Apply(2, next...)}
	for b.Loop() {
		if len(Of(m)) != 20000 {
			b.Fatal("some are missing")
		}
	}
}
