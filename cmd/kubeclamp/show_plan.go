package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// printPlan shows the lines that change in files where diff says so; JSON and YAML always have them.
func (a *app) printPlan(cmd *cobra.Command, p crowbar.Plan, diff bool) error {
	if a.output != "table" {
		rows := make([][]string, 0, len(p.Steps))
		for _, s := range p.Steps {
			rows = append(rows, []string{s.Place()})
		}
		return a.print(cmd.OutOrStdout(), p, "", rows)
	}
	if !diff {
		for i := range p.Steps {
			p.Steps[i].Differences = unlined(p.Steps[i].Differences)
		}
	}
	_, err := io.WriteString(cmd.OutOrStdout(), strings.Join(drawPlan(p, paints(cmd.OutOrStdout())), "\n")+"\n")
	return err
}

// paint is the colour of each mark. The marks, not the colours, carry the meaning: + made, ~ changed, - taken away,
// = nothing to do, . known later, ? not known.
type paint map[string]string

func paints(w io.Writer) paint {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return paint{"+": "\x1b[32m", "~": "\x1b[33m", "-": "\x1b[31m", "?": "\x1b[35m", "=": "\x1b[90m", ".": "\x1b[90m", "": "\x1b[0m"}
}

func (p paint) mark(m string) string { return p[m] + m + p[""] }

// made and gone are what a difference does that brings something new, or takes something away; all else changes it.
var (
	made = []string{"create", "install", "found", "join", "start", "enable", "load", "import", "promote", "uncordon"}
	gone = []string{"remove", "stop", "disable", "unload"}
)

func markOf(d crowbar.Difference) string {
	switch {
	case slices.Contains(made, d.Do):
		return "+"
	case slices.Contains(gone, d.Do):
		return "-"
	}
	return "~"
}

func markOfStep(s crowbar.Step) string {
	switch s.Outlook {
	case crowbar.WillNot:
		return "="
	case crowbar.KnownAfter:
		return "."
	case crowbar.CannotAsk:
		return "?"
	case crowbar.WillChange:
		if s.Do == "remove" {
			return "-"
		}
		return "~"
	}
	if s.Do == "remove" {
		return "-"
	}
	return "o"
}

// drawPlan shows a plan node by node, nodes of which the same is to be said together; then the sums.
func drawPlan(p crowbar.Plan, c paint) []string {
	if len(p.Steps) == 0 {
		return []string{"nothing to do"}
	}
	groups := alike(p.Steps)
	var wide [3]int
	for _, g := range groups {
		for _, s := range g.steps {
			for i, cell := range cells(s) {
				wide[i] = max(wide[i], utf8.RuneCountInString(cell))
			}
		}
	}
	lines := []string{}
	for _, g := range groups {
		lines = append(lines, g.title())
		for _, s := range g.steps {
			x := cells(s)
			lines = append(lines, strings.TrimRight(fmt.Sprintf("  %s %-*s  %-*s  %-*s  %s", c.mark(markOfStep(s)), wide[0], x[0], wide[1], x[1], wide[2], x[2], spanOf(s)), " "))
			lines = append(lines, inset(s.Reason)...)
			lines = append(lines, detail(s.Differences, c)...)
		}
		lines = append(lines, "")
	}
	return append(lines, sums(p)...)
}

// inset is the lines of a text below a step.
func inset(text string) []string {
	if text == "" {
		return nil
	}
	return []string{"      " + strings.ReplaceAll(text, "\n", "\n      ")}
}

// cells are a step's columns: its role, what is to come, why it is run.
func cells(s crowbar.Step) [3]string {
	what := ""
	switch s.Outlook {
	case crowbar.WillNot:
		what = "nothing to do"
	case crowbar.KnownAfter:
		what = "known after " + here(s, s.After)
	case crowbar.CannotAsk:
		what = "cannot be asked"
	case crowbar.WillChange:
		what = plural(len(s.Differences), "change")
		if s.Do == "remove" {
			what = "is taken off"
		}
	default:
		what = s.Do
	}
	if s.Before != "" {
		what += ", as seen before " + here(s, s.Before)
	}
	return [3]string{s.Role, what, s.Why}
}

