package robustness

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// line is one of the record: what a role did in one of its runs.
type line struct {
	what   string // begin, step, end
	daemon string // which life of it
	fence  string // the node-role
	n      uint64 // the attempt
	role   string
	node   string
}

func parseLine(text string) (l line, err error) {
	f := strings.Fields(text)
	if len(f) != 5 {
		return l, fmt.Errorf("%q is no line of the record", text)
	}
	var n string
	l.what, l.daemon, l.role, l.node = f[0], f[1], f[3], f[4]
	l.fence, n, _ = strings.Cut(f[2], ":")
	l.n, err = strconv.ParseUint(n, 10, 64)
	return l, err
}

func (l line) String() string {
	return fmt.Sprintf("attempt %d of %s on %s (daemon %s)", l.n, l.role, l.node, l.daemon)
}

// judge says what is wrong with a record: two runs at once on a node, an attempt twice, an older one after a newer one.
// The first word of a run, its begin, is a look that changes nothing and is not fenced: one of a dead daemon may come late.
func judge(record string) (bad []string) {
	now := map[string]*line{}    // node -> the newest run that began there
	open := map[string]bool{}    // node -> that run has not ended
	begun := map[string]uint64{} // node-role -> its newest attempt
	lives := map[string]int{}    // daemon -> which one it was
	for text := range strings.Lines(record) {
		l, err := parseLine(text)
		if err != nil {
			bad = append(bad, err.Error())
			continue
		}
		if _, known := lives[l.daemon]; !known {
			lives[l.daemon] = len(lives)
		}
		at := now[l.node]
		if l.what == "begin" {
			late := at != nil && lives[l.daemon] < lives[at.daemon]
			if open[l.node] && at.daemon == l.daemon {
				bad = append(bad, fmt.Sprintf("%s begins while %s runs", l, at))
			}
			if l.n <= begun[l.fence] && !late {
				bad = append(bad, fmt.Sprintf("%s begins after attempt %d", l, begun[l.fence]))
			}
			if late {
				continue
			}
			now[l.node], open[l.node], begun[l.fence] = &l, true, l.n
			continue
		}
		if at == nil || *at != (line{"begin", l.daemon, l.fence, l.n, l.role, l.node}) {
			bad = append(bad, fmt.Sprintf("%s does its %s after %s began", l, l.what, at))
		}
		if l.what == "end" {
			open[l.node] = false
		}
	}
	return bad
}

// TestRecord: what the oracle calls wrong, and what not.
func TestRecord(t *testing.T) {
	for name, c := range map[string]struct {
		record string
		bad    int
	}{
		"one after the other": {"begin 1 a:1 r n\nend 1 a:1 r n\nbegin 1 b:1 s n\nend 1 b:1 s n\n", 0},
		"on two nodes":        {"begin 1 a:1 r n\nbegin 1 b:1 r m\nend 1 a:1 r n\nend 1 b:1 r m\n", 0},
		"cut off by a kill":   {"begin 1 a:1 r n\nbegin 2 a:2 r n\nend 2 a:2 r n\n", 0},
		"a late look":         {"begin 1 a:1 r n\nbegin 2 a:3 r n\nbegin 1 a:2 r n\nend 2 a:3 r n\n", 0},
		"two at once":         {"begin 1 a:1 r n\nbegin 1 b:1 s n\n", 1},
		"an attempt twice":    {"begin 1 a:1 r n\nend 1 a:1 r n\nbegin 2 a:1 r n\n", 1},
		"an old one works on": {"begin 1 a:1 r n\nbegin 2 a:2 r n\nend 1 a:1 r n\n", 1},
		"another role's does": {"begin 1 a:1 r n\nbegin 2 b:1 s n\nstep 1 a:1 r n\n", 1},
		"no line":             {"begin\n", 1},
	} {
		if got := judge(c.record); len(got) != c.bad {
			t.Errorf("%s: %q", name, got)
		}
	}
}
