package annealer

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// conns keeps the connection to each node between its runs, for a while.
type conns struct {
	linger time.Duration
	mu     sync.Mutex
	idle   map[crowbar.ID]*dialled
}

// dialled is a connection and what it was made with.
type dialled struct {
	conn   jig.Conn
	redial func(ctx context.Context) (jig.Conn, error) // nil for one that is new
	node   crowbar.ID
	way    way
	end    *time.Timer
}

// way is what must be the same for a connection to serve again.
type way struct {
	jig, address string
	ssh          crowbar.SSH
}

func newConns(linger time.Duration) *conns {
	return &conns{linger: linger, idle: map[crowbar.ID]*dialled{}}
}

// take gives the idle connection to a node, or makes one.
func (c *conns) take(ctx context.Context, name string, j jig.Jig, n *crowbar.Node) (d *dialled, err error) {
	w := way{name, n.Address, n.SSH} // with the host key: another one is a reason to ask the jig again, which keeps what fits
	c.mu.Lock()
	d = c.idle[n.ID]
	delete(c.idle, n.ID)
	c.mu.Unlock()
	if d != nil {
		d.end.Stop()
		if d.way == w {
			d.redial = func(ctx context.Context) (jig.Conn, error) {
				conn, err := j.Dial(ctx, n)
				if err == nil {
					d.conn.Close()
					d.conn = conn
				}
				return conn, err
			}
			return d, nil
		}
		d.conn.Close()
	}
	conn, err := j.Dial(ctx, n)
	if err != nil {
		return nil, err
	}
	return &dialled{conn: conn, node: n.ID, way: w}, nil
}

// put gives a connection back; a broken one is closed.
func (c *conns) put(d *dialled, broken bool) {
	if broken {
		d.conn.Close()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle[d.node] = d
	d.end = time.AfterFunc(c.linger, func() {
		c.mu.Lock()
		mine := c.idle[d.node] == d
		if mine {
			delete(c.idle, d.node)
		}
		c.mu.Unlock()
		if mine {
			d.conn.Close()
		}
	})
}

func (c *conns) closeAll() {
	c.mu.Lock()
	idle := c.idle
	c.idle = map[crowbar.ID]*dialled{}
	c.mu.Unlock()
	for _, d := range idle {
		d.end.Stop()
		d.conn.Close()
	}
}

// reach connects to the node, and finds out its architecture the first time.
func (a *Annealer) reach(ctx context.Context, w *crowbar.Work, name string, j jig.Jig, log *runLog) (*dialled, *crowbar.Node, error) {
	began := time.Now()
	d, err := a.conns.take(ctx, name, j, &w.Node)
	if err != nil {
		log.line("connect by jig %s: %s", name, err)
		return nil, nil, fmt.Errorf("reach node %s: %w", w.Node.Short(), err)
	}
	if d.redial == nil {
		log.line("connected by jig %s in %s", name, since(began))
	}
	node := w.Node
	if node.Arch != "" || node.System || name == "noop" {
		return d, &node, nil
	}
	machine, err := jig.Run(ctx, d.conn, jig.Cmd{Argv: []string{"uname", "-m"}})
	if err != nil {
		d.conn.Close()
		return nil, nil, fmt.Errorf("find out the architecture of node %s: %w", node.Short(), err)
	}
	node.Arch = goarch(strings.TrimSpace(machine))
	log.line("the node's architecture is %s", node.Arch)
	if _, err := a.Engine.UpdateNode(ctx, node.ID, func(n *crowbar.Node) error { n.Arch = node.Arch; return nil }); err != nil {
		a.Log.Warn("the node's architecture is recorded at its next run", "node", node.Name, "error", err)
	}
	return d, &node, nil
}

func goarch(machine string) string {
	switch machine {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "armv7l":
		return "arm"
	case "i686":
		return "386"
	}
	return machine
}
