package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// display shows a deployment while it changes.
type display interface {
	show(crowbar.Status)
	close() // leaves the last picture where it is
}

// progresses are the words of --progress.
var progresses = []string{"auto", "live", "plain", "none"}

// progressFlag gives a command that watches the flag for how.
func (a *app) progressFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.progress, "progress", "auto", "how to show what goes on: live (a table that is redrawn), plain (a line a change), none; auto is live on a terminal")
	_ = cmd.RegisterFlagCompletionFunc("progress", cobra.FixedCompletions(progresses, cobra.ShellCompDirectiveNoFileComp))
}

// display chooses how to show what goes on.
func (a *app) display(w io.Writer) (display, error) {
	f, terminal := w.(*os.File)
	terminal = terminal && term.IsTerminal(int(f.Fd()))
	switch a.progress {
	case "", "auto":
		if terminal && os.Getenv("TERM") != "dumb" {
			return newLive(f), nil
		}
		return newLines(w), nil
	case "live":
		if !terminal {
			return nil, usage("--progress live: there is no terminal to draw on: say plain")
		}
		return newLive(f), nil
	case "plain":
		return newLines(w), nil
	case "none":
		return silence{}, nil
	}
	return nil, usage("--progress %q: there are %s", a.progress, strings.Join(progresses, ", "))
}

type silence struct{}

func (silence) show(crowbar.Status) {}
func (silence) close()              {}

// lines prints a line for each change of state; at first, one for what runs or is in error already: it may have come to that
// before anybody looked.
type lines struct {
	w      io.Writer
	before map[crowbar.ID]crowbar.NodeRoleStatus
}

func newLines(w io.Writer) *lines { return &lines{w: w} }

func (l *lines) close() {}

func (l *lines) show(s crowbar.Status) {
	first := l.before == nil
	if first {
		l.before = map[crowbar.ID]crowbar.NodeRoleStatus{}
	}
	for _, nr := range s.NodeRoles {
		was, known := l.before[nr.ID]
		news := known && was.State != nr.State || !known && (!first || nr.State == crowbar.Error || nr.State == crowbar.Transition)
		if news && nr.State != crowbar.Blocked && nr.State != crowbar.Todo && nr.State != crowbar.Proposed {
			fmt.Fprintln(l.w, strings.TrimRight(fmt.Sprintf("%s %s %-10s %s/%s %s", time.Now().Format(time.TimeOnly), nr.State.Mark(), nr.Name, nr.Node, nr.Role, firstLine(nr)), " "))
		}
		l.before[nr.ID] = nr
	}
	l.gone(s)
}

// gone says which node-roles are no more.
func (l *lines) gone(s crowbar.Status) {
	there := map[crowbar.ID]bool{}
	for _, nr := range s.NodeRoles {
		there[nr.ID] = true
	}
	for id, was := range l.before {
		if !there[id] {
			fmt.Fprintf(l.w, "%s - gone       %s/%s\n", time.Now().Format(time.TimeOnly), was.Node, was.Role)
			delete(l.before, id)
		}
	}
}

// live redraws a table in place, once a second and at each change.
type live struct {
	f     *os.File
	began time.Time
	stop  chan struct{}
	over  sync.WaitGroup

	mu    sync.Mutex
	last  crowbar.Status
	at    time.Time // when last came; zero = not yet
	drawn int       // lines
}

func newLive(f *os.File) *live {
	l := &live{f: f, began: time.Now(), stop: make(chan struct{})}
	l.over.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				l.mu.Lock()
				l.draw(time.Now())
				l.mu.Unlock()
			case <-l.stop:
				return
			}
		}
	})
	return l
}

func (l *live) close() {
	close(l.stop)
	l.over.Wait()
}

func (l *live) show(s crowbar.Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.at = s, time.Now()
	l.draw(l.at)
}

