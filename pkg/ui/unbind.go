package ui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// unbinding is what comes of a role being taken off its node.
type unbinding struct {
	step
	Deployment *crowbar.Deployment
	Goes       []step // with it; the last that needs it first
	Again      []step // what runs once more since then, elsewhere
	Left       int    // nodes on which the role stays
	Votes      string // what that means, where its members vote
	Refused    string
}

// unbind shows what is taken off together with a node-role, before anything is changed.
func (u *UI) unbind(r *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	id, _ := strconv.ParseUint(r.PathValue("id"), 10, 64) // what is no number is not found
	nr := s.NodeRole(crowbar.ID(id))
	if nr == nil {
		return page{}, crowbar.Errorf(crowbar.NotFound, "There is no node-role %q.", short(40, r.PathValue("id")))
	}
	b := unbinding{step: u.step(s, nr, nil), Deployment: s.Deployment(nr.Deployment)}
	after, err := u.Unbound(s, nr.ID)
	if err != nil {
		b.Refused = err.Error()
		return page{name: "unbind", title: "Take " + b.RoleName + " off " + b.NodeName, menu: "/deployments", body: b}, nil
	}
	for id := range after.Changed(s, crowbar.KindNodeRole) {
		was, is := s.NodeRole(id), after.NodeRole(id)
		switch {
		case was == nil || was.Removing:
		case is == nil || is.Removing:
			b.Goes = append(b.Goes, u.step(s, was, nil))
		case is.State != was.State && (is.State == crowbar.Todo || is.State == crowbar.Blocked) || is.Stale && !was.Stale:
			b.Again = append(b.Again, u.step(s, was, nil))
		}
	}
	order := func(a, b step) int {
		return cmp.Or(cmp.Compare(b.Cohort, a.Cohort), cmp.Compare(a.RoleName, b.RoleName), cmp.Compare(a.NodeName, b.NodeName))
	}
	slices.SortFunc(b.Goes, order)
	slices.SortFunc(b.Again, order)
	for o := range after.EachOf(nr.Deployment, nr.Role) {
		if !o.Removing {
			b.Left++
		}
	}
	if role := s.Role(nr.Role); role != nil {
		b.Votes, _ = advice(s, crowbar.WizardService{Count: 1, Roles: []string{role.Name}}, b.Left)
	}
	return page{name: "unbind", title: "Take " + b.RoleName + " off " + b.NodeName, menu: "/deployments", body: b}, nil
}
