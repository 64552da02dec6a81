package graph

import (
	"fmt"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestShare: the nodes are spread evenly; when a daemon goes, its nodes alone change hands.
func TestShare(t *testing.T) {
	const nodes = 3000
	owners := []string{"kc1-5f0a9b2c", "kc2-11d97e03", "kc3-c0ffee00"}
	count, left := map[string]int{}, map[string]int{}
	for n := crowbar.ID(1); n <= nodes; n++ {
		had := Share(owners, n)
		count[had]++
		now := Share(owners[:2], n)
		left[now]++
		if had != owners[2] && now != had {
			t.Errorf("node %d went from %s to %s", n, had, now)
		}
	}
	if got := fmt.Sprint(len(count), len(left)); got != "3 2" {
		t.Fatal(count, left)
	}
	for o, n := range count {
		if n < nodes/3*85/100 || n > nodes/3*115/100 {
			t.Errorf("%s has %d of %d nodes", o, n, nodes)
		}
	}
	if Share(nil, 1) != "" || Share(owners[:1], 7) != owners[0] {
		t.Error("none, or one")
	}
}
