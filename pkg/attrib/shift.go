package attrib

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Shifted gives the node-roles that are given something else in the state as it is than as it was, because barclamps say
// otherwise of attribs, of their defaults, templates and certificates, or of what a role wants. It looks at those node-roles
// alone whose role something of that concerns, so that an import which changes nothing costs nothing.
func Shifted(was, is *crowbar.Snapshot) []crowbar.ID {
	roles := concerned(was, is)
	if len(roles) == 0 {
		return nil
	}
	var out []crowbar.ID
	for nr := range is.NodeRoles() {
		if old := was.NodeRole(nr.ID); old != nil && roles[nr.Role] && !alike(was, old, is, nr) {
			out = append(out, nr.ID)
		}
	}
	return out
}

// alike says that a node-role is given the same in both states.
func alike(was *crowbar.Snapshot, old *crowbar.NodeRole, is *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	given := func(s *crowbar.Snapshot, nr *crowbar.NodeRole) []byte {
		in, err := Collect(s, nr)
		if err != nil {
			return nil // it cannot run as it is
		}
		b, err := json.Marshal([]any{in.Attribs, in.Computed})
		if err != nil {
			return nil
		}
		return b
	}
	a, b := given(was, old), given(is, nr)
	return a != nil && b != nil && bytes.Equal(a, b)
}

// concerned is the roles that have or want an attrib of which something was changed.
func concerned(was, is *crowbar.Snapshot) map[crowbar.ID]bool {
	roles, names := map[crowbar.ID]bool{}, map[string]bool{}
	authorities := map[string]bool{}
	note := func(a *crowbar.Attrib) {
		if a != nil {
			names[a.Name], roles[a.Role] = true, true
			if a.Authority != "" {
				authorities[a.Authority] = true
			}
		}
	}
	for id := range is.Changed(was, crowbar.KindAttrib) {
		if old, now := was.Attrib(id), is.Attrib(id); old == nil || now == nil || !sameJSON(decisive(old), decisive(now)) {
			note(old)
			note(now)
		}
	}
	for id := range is.Changed(was, crowbar.KindRole) {
		old, now := was.Role(id), is.Role(id)
		if old == nil || now == nil {
			continue // nothing of it was bound, or is
		}
		if !slices.Equal(old.Wants, now.Wants) {
			roles[id] = true
		}
		if !sameJSON(old.Template, now.Template) {
			for a := range is.Attribs() {
				if a.Role == id {
					note(a)
				}
			}
		}
	}
	if len(names) == 0 {
		return roles
	}
	for a := range is.Attribs() { // certificates with such values in their names
		if a.Leaf != nil && (authorities[a.Leaf.Authority] || mentions(a.Leaf, names)) {
			names[a.Name], roles[a.Role] = true, true
		}
	}
	for r := range is.Roles() {
		if slices.ContainsFunc(r.Wants, func(w string) bool { return names[w] }) {
			roles[r.ID] = true
		}
	}
	delete(roles, 0) // an attrib of nodes is its wanters' alone
	return roles
}

// decisive is what of an attrib has a word in values.
func decisive(a *crowbar.Attrib) any {
	return []any{a.Name, a.Role, a.Map, a.Default, a.Leaf, a.Generate, a.Authority}
}

// mentions says that a leaf's names are made of one of the attribs.
func mentions(l *crowbar.Leaf, names map[string]bool) bool {
	return slices.ContainsFunc(slices.Concat([]string{l.CommonName}, l.Organization, l.DNS, l.IP), func(text string) bool {
		return slices.ContainsFunc(wordRule.FindAllStringSubmatch(text, -1), func(m []string) bool { return names[m[2]] })
	})
}

func sameJSON(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}
