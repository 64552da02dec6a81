package ui

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// comparison is what is not the same in a run as in the last good one before it.
type comparison struct {
	With        *crowbar.Run
	Inputs      []differing
	Added, Gone []string // changes that only this run made, or only that one
	Log         []diffLine
	Cut         bool // the logs are longer than what was compared
	Known       bool // both runs say what they were given
}

// Same says that nothing differs.
func (c comparison) Same() bool {
	return len(c.Inputs)+len(c.Added)+len(c.Gone)+len(c.Log) == 0
}

// differing is an attrib with its values in two runs; "" where a run was not given it.
type differing struct{ Name, Was, Is string }

// diffLine is a line of a difference: Kind is + for one of this run, - for one of the last good run, a blank for one of both.
type diffLine struct{ Kind, Text string }

const (
	mostCompared  = 200 << 10 // bytes of a log, from its end
	mostDiffLines = 300
)

// compare finds the last good run before the shown one, and what differs; nil where there is none, or the shown one has not ended.
func (u *UI) compare(r *http.Request, s *crowbar.Snapshot, p *nodeRolePage) *comparison {
	if p.Shown == nil || p.Shown.Finished.IsZero() {
		return nil
	}
	var good *crowbar.Run
	for _, run := range s.RunsOf(p.ID) {
		if (run.Outcome == "changed" || run.Outcome == "unchanged") && !run.Remove && run.Attempt < p.Shown.Attempt && (good == nil || run.Attempt > good.Attempt) {
			good = run
		}
	}
	if good == nil {
		return nil
	}
	c := &comparison{With: good}
	for _, x := range p.Shown.Changes {
		if !slices.Contains(good.Changes, x) {
			c.Added = append(c.Added, x)
		}
	}
	for _, x := range good.Changes {
		if !slices.Contains(p.Shown.Changes, x) {
			c.Gone = append(c.Gone, x)
		}
	}
	was, is := u.logOf(r, p.ID, good.Attempt), u.logOf(r, p.ID, p.Shown.Attempt)
	if was == "" || is == "" {
		return c // one is not kept any more
	}
	given, before := told(is, "given"), told(was, "given")
	c.Known = given != nil && before != nil
	if c.Known {
		c.Inputs = differ(before, given)
	}
	c.Cut = len(was) > mostCompared || len(is) > mostCompared
	c.Log = differences(bare(was), bare(is))
	return c
}

// logOf is the log of a run, "" where there is none or the visitor may not see it.
func (u *UI) logOf(r *http.Request, id crowbar.ID, attempt uint64) string {
	var b []byte
	if err := u.ask(r, "/api/v2/node_roles/"+id.String()+"/log?attempt="+strconv.FormatUint(attempt, 10), &b); err != nil {
		return ""
	}
	return string(b)
}

// told is what a log says in one line that the run was given, or gave back; nil where it does not.
func told(log, word string) map[string]any {
	_, rest, ok := strings.Cut(log, "s "+word+" {")
	if !ok {
		return nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	var out map[string]any
	if json.Unmarshal([]byte("{"+line), &out) != nil {
		return nil
	}
	return out
}

// pairsOf is such values for a reader.
func pairsOf(values map[string]any) []pairOf {
	var out []pairOf
	for _, k := range slices.Sorted(keys(values)) {
		out = append(out, pairOf{k, short(400, pretty(values[k]))})
	}
	return out
}

func differ(was, is map[string]any) []differing {
	var out []differing
	all := map[string]any{}
	for k := range was {
		all[k] = nil
	}
	for k := range is {
		all[k] = nil
	}
	for _, k := range slices.Sorted(keys(all)) {
		if a, b := pretty(was[k]), pretty(is[k]); a != b {
			out = append(out, differing{k, a, b})
		}
	}
	return out
}

var (
	clock = regexp.MustCompile(`(?m)^ *\d+\.\d+s `)
	spans = regexp.MustCompile(` \((\d+(\.\d+)?(ns|µs|ms|s|m|h))+\)| in (\d+(\.\d+)?(ns|µs|ms|s|m|h))+$`)
)

// bare is the end of a log without what differs each time: clocks, how long things took, its first line, and what was given, which
// is compared by itself.
func bare(log string) string {
	log = log[max(0, len(log)-mostCompared):]
	var b strings.Builder
	for line := range strings.Lines(log) {
		line = clock.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
		if strings.HasPrefix(line, "apply of role ") || strings.HasPrefix(line, "given {") || strings.HasPrefix(line, "gave back {") {
			continue
		}
		b.WriteString(spans.ReplaceAllString(line, "") + "\n")
	}
	return b.String()
}

// differences is the lines in which two texts differ, with some around them.
func differences(was, is string) []diffLine {
	var out []diffLine
	for i, line := range strings.Split(strings.TrimSuffix(string(diff.Diff("was", []byte(was), "is", []byte(is))), "\n"), "\n") {
		if i < 3 || line == "" { // its head
			continue
		}
		if len(out) == mostDiffLines {
			return append(out, diffLine{" ", "… and more: the logs themselves have all of it"})
		}
		kind, text := line[:1], line[1:]
		if strings.HasPrefix(line, "@@") {
			kind, text = "@", "…"
			if len(out) == 0 {
				continue
			}
		}
		out = append(out, diffLine{kind, short(400, text)})
	}
	return out
}
