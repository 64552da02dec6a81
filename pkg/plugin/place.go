package plugin

import (
	"path"
	"runtime"
	"strconv"
	"strings"
)

// Placed is what a target's Conn or Artifacts may be as well, in the daemon: who is told from where in the role's code the
// next calls come, as file:line.
type Placed[T any] interface{ At(place string) T }

// at tells on, if it listens, where in the role's code a call comes from.
func at[T any](on T, place string) T {
	if p, ok := any(on).(Placed[T]); ok && place != "" {
		return p.At(place)
	}
	return on
}

// ours is the code through which a role reaches its node: the line above it is the role's own.
const ours = "github.com/kubeclamp/kubeclamp/pkg/"

// place is where in the role's code a call of a dry run comes from that is going to be refused; "" in all others.
func (h *hands) place(reads bool) string {
	if !h.dry || reads {
		return ""
	}
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if f.File != "" && !strings.HasPrefix(f.Function, ours) {
			return path.Join(path.Base(path.Dir(f.File)), path.Base(f.File)) + ":" + strconv.Itoa(f.Line)
		}
		if !more {
			return ""
		}
	}
}
