package annealer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// fence keeps an older attempt of a node-role from changing a node on which a newer one has been: an orphaned plugin, or a
// daemon that does not know yet that it is no longer the one.
type fence struct {
	name    string // of the node-role, never used for another one
	attempt uint64

	mu     sync.Mutex
	passed bool
	seen   time.Time // when it was made, or last gone through
	always bool      // it is asked before every change
}

// stall is how long a pause between two changes may be: less than a daemon's hold lasts. After a longer one, in which
// another daemon may have taken this one's place, the node is asked before every change.
const stall = 3 * time.Second

// newFence is the fence of a run; nil where there is nothing to fence.
func newFence(w *crowbar.Work, jigName string) *fence {
	if w.Node.System || jigName != "ssh" && jigName != "local" && jigName != "script" {
		return nil
	}
	// The time is part of the name: a daemon whose state was lost counts from one again.
	return &fence{name: fmt.Sprintf("%d-%d", w.NodeRole.ID, w.NodeRole.CreatedAt.UnixNano()), attempt: w.Attempt, seen: time.Now()}
}

// String is what commands find in KUBECLAMP_FENCE.
func (f *fence) String() string { return f.name + ":" + strconv.FormatUint(f.attempt, 10) }

// fenceScript ends with 75 where a newer attempt has been.
const fenceScript = `set -eu
dir=/var/lib/kubeclamp/fence
mkdir -p "$dir"
chmod 700 "$dir"
exec 9>>"$dir/$1.lock"
flock 9
have=$(cat "$dir/$1" 2>/dev/null || echo 0)
if [ "$have" -gt "$2" ]; then echo "$have"; exit 75; fi
printf '%s\n' "$2" >"$dir/$1.new"
mv -f "$dir/$1.new" "$dir/$1"
`

// guardScript starts a change, unless a newer attempt has been: what a daemon sent before it was frozen or cut off from the
// node, and what its kernel delivers later, is looked at on the node at that moment. $1 is the counter, $2 our attempt.
const guardScript = `{ read -r have <"$1"; } 2>/dev/null || have=0
if [ "${have:-0}" -gt "$2" ]; then echo "` + guardWord + ` $have" >&2; exit 75; fi
shift 2; exec "$@"`

const guardWord = "kubeclamp fence: a newer attempt has been:"

// guard is what each change is started by, where the connection can.
func (f *fence) guard(on jig.Conn) jig.Conn {
	g, ok := on.(jig.Guarded)
	if f == nil || !ok {
		return on
	}
	return g.Under("/bin/sh", "-c", guardScript, "fence", "/var/lib/kubeclamp/fence/"+f.name, strconv.FormatUint(f.attempt, 10))
}

// refused says whether an answer is the guard's.
func (f *fence) refused(text string) error {
	if _, have, ok := strings.Cut(text, guardWord); ok {
		return crowbar.Errorf(crowbar.Conflict, "attempt %s is on the node already, this is attempt %d: it may change nothing any more", strings.TrimSpace(have), f.attempt)
	}
	return nil
}

// pass asks the node: once, or each time after a long pause.
func (f *fence) pass(ctx context.Context, on jig.Conn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.always = f.always || now.Sub(f.seen) >= stall
	f.seen = now
	if f.passed && !f.always {
		return nil
	}
	// gofail: var beforeFence struct{}
	exit, err := on.Exec(ctx, jig.Script(fenceScript, f.name, strconv.FormatUint(f.attempt, 10)))
	switch {
	case err != nil:
		return fmt.Errorf("fence: %w", err)
	case exit.Code == 75:
		return crowbar.Errorf(crowbar.Conflict, "attempt %s is on the node already, this is attempt %d: it may change nothing any more", strings.TrimSpace(string(exit.Stdout)), f.attempt)
	case exit.Code != 0:
		return fmt.Errorf("fence: it ended with %d: %s", exit.Code, strings.TrimSpace(string(exit.Stderr)))
	}
	// gofail: var afterFence struct{}
	f.passed = true
	return nil
}