func (l *live) draw(now time.Time) {
	if l.at.IsZero() {
		return
	}
	width, height, err := term.GetSize(int(l.f.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	lines := livePicture(l.last, colours(l.f), width, now.Sub(l.began), now.Sub(l.at))
	if most := max(height-1, 3); len(lines) > most {
		lines = append(lines[:most-1], fmt.Sprintf("... and %s more", plural(len(lines)-most+1, "line")))
	}
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	for _, line := range lines {
		b.WriteString("\r\x1b[2K" + cut(line, width) + "\n")
	}
	b.WriteString("\x1b[J")
	l.drawn = len(lines)
	_, _ = io.WriteString(l.f, b.String())
}

// livePicture is how far a deployment is, and the table below: nodes across where they fit, else a bar for each role.
func livePicture(s crowbar.Status, colour map[crowbar.State]string, width int, watched, old time.Duration) []string {
	count := map[crowbar.State]int{}
	for _, nr := range s.NodeRoles {
		count[nr.State]++
	}
	head := fmt.Sprintf("deployment %s: %s", s.Deployment, s.State)
	if s.Paused {
		head += ", paused"
	}
	s.Remaining = max(0, s.Remaining-crowbar.Duration(old.Round(time.Second)))
	left := s
	if count[crowbar.Transition] > 0 {
		left.State = "committed" // whatever is in error, the rest goes on
	}
	clock := watched.Round(time.Second).String() + eta(left)
	head += strings.Repeat(" ", max(2, min(width, 100)-len(head)-len(clock)-1)) + clock
	bar := fmt.Sprintf("%s  %d of %d active", drawBar(count, len(s.NodeRoles), min(40, max(10, width-40)), colour), count[crowbar.Active], len(s.NodeRoles))
	for _, more := range []struct {
		state crowbar.State
		word  string
	}{{crowbar.Transition, "running"}, {crowbar.Error, "in error"}} {
		if n := count[more.state]; n > 0 {
			bar += fmt.Sprintf(", %d %s", n, more.word)
		}
	}
	out := []string{head, bar, ""}
	below := matrix(s, colour, width)[2:]
	if !fits(s, width) {
		below = append(byRole(s, colour, width), details(s, width)...)
	}
	return append(out, below...)
}

// fits says whether the table with a column for each node is narrow enough.
func fits(s crowbar.Status, width int) bool {
	nodes, roles, _ := arrange(s)
	wide := 4
	for _, r := range roles {
		wide = max(wide, len(r))
	}
	for _, n := range nodes {
		wide += 2 + len(n)
	}
	return wide <= width
}

// byRole is a line for each role: a bar, and how many are in which state.
func byRole(s crowbar.Status, colour map[crowbar.State]string, width int) []string {
	_, roles, _ := arrange(s)
	count, total, wide := map[string]map[crowbar.State]int{}, map[string]int{}, 0
	for _, nr := range s.NodeRoles {
		if count[nr.Role] == nil {
			count[nr.Role] = map[crowbar.State]int{}
		}
		count[nr.Role][nr.State]++
		total[nr.Role]++
	}
	for _, r := range roles {
		wide = max(wide, len(r))
	}
	var out []string
	for _, r := range roles {
		line := fmt.Sprintf("%-*s  %s  %d/%d", wide, r, drawBar(count[r], total[r], min(20, max(5, width-wide-30)), colour), count[r][crowbar.Active], total[r])
		for _, st := range []crowbar.State{crowbar.Transition, crowbar.Error, crowbar.Todo, crowbar.Blocked, crowbar.Proposed} {
			if n := count[r][st]; n > 0 {
				line += fmt.Sprintf("  %s%s%d%s", colour[st], st.Mark(), n, colour[99])
			}
		}
		out = append(out, line)
	}
	return out
}

// drawBar is a bar of marks: what is active, in error, running, and the rest. What there is of a state is always seen.
func drawBar(count map[crowbar.State]int, total, width int, colour map[crowbar.State]string) string {
	parts := []struct {
		state crowbar.State
		mark  string
		n     int
	}{{crowbar.Active, "#", 0}, {crowbar.Error, "x", 0}, {crowbar.Transition, ">", 0}}
	left := width
	for i := len(parts) - 1; i >= 0; i-- {
		p := &parts[i]
		if n := count[p.state]; n > 0 {
			p.n = min(left, max(1, n*width/max(1, total)))
			if p.state == crowbar.Active && n < total {
				p.n = min(p.n, left, width-1)
			}
			left -= p.n
		}
	}
	var b strings.Builder
	b.WriteString("[")
	for _, p := range parts {
		if p.n > 0 {
			b.WriteString(colour[p.state] + strings.Repeat(p.mark, p.n) + colour[99])
		}
	}
	if count[crowbar.Active] == total && total > 0 {
		left = 0
	}
	b.WriteString(strings.Repeat("-", left) + "]")
	return b.String()
}

// cut keeps a line from going over the edge. What turns colours on and off takes no room.
func cut(line string, width int) string {
	seen, escape := 0, false
	for i, r := range line {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape = true
		case seen == width-1 && plainLen(line[i:]) > 1:
			off := ""
			if strings.Contains(line, "\x1b") {
				off = "\x1b[0m"
			}
			return line[:i] + "…" + off
		default:
			seen++
		}
	}
	return line
}

// plainLen is how many letters are seen of a line.
func plainLen(line string) (n int) {
	escape := false
	for _, r := range line {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape = true
		default:
			n++
		}
	}
	return n
}
