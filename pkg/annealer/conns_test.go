package annealer

import (
	"context"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// counting counts connections.
type counting struct{ dials int }

func (c *counting) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	c.dials++
	return noop.New().Dial(ctx, n)
}

// TestAnotherHostKeyIsAnotherConnection: what was pinned anew is checked at once, not when an idle connection has gone.
func TestAnotherHostKeyIsAnotherConnection(t *testing.T) {
	c, j := newConns(time.Minute), &counting{}
	defer c.closeAll()
	n := &crowbar.Node{ID: 1, Name: "n1", Address: "10.0.0.1", SSH: crowbar.SSH{HostKey: "ssh-ed25519 old"}}
	use := func(want int) {
		t.Helper()
		d, err := c.take(t.Context(), "ssh", j, n)
		if err != nil {
			t.Fatal(err)
		}
		c.put(d, false)
		if j.dials != want {
			t.Errorf("%d connections were made, want %d", j.dials, want)
		}
	}
	use(1)
	use(1)
	n.SSH.HostKey = "ssh-ed25519 new"
	use(2)
	use(2)
}
