package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// drawMatrix shows roles down, nodes across, and below what runs, what failed and what that holds up. Marks, not colours,
// carry the meaning: + active, x error, > transition, o todo, # blocked, ? proposed.
func drawMatrix(w io.Writer, s crowbar.Status) error {
	_, err := io.WriteString(w, strings.Join(matrix(s, colours(w), 200), "\n")+"\n")
	return err
}

func matrix(s crowbar.Status, colour map[crowbar.State]string, width int) []string {
	nodes, roles, cells := arrange(s)
	done := 0
	for _, nr := range s.NodeRoles {
		if nr.State == crowbar.Active {
			done++
		}
	}
	lines := []string{fmt.Sprintf("deployment %s: %s, %d of %d active%s", s.Deployment, s.State, done, len(s.NodeRoles), eta(s)), ""}
	wide := 4
	for _, r := range roles {
		wide = max(wide, len(r))
	}
	head := fmt.Sprintf("%-*s", wide, "")
	for _, n := range nodes {
		head += "  " + n
	}
	lines = append(lines, head)
	for _, r := range roles {
		line := fmt.Sprintf("%-*s", wide, r)
		for _, n := range nodes {
			mark := " "
			if nr, ok := cells[n+"/"+r]; ok {
				mark = colour[nr.State] + nr.State.Mark() + colour[99]
			}
			line += "  " + mark + strings.Repeat(" ", max(0, len(n)-1))
		}
		lines = append(lines, strings.TrimRight(line, " "))
	}
	return append(lines, details(s, width)...)
}

func eta(s crowbar.Status) string {
	switch {
	case s.State == "active", s.State == "proposed", s.State == "error":
		return ""
	case !s.Known:
		return ", time left unknown (no history yet)"
	}
	return ", about " + time.Duration(s.Remaining).String() + " left"
}

// arrange sorts nodes by name with the phantom last, roles by cohort.
func arrange(s crowbar.Status) (nodes, roles []string, cells map[string]crowbar.NodeRoleStatus) {
	cells = map[string]crowbar.NodeRoleStatus{}
	cohort := map[string]int{}
	for _, nr := range s.NodeRoles {
		name := nr.Node
		if strings.HasSuffix(name, "-phantom") {
			name = "(service)"
		}
		cells[name+"/"+nr.Role] = nr
		cohort[nr.Role] = max(cohort[nr.Role], nr.Cohort)
		if !slices.Contains(nodes, name) {
			nodes = append(nodes, name)
		}
		if !slices.Contains(roles, nr.Role) {
			roles = append(roles, nr.Role)
		}
	}
	slices.SortFunc(nodes, func(a, b string) int {
		if (a[0] == '(') != (b[0] == '(') {
			return strings.Compare(b, a)
		}
		return strings.Compare(a, b)
	})
	slices.SortStableFunc(roles, func(a, b string) int { return cohort[a] - cohort[b] })
	return nodes, roles, cells
}

// details are the lines below the table: what runs and since when, what failed, and the roots of what waits.
func details(s crowbar.Status, width int) []string {
	var lines []string
	whys := map[string]int{}
	for _, nr := range s.NodeRoles {
		switch nr.State {
		case crowbar.Transition:
			took := time.Since(nr.Since).Round(time.Second).String()
			if nr.Expected > 0 {
				took += " of about " + time.Duration(nr.Expected).Round(time.Second).String()
			}
			lines = append(lines, strings.TrimSuffix(fmt.Sprintf("> %s/%s %s: %s", nr.Node, nr.Role, took, nr.Status), ": "))
		case crowbar.Error:
			line, _, _ := strings.Cut(nr.Failure, "\n")
			if !nr.RetryAt.IsZero() {
				line += " (tried again at " + nr.RetryAt.Local().Format(time.TimeOnly) + ")"
			}
			lines = append(lines, fmt.Sprintf("x %s/%s: %s", nr.Node, nr.Role, line))
		case crowbar.Blocked, crowbar.Todo:
			whys[nr.Why]++
		}
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		for why, n := range whys {
			if why != "" {
				lines = append(lines, fmt.Sprintf("%d wait: %s", n, why))
			}
		}
		slices.Sort(lines)
	}
	for i, l := range lines {
		if r := []rune(l); len(r) > width {
			lines[i] = string(r[:width-1]) + "…"
		}
	}
	if len(lines) > 0 {
		lines = append([]string{""}, lines...)
	}
	return lines
}

func colours(w io.Writer) map[crowbar.State]string {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || !term.IsTerminal(int(f.Fd())) {
		return map[crowbar.State]string{}
	}
	return map[crowbar.State]string{crowbar.Active: "\x1b[32m", crowbar.Error: "\x1b[31;1m", crowbar.Transition: "\x1b[33m", crowbar.Blocked: "\x1b[90m", 99: "\x1b[0m"}
}
