package graph

import (
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Why says in one line why a node-role is where it is; for one that waits, through all it waits for, to the root cause.
func Why(s *crowbar.Snapshot, id crowbar.ID) string {
	nr := s.NodeRole(id)
	if nr == nil {
		return "there is no node-role " + id.String()
	}
	if nr.State != crowbar.Blocked {
		return state(s, nr)
	}
	path := root(s, nr)
	if len(path) == 0 {
		return "blocked: its parents are all active: retry it"
	}
	names := make([]string, len(path))
	for i, p := range path {
		names[i] = place(s, p)
	}
	return "blocked: waits for " + strings.Join(names, ", which waits for ") + ", " + cause(s, path[len(path)-1])
}

// state is the line of one that is not blocked.
func state(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	switch nr.State {
	case crowbar.Proposed:
		return fmt.Sprintf("proposed: commit deployment %s", deploymentName(s, nr.Deployment))
	case crowbar.Todo:
		if why := viewOf(s).hindrance(nr); why != "" {
			return "todo: " + why
		}
		return "todo: the annealer takes it next"
	case crowbar.Error:
		return "error" + colon(nr.Status) + ": retry it when that is mended"
	case crowbar.Transition:
		return "transition: it runs" + colon(nr.Status)
	}
	return nr.State.String() + colon(nr.Status)
}

// cause is what is the matter with the last on a path.
func cause(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	since := ""
	if !nr.Since.IsZero() {
		since = " since " + nr.Since.UTC().Format("15:04")
	}
	switch nr.State {
	case crowbar.Error:
		return "in error" + since + colon(nr.Status)
	case crowbar.Transition:
		return "which runs" + since + colon(nr.Status)
	case crowbar.Proposed:
		return fmt.Sprintf("which is proposed: commit deployment %s", deploymentName(s, nr.Deployment))
	case crowbar.Todo:
		if why := viewOf(s).hindrance(nr); why != "" {
			return "which is todo: " + why
		}
	}
	return "which is " + nr.State.String() + since
}

// root is the shortest way up to something in error; where nothing is, to something that is not blocked itself.
func root(s *crowbar.Snapshot, nr *crowbar.NodeRole) []*crowbar.NodeRole {
	from := map[crowbar.ID]*crowbar.NodeRole{nr.ID: nil}
	var other *crowbar.NodeRole
	for todo := []*crowbar.NodeRole{nr}; len(todo) > 0; todo = todo[1:] {
		for _, l := range todo[0].Parents {
			p := s.NodeRole(l.ID)
			if _, seen := from[l.ID]; seen || !holdsBack(p, todo[0]) {
				continue
			}
			from[p.ID] = todo[0]
			switch {
			case p.State == crowbar.Error:
				return trail(from, p)
			case p.State != crowbar.Blocked && (other == nil || weight(p.State) > weight(other.State)):
				other = p
			}
			todo = append(todo, p)
		}
	}
	return trail(from, other)
}

// weight sorts causes: what nobody works on is worth more than what is under way.
func weight(st crowbar.State) int {
	switch st {
	case crowbar.Proposed:
		return 3
	case crowbar.Todo:
		return 2
	}
	return 1
}

func trail(from map[crowbar.ID]*crowbar.NodeRole, end *crowbar.NodeRole) []*crowbar.NodeRole {
	var up []*crowbar.NodeRole
	for at := end; at != nil && from[at.ID] != nil; at = from[at.ID] {
		up = append([]*crowbar.NodeRole{at}, up...)
	}
	return up
}
