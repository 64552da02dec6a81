package main

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// unlined is differences without the lines of files.
func unlined(list []crowbar.Difference) []crowbar.Difference {
	list = slices.Clone(list)
	for i := range list {
		list[i].Unified, list[i].More = "", 0
	}
	return list
}

// detail is a line for each difference of a step.
func detail(list []crowbar.Difference, c paint) []string {
	var lines []string
	for _, d := range list {
		if d.What == "role" && d.Do == "remove" {
			continue // the step says so
		}
		l := "      " + c.mark(markOf(d)) + " " + d.Do + " " + d.What + " " + d.Name
		if first, rest, more := strings.Cut(d.Diff, "\n"); more {
			l += " (" + first + ")"
			for r := range strings.SplitSeq(strings.TrimRight(rest, "\n"), "\n") {
				l += "\n          " + r
			}
		} else if first != "" {
			l += " (" + first + ")"
		}
		lines = append(append(lines, l), c.unified(d)...)
	}
	return lines
}

// unified is the lines that change in a file.
func (p paint) unified(d crowbar.Difference) []string {
	var out []string
	for l := range strings.Lines(d.Unified) {
		l = strings.TrimRight(l, "\n")
		if mark := l[:min(1, len(l))]; mark == "+" || mark == "-" {
			l = p[mark] + l + p[""]
		}
		out = append(out, strings.TrimRight("          "+l, " "))
	}
	if d.More > 0 {
		out = append(out, "          and "+plural(d.More, "more line"))
	}
	return out
}
