package event

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Filter is what somebody wants to hear of; each empty list takes everything.
type Filter struct {
	Types       []string // "kubeclamp.run.ended", "run.ended", "node_role.*"
	Deployments []string // names
	Nodes       []string // whole or short names
	Right       crowbar.Right
}

// Takes says whether the filter lets an event through. That events were lost everybody hears.
func (f Filter) Takes(e crowbar.Event) bool {
	if e.Type == crowbar.EventsLost {
		return true
	}
	short, _, _ := strings.Cut(e.Node, ".")
	return f.Right.Has(e.Right) && (len(f.Types) == 0 || slices.ContainsFunc(f.Types, func(want string) bool { return isType(e.Type, want) })) &&
		(len(f.Deployments) == 0 || slices.Contains(f.Deployments, e.Deployment)) &&
		(len(f.Nodes) == 0 || e.Node != "" && (slices.Contains(f.Nodes, e.Node) || slices.Contains(f.Nodes, short)))
}

func isType(have, want string) bool {
	have, want = strings.TrimPrefix(have, crowbar.EventTypes), strings.TrimPrefix(want, crowbar.EventTypes)
	if prefix, any := strings.CutSuffix(want, "*"); any {
		return strings.HasPrefix(have, prefix)
	}
	return have == want
}
