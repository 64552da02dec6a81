package embedded_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// BenchmarkCommit commits one node-role of ten thousand, and puts the same bytes under one key with the bare client by
// turns, on the same server. p50-ms is the commit's median, x-put how many times a put's median that is.
func BenchmarkCommit(b *testing.B) {
	srv, err := embedded.Start(b.Context(), embedded.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { srv.Close() })
	s, err := store.Open(b.Context(), srv.Store())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	many := make([]crowbar.Change, 10_000)
	for i := range many {
		many[i].Put = &crowbar.NodeRole{ID: crowbar.ID(i + 1), Node: crowbar.ID(i/10 + 1), Role: crowbar.ID(i%10 + 1), Deployment: 1}
	}
	if err := s.Commit(b.Context(), s.View().Rev(), many...); err != nil {
		b.Fatal(err)
	}
	var ours, bare []time.Duration
	i := 0
	for b.Loop() {
		nr := *s.View().NodeRole(crowbar.ID(i*7919%len(many) + 1))
		nr.Attempt++
		text, err := json.Marshal(nr)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if _, err := srv.Client().Put(b.Context(), fmt.Sprintf("/bench/%d", nr.ID), string(text)); err != nil {
			b.Fatal(err)
		}
		put := time.Now()
		if err := s.Commit(b.Context(), s.View().Rev(), crowbar.Change{Put: &nr}); err != nil {
			b.Fatal(err)
		}
		bare, ours = append(bare, put.Sub(start)), append(ours, time.Since(put))
		i++
	}
	slices.Sort(ours)
	slices.Sort(bare)
	p50 := ours[len(ours)/2]
	b.ReportMetric(float64(p50.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(p50)/float64(bare[len(bare)/2]), "x-put")
}
