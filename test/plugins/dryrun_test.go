package plugins

import (
	"context"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// watched is a jig that keeps what reaches its nodes.
type watched struct {
	jig.Jig
	mu   sync.Mutex
	seen []string
}

func (w *watched) Dial(ctx context.Context, n *crowbar.Node) (jig.Conn, error) {
	c, err := w.Jig.Dial(ctx, n)
	return watchedConn{c, w}, err
}

func (w *watched) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, what)
}

type watchedConn struct {
	jig.Conn
	w *watched
}

func (c watchedConn) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	c.w.note("exec " + cmd.Argv[0] + " dry=" + cmd.Env["KUBECLAMP_DRY_RUN"])
	return c.Conn.Exec(ctx, cmd)
}

func (c watchedConn) Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	c.w.note("put " + path)
	return c.Conn.Put(ctx, path, mode, r)
}

// TestADryRunChangesNothing: a plan is made with the processes of roles that take no notice of the dry run, and of one that
// does. Nothing of what they try reaches a node, and the plan says who tried what, and where in the role's code.
func TestADryRunChangesNothing(t *testing.T) {
	nodes := &watched{Jig: noop.New()}
	w := newWorld(t, nodes, "cheats-by-command", "cheats-by-file", "honest")
	t.Cleanup(func() {
		if err := w.host.Close(); err != nil {
			t.Error(err)
		}
	})
	p, err := w.engine.Foresee(t.Context(), crowbar.PlanFor{Deployment: "d"}, w.ann.Ask)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"cheats-by-command": "^role cheats-by-command runs `touch /cheated`, which does not say that it only reads .*, at bad/main.go:[0-9]+, in its dry run, which was refused",
		"cheats-by-file":    "^role cheats-by-file writes /cheated, at bad/main.go:[0-9]+, in its dry run, which was refused",
		"honest":            "^$",
	}
	for _, s := range p.Steps {
		if want[s.Role] == "" {
			continue // milestones
		}
		if !regexp.MustCompile(want[s.Role]).MatchString(s.Reason) {
			t.Errorf("%s: %s %q", s.Role, s.Outlook, s.Reason)
		}
		delete(want, s.Role)
		if s.Role == "honest" && (len(s.Differences) != 1 || s.Differences[0].Unified != "@@ -1,1 +1,1 @@\n-a\n+b\n" || s.Differences[0].More != 3) {
			t.Errorf("the lines of the difference came as %+v", s.Differences)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the plan: %v", want)
	}
	slices.Sort(nodes.seen)
	if got := slices.Compact(nodes.seen); !slices.Equal(got, []string{"exec /bin/sh dry=1", "exec uname dry=1"}) { // uname is the daemon's own
		t.Errorf("what reached the nodes: %s", strings.Join(got, "; "))
	}
}
