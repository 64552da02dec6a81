package attrib

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const hidden = "(secret)"

// Explain says of an attrib, or with nil of every one that a node-role is given, where its value comes from: every layer that
// may have a word in it, lowest first. Secrets are hidden.
func Explain(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib) ([]crowbar.Explanation, error) {
	r := s.Role(nr.Role)
	if r == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "role %s is gone", nr.Role)
	}
	wanted, err := wantedBy(s, r)
	if err != nil {
		return nil, err
	}
	if a != nil {
		if !slices.Contains(wanted, a) {
			return nil, crowbar.Errorf(crowbar.NotFound, "role %q neither has nor wants attrib %q: it is not given it", r.Name, a.Name)
		}
		wanted = []*crowbar.Attrib{a}
	}
	out := []crowbar.Explanation{}
	for _, a := range wanted {
		out = append(out, explain(s, nr, a))
	}
	return out, nil
}

func explain(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib) crowbar.Explanation {
	x := crowbar.Explanation{NodeRole: nameOf(s, crowbar.KindNodeRole, nr.ID), Attrib: a.Name, Description: a.Description, Role: nameOf(s, crowbar.KindRole, a.Role),
		Map: a.Map, Secret: IsSecret(a), Computed: howMade(a)}
	if x.Computed != "" {
		x.Value = x.Computed
		return x
	}
	x.Layers = []crowbar.Layer{{Name: LayerDefault, Where: a.Source, Set: a.Default != nil, Value: a.Default}}
	wins := 0
	value, _ := resolve(s, nr, a, false)
	layers(s, nr, a, false, func(name string, v any, at crowbar.Place) {
		l := crowbar.Layer{Name: name, Where: nameOf(s, at.Kind, at.ID), Set: v != nil, Value: v}
		if st, ok := s.Get(at.Kind, at.ID).(interface{ Times() *crowbar.Stamps }); ok && l.Set {
			since := st.Times().UpdatedAt
			l.Since = &since
		}
		if l.Set {
			wins = len(x.Layers)
		}
		x.Secret = x.Secret || crowbar.HasSealed(v)
		x.Layers = append(x.Layers, l)
	})
	x.Value, x.Proposed = value, proposes(s, nr, a)
	x.Layers[wins].Wins = true
	if x.Secret {
		x.Value = hide(x.Value)
		for i := range x.Layers {
			x.Layers[i].Value = hide(x.Layers[i].Value)
		}
	}
	return x
}

// hide leaves of a secret only whether there is one.
func hide(v any) any {
	if v == nil || v == "" {
		return v
	}
	return hidden
}

// proposes says whether the next commit brings the node-role another value.
func proposes(s *crowbar.Snapshot, nr *crowbar.NodeRole, a *crowbar.Attrib) bool {
	differ := func(committed, proposed crowbar.Data) bool {
		was, _ := crowbar.Dig(committed, a.Map)
		is, _ := crowbar.Dig(proposed, a.Map)
		return proposed != nil && crowbar.Text(was) != crowbar.Text(is)
	}
	dr := s.DeploymentRoleOf(home(s, nr.Deployment, a.Role), a.Role)
	return a.Role == nr.Role && differ(nr.Committed, nr.Proposed) || dr != nil && a.Role != 0 && differ(dr.Committed, dr.Proposed)
}

func howMade(a *crowbar.Attrib) string {
	switch {
	case a.Leaf != nil:
		return fmt.Sprintf("(a certificate of authority %s, one for each node)", a.Leaf.Authority)
	case a.Generate != "":
		return fmt.Sprintf("(generated: %s, one for the deployment)", a.Generate)
	case a.Authority != "":
		return fmt.Sprintf("(the certificate of authority %s)", a.Authority)
	}
	return ""
}

// nameOf is how people name an object.
func nameOf(s *crowbar.Snapshot, k crowbar.Kind, id crowbar.ID) string {
	switch o := s.Get(k, id).(type) {
	case *crowbar.Role:
		return o.Name
	case *crowbar.Node:
		return o.Short()
	case *crowbar.Deployment:
		return o.Name
	case *crowbar.DeploymentRole:
		return nameOf(s, crowbar.KindDeployment, o.Deployment) + "/" + nameOf(s, crowbar.KindRole, o.Role)
	case *crowbar.NodeRole:
		return nameOf(s, crowbar.KindNode, o.Node) + "/" + nameOf(s, crowbar.KindRole, o.Role)
	}
	return ""
}

// Uses says who uses an attrib: which roles are given it, and what each of their node-roles sees.
func Uses(s *crowbar.Snapshot, a *crowbar.Attrib) crowbar.AttribUse {
	u := crowbar.AttribUse{Attrib: a.Name, Source: a.Source, Role: nameOf(s, crowbar.KindRole, a.Role), Map: a.Map, Secret: IsSecret(a), Roles: []string{}, NodeRoles: []crowbar.Explanation{}}
	if b := s.Barclamp(a.Barclamp); b != nil {
		u.Barclamp = b.Name
	}
	given := map[crowbar.ID]bool{}
	for r := range s.Roles() {
		if r.ID == a.Role || slices.Contains(r.Wants, a.Name) {
			given[r.ID] = true
			u.Roles = append(u.Roles, r.Name)
		}
	}
	named := regexp.MustCompile(`\{\{\s*attrib\s+` + regexp.QuoteMeta(a.Name) + `\s*\}\}`)
	for other := range s.Attribs() {
		if l := other.Leaf; l != nil && slices.ContainsFunc(slices.Concat([]string{l.CommonName}, l.Organization, l.DNS, l.IP), named.MatchString) {
			u.Leaves = append(u.Leaves, other.Name)
		}
	}
	for nr := range s.NodeRoles() {
		if given[nr.Role] {
			x := explain(s, nr, a)
			x.Layers = slices.DeleteFunc(x.Layers, func(l crowbar.Layer) bool { return !l.Wins })
			u.NodeRoles = append(u.NodeRoles, x)
		}
	}
	slices.Sort(u.Roles)
	slices.Sort(u.Leaves)
	slices.SortFunc(u.NodeRoles, func(a, b crowbar.Explanation) int { return strings.Compare(a.NodeRole, b.NodeRole) })
	return u
}
