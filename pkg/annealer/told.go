package annealer

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// longestTold is how many bytes of a value a log tells.
const longestTold = 300

// told writes what a run was given, or gave back, as one line of the log: what is secret by its name alone, what is long by its
// beginning.
func (l *runLog) told(word string, d crowbar.Data, secret []string) {
	if len(d) == 0 {
		return
	}
	out := make(crowbar.Data, len(d))
	for name, v := range d {
		if slices.Contains(secret, name) || crowbar.HasSealed(v) {
			out[name] = hidden
			continue
		}
		b, err := json.Marshal(v)
		if err != nil {
			continue // it is no attrib, which are all JSON
		}
		if out[name] = v; len(b) > longestTold {
			b = b[:longestTold]
			for !utf8.Valid(b) {
				b = b[:len(b)-1]
			}
			out[name] = string(b) + "…"
		}
	}
	if b, err := json.Marshal(out); err == nil {
		l.line("%s %s", word, b)
	}
}
