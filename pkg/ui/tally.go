package ui

import (
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// counts is how many node-roles are in each state.
type counts struct{ Error, Active, Todo, Transition, Blocked, Proposed int }

func (c counts) Total() int {
	return c.Error + c.Active + c.Todo + c.Transition + c.Blocked + c.Proposed
}

// Left is how many are still to come to an end by themselves.
func (c counts) Left() int { return c.Todo + c.Transition + c.Blocked }

// State is the one word for all of them, the one that asks most for a person first.
func (c counts) State() crowbar.State {
	switch {
	case c.Error > 0:
		return crowbar.Error
	case c.Transition > 0:
		return crowbar.Transition
	case c.Todo > 0:
		return crowbar.Todo
	case c.Blocked > 0:
		return crowbar.Blocked
	case c.Proposed > 0:
		return crowbar.Proposed
	}
	return crowbar.Active
}

func (c *counts) add(s crowbar.State) {
	switch s {
	case crowbar.Error:
		c.Error++
	case crowbar.Active:
		c.Active++
	case crowbar.Todo:
		c.Todo++
	case crowbar.Transition:
		c.Transition++
	case crowbar.Blocked:
		c.Blocked++
	case crowbar.Proposed:
		c.Proposed++
	}
}

// countsOf is what a state keeps of itself.
func countsOf(n crowbar.States) counts {
	return counts{Error: int(n.Error), Active: int(n.Active), Todo: int(n.Todo), Transition: int(n.Transition), Blocked: int(n.Blocked), Proposed: int(n.Proposed)}
}

// part is one stretch of a bar.
type part struct {
	State       crowbar.State
	From, Count int
}

// Parts is the counts as stretches of one bar.
func (c counts) Parts() []part {
	var out []part
	from := 0
	for _, p := range []part{{State: crowbar.Active, Count: c.Active}, {State: crowbar.Transition, Count: c.Transition}, {State: crowbar.Todo, Count: c.Todo},
		{State: crowbar.Blocked, Count: c.Blocked}, {State: crowbar.Proposed, Count: c.Proposed}, {State: crowbar.Error, Count: c.Error}} {
		if p.Count > 0 {
			p.From = from
			from += p.Count
			out = append(out, p)
		}
	}
	return out
}

// Width is the length of the bar.
func (c counts) Width() int { return max(1, c.Total()) }

// Words say what the bar shows.
func (c counts) Words() string {
	var out []string
	for _, p := range c.Parts() {
		out = append(out, fmt.Sprintf("%d %s", p.Count, p.State))
	}
	return strings.Join(out, ", ")
}
