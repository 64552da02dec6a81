package ui

import (
	"fmt"
	"strings"
	"sync"

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

func (c *counts) add(s crowbar.State, n int) {
	switch s {
	case crowbar.Error:
		c.Error += n
	case crowbar.Active:
		c.Active += n
	case crowbar.Todo:
		c.Todo += n
	case crowbar.Transition:
		c.Transition += n
	case crowbar.Blocked:
		c.Blocked += n
	case crowbar.Proposed:
		c.Proposed += n
	}
}

// totals are the counts of one state of everything. They are not changed once they are made.
type totals struct {
	all counts
	of  map[crowbar.ID]counts // by deployment
}

// tally counts node-roles, and from one state to the next only those that are not the same: a fleet has a great many.
type tally struct {
	mu  sync.Mutex
	at  *crowbar.Snapshot
	now totals
}

func (t *tally) of(s *crowbar.Snapshot) totals {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == s {
		return t.now
	}
	if t.at != nil && t.at.Rev() > s.Rev() {
		return count(s) // somebody is late; the newer one stays
	}
	if t.at == nil {
		t.at, t.now = s, count(s)
		return t.now
	}
	next := totals{t.now.all, make(map[crowbar.ID]counts, len(t.now.of))}
	for d, c := range t.now.of {
		next.of[d] = c
	}
	for id := range s.Changed(t.at, crowbar.KindNodeRole) {
		next.add(t.at.NodeRole(id), -1)
		next.add(s.NodeRole(id), 1)
	}
	t.at, t.now = s, next
	return next
}

func count(s *crowbar.Snapshot) totals {
	out := totals{of: map[crowbar.ID]counts{}}
	for nr := range s.NodeRoles() {
		out.add(nr, 1)
	}
	return out
}

func (t *totals) add(nr *crowbar.NodeRole, n int) {
	if nr == nil {
		return
	}
	t.all.add(nr.State, n)
	c := t.of[nr.Deployment]
	c.add(nr.State, n)
	t.of[nr.Deployment] = c
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
