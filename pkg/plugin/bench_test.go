package plugin

import (
	"os"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// BenchmarkApply: one run of a role that only looks at its target, in its own process, with a hundred peers. x-inside is how
// many times a run in this process that takes; a real run reads a node at least, which takes milliseconds.
func BenchmarkApply(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	h := NewHost(Config{Shipped: self, SocketDir: b.TempDir()})
	b.Cleanup(func() { _ = h.Close() })
	far, err := h.Role(b.Context(), "mirror")
	if err != nil {
		b.Fatal(err)
	}
	near := testRoles["mirror"]()
	on := role.Target{Node: "n1", Address: "10.0.0.1", Deployment: "k8s", Conn: &fake{}, Attribs: crowbar.Data{"a": "x", "n": 1.5, "l": []any{"y", true}}, Log: func(string, ...any) {}}
	for range 100 {
		on.Peers = append(on.Peers, role.Peer{Role: "etcd", Node: "n2", Address: "10.0.0.2", Wall: crowbar.Data{"w": "v"}})
	}
	const times = 200
	start := time.Now()
	for range times {
		if _, err := near.Apply(b.Context(), on); err != nil {
			b.Fatal(err)
		}
	}
	inside := float64(time.Since(start).Nanoseconds()) / times
	for b.Loop() {
		if _, err := far.Apply(b.Context(), on); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/max(1, inside), "x-inside")
}
