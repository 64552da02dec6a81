package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// BenchmarkOpen is the loading of a state of 20,000 node-roles with two runs each, which a daemon does when it starts.
func BenchmarkOpen(b *testing.B) {
	srv, err := embedded.Start(b.Context(), embedded.Config{Dir: b.TempDir(), Unsafe: true})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	s, err := store.Open(b.Context(), srv.Store())
	if err != nil {
		b.Fatal(err)
	}
	var all []crowbar.Change
	now := time.Now()
	for i := range crowbar.ID(20_000) {
		id, node := 10+3*i, 1+i/20
		all = append(all, crowbar.Change{Put: &crowbar.NodeRole{ID: id, Deployment: 1, Node: node, Role: 2 + i%20, State: crowbar.Active, Available: true, Cohort: int(i % 20), RunCount: 2, Attempt: 2, Run: id + 2,
			Given: "2:0123456789abcdef0123456789abcdef", Wall: crowbar.Data{"port": 2379.0}, Parents: []crowbar.Link{{ID: id - 3}, {ID: id - 6}}, Since: now, Stamps: crowbar.Stamps{CreatedAt: now, UpdatedAt: now}}})
		for k := range crowbar.ID(2) {
			all = append(all, crowbar.Change{Put: &crowbar.Run{ID: id + 1 + k, NodeRole: id, Node: node, Role: 2 + i%20, Deployment: 1, Attempt: uint64(k + 1), Started: now, Finished: now, Outcome: "unchanged", Owner: fmt.Sprint("daemon-", k)}})
		}
	}
	if err := s.Commit(b.Context(), 0, all...); err != nil {
		b.Fatal(err)
	}
	s.Close()
	b.ResetTimer()
	for b.Loop() {
		s, err := store.Open(b.Context(), srv.Store())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(all)), "µs/object")
}
