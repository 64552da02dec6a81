package crowbar

import (
	"fmt"
	"maps"
	"testing"
	"time"
)

// BenchmarkApply: one node-role of many changes. The naive way, a copy of one map, is measured in the same run; x-naive says
// how many times longer it takes, x-smallest how much longer Apply itself takes than in the smallest state.
func BenchmarkApply(b *testing.B) {
	smallest := 0.0
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("objects=%d", n), func(b *testing.B) {
			s := NewSnapshot()
			plain := make(map[ID]Object, n)
			changes := make([]Change, n)
			for i := range n {
				nr := &NodeRole{ID: ID(i + 1), Node: ID(i/10 + 1), Role: ID(i%10 + 1), Deployment: 1}
				changes[i], plain[nr.ID] = Change{Put: nr}, nr
			}
			s = s.Apply(1, changes...)
			each := func(i int) *NodeRole {
				nr := *s.NodeRole(ID(i*7919%n + 1))
				nr.Attempt++
				return &nr
			}
			naive := time.Duration(1 << 62)
			for i := range 5 {
				start := time.Now()
				next := maps.Clone(plain)
				nr := each(i)
				next[nr.ID] = nr
				naive = min(naive, time.Since(start))
			}
			i := 0
			for b.Loop() {
				s = s.Apply(Rev(i+2), Change{Put: each(i)})
				i++
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if smallest == 0 {
				smallest = took
			}
			b.ReportMetric(float64(naive.Nanoseconds())/took, "x-naive")
			b.ReportMetric(took/smallest, "x-smallest")
		})
	}
}