// here names a node-role as seen from a step: by its role where there is no doubt.
func here(s crowbar.Step, place string) string {
	node, role, ok := strings.Cut(place, "/")
	if ok && (node == s.Node || phantom(node)) {
		return role
	}
	return place
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// herd is nodes of which a plan says the same.
type herd struct {
	nodes []string
	steps []crowbar.Step
	key   string
}

func (h herd) title() string {
	names := make([]string, len(h.nodes))
	for i, n := range h.nodes {
		names[i] = n
		if phantom(n) {
			names[i] = "(service)"
		}
	}
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%s (%d nodes, each)", list(names, 12), len(names))
}

// list is names with commas; of more than most, the first and the last ones.
func list(names []string, most int) string {
	if len(names) > most {
		names = append(append(slices.Clone(names[:most-2]), "..."), names[len(names)-1])
	}
	return strings.Join(names, ", ")
}

// phantom says that a node is a deployment's own, where its service roles live.
func phantom(node string) bool { return strings.HasSuffix(node, "-phantom") }

func last(h *herd) int {
	if phantom(h.nodes[0]) {
		return 1
	}
	return 0
}

// alike sorts steps into nodes, in the order in which each has its first step, and nodes into herds.
func alike(steps []crowbar.Step) []*herd {
	var order []*herd
	of := map[string]*herd{}
	for _, s := range steps {
		h := of[s.Node]
		if h == nil {
			h = &herd{nodes: []string{s.Node}}
			of[s.Node] = h
			order = append(order, h)
		}
		h.steps = append(h.steps, s)
		h.key += fmt.Sprintln(cells(s), s.Do, s.Reason, s.History == 0, detail(s.Differences, nil))
	}
	var out []*herd
	same := map[string]*herd{}
	for _, h := range order {
		first := same[h.key]
		if first == nil {
			same[h.key] = h
			out = append(out, h)
			continue
		}
		first.nodes = append(first.nodes, h.nodes...)
		for i, s := range h.steps {
			to := &first.steps[i]
			to.Low, to.High, to.History = min(to.Low, s.Low), max(to.High, s.High), max(to.History, s.History)
		}
	}
	for _, h := range out {
		slices.Sort(h.nodes)
	}
	slices.SortStableFunc(out, func(a, b *herd) int { return last(a) - last(b) })
	return out
}

// spanOf is how long a step should take.
func spanOf(s crowbar.Step) string {
	if s.History == 0 {
		return "unknown"
	}
	return lasting(s.Expected, s.Low, s.High)
}

func lasting(expected, low, high crowbar.Duration) string {
	e, l, h := brief(expected), brief(low), brief(high)
	if h == "0s" {
		return "next to no time"
	}
	if l == e && h == e {
		return "about " + e
	}
	return fmt.Sprintf("about %s (%s to %s)", e, l, h)
}

// brief is a duration with two digits that count.
func brief(d crowbar.Duration) string {
	t := time.Duration(d)
	switch {
	case t < 5*time.Millisecond:
		return "0s"
	case t < time.Second:
		return t.Round(10 * time.Millisecond).String()
	case t < 10*time.Second:
		return t.Round(100 * time.Millisecond).String()
	}
	return t.Round(time.Second).String()
}

// sums is what a plan comes to.
func sums(p crowbar.Plan) []string {
	count, nodes := map[crowbar.Outlook]int{}, map[string]bool{}
	for _, s := range p.Steps {
		count[s.Outlook]++
		if !phantom(s.Node) {
			nodes[s.Node] = true
		}
	}
	first := plural(len(p.Steps), "run") + " on " + plural(len(nodes), "node")
	var parts []string
	for _, o := range []struct {
		is        crowbar.Outlook
		one, many string
	}{{crowbar.WillChange, "changes something", "change something"}, {crowbar.WillNot, "has nothing to do", "have nothing to do"},
		{crowbar.KnownAfter, "is known after others", "are known after others"}, {crowbar.CannotAsk, "cannot be asked", "cannot be asked"}} {
		switch n := count[o.is]; {
		case n == 1:
			parts = append(parts, "1 "+o.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, o.many))
		}
	}
	if len(parts) > 0 {
		first += ": " + strings.Join(parts, ", ")
	}
	touched := "no node is changed"
	if len(p.Touches) > 0 {
		names := slices.Sorted(slices.Values(p.Touches))
		touched = "may be changed: " + list(names, 30) + "; no other node"
	}
	return append([]string{first, touched}, times(p)...)
}

func times(p crowbar.Plan) []string {
	if p.Unrecorded == len(p.Steps) {
		return []string{"time: unknown, there is no history of such runs"}
	}
	out := "time: " + lasting(p.Expected, p.Low, p.High)
	if p.Unrecorded > 0 {
		out += fmt.Sprintf(" and what %s without history take", plural(p.Unrecorded, "run"))
		if p.Unrecorded == 1 {
			out += "s"
		}
	}
	if len(p.Critical) == 0 {
		return []string{out}
	}
	path := p.Critical
	if len(path) > 12 {
		path = append(append(slices.Clone(path[:8]), "..."), path[len(path)-3:]...)
	}
	return []string{out, "critical path: " + strings.Join(path, " -> ")}
}

func (a *app) printDrift(cmd *cobra.Command, d crowbar.Drift, diff bool) error {
	if a.output != "table" {
		rows := make([][]string, 0, len(d.NodeRoles))
		for _, on := range d.NodeRoles {
			rows = append(rows, []string{on.Node + "/" + on.Role})
		}
		return a.print(cmd.OutOrStdout(), d, "", rows)
	}
	if !diff {
		for i := range d.NodeRoles {
			d.NodeRoles[i].Differences = unlined(d.NodeRoles[i].Differences)
		}
	}
	_, err := io.WriteString(cmd.OutOrStdout(), strings.Join(drawDrift(d, paints(cmd.OutOrStdout())), "\n")+"\n")
	return err
}

func drawDrift(d crowbar.Drift, c paint) []string {
	lines, node := []string{}, ""
	for _, on := range d.NodeRoles {
		if on.Node != node {
			node = on.Node
			lines = append(lines, (herd{nodes: []string{node}}).title())
		}
		if on.Outlook == crowbar.CannotAsk {
			lines = append(append(lines, "  "+c.mark("?")+" "+on.Role+"  cannot be asked"), inset(on.Reason)...)
			continue
		}
		l := "  " + c.mark("~") + " " + on.Role + "  " + plural(len(on.Differences), "difference")
		if on.Due {
			l += ", not all by hand: it is to run anyway"
		}
		lines = append(append(lines, l), detail(on.Differences, c)...)
	}
	if len(lines) > 0 {
		lines = append(lines, "")
	}
	return append(lines, fmt.Sprintf("%d of %s are as they were applied", d.Same, plural(d.Asked, "node-role")))
}
