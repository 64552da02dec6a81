package graph

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// edge says that a role comes after another, and which line of the barclamp says so.
type edge struct {
	parent string
	why    string // "requires", "wants x of", "is preceeded by"
}

// Order sorts roles by cohort (0 = needs nothing) and name, and gives copies with Cohort set. A cycle is an error of kind
// Invalid that names each of its edges. Names that no role has are left out: they may come with a later barclamp.
func Order(roles []*crowbar.Role) ([]*crowbar.Role, error) { return order(roles, nil) }

// order knows besides which role owns each attrib, since wanting an attrib means to require its owner.
func order(roles []*crowbar.Role, owner map[string]string) ([]*crowbar.Role, error) {
	o := orderer{byName: map[string]*crowbar.Role{}, edges: map[string][]edge{}, cohort: map[string]int{}, open: map[string]bool{}}
	sorted := slices.Clone(roles)
	slices.SortFunc(sorted, func(a, b *crowbar.Role) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range sorted {
		o.byName[r.Name] = r
	}
	for _, r := range sorted {
		for _, p := range r.Requires {
			o.add(r.Name, edge{p, "requires"})
		}
		for _, a := range r.Wants {
			if p := owner[a]; p != "" && p != r.Name {
				o.add(r.Name, edge{p, "wants " + a + " of"})
			}
		}
		for _, c := range r.Preceeds {
			o.add(c, edge{r.Name, "is preceeded by"})
		}
	}
	out := make([]*crowbar.Role, 0, len(sorted))
	for _, r := range sorted {
		if err := o.visit(r.Name, nil); err != nil {
			return nil, err
		}
		c := *r
		c.Cohort = o.cohort[r.Name]
		out = append(out, &c)
	}
	slices.SortStableFunc(out, func(a, b *crowbar.Role) int { return cmp.Compare(a.Cohort, b.Cohort) })
	return out, nil
}

type orderer struct {
	byName map[string]*crowbar.Role
	edges  map[string][]edge
	cohort map[string]int
	open   map[string]bool // on the path that is being walked
}

func (o *orderer) add(child string, e edge) {
	if o.byName[child] != nil && o.byName[e.parent] != nil {
		o.edges[child] = append(o.edges[child], e)
	}
}

// step is an edge on the path from the first role visited to the present one.
type step struct {
	child string
	edge
}

func (o *orderer) visit(name string, path []step) error {
	if _, done := o.cohort[name]; done {
		return nil
	}
	o.open[name] = true
	cohort := 0
	for _, e := range o.edges[name] {
		on := append(path, step{name, e})
		if o.open[e.parent] {
			return cycle(on, e.parent)
		}
		if err := o.visit(e.parent, on); err != nil {
			return err
		}
		cohort = max(cohort, o.cohort[e.parent]+1)
	}
	delete(o.open, name)
	o.cohort[name] = cohort
	return nil
}

func cycle(path []step, back string) error {
	from := slices.IndexFunc(path, func(s step) bool { return s.child == back })
	var b strings.Builder
	b.WriteString(back)
	for _, s := range path[from:] {
		b.WriteString(" " + s.why + " " + s.parent + ", which")
	}
	text := strings.TrimSuffix(b.String(), ", which")
	return crowbar.Errorf(crowbar.Invalid, "roles go in a circle: %s: take one of these away in the barclamp", text)
}

// parentsOf is the names of the roles that a role asks for: what it requires, and the owners of what it wants. The
// missing are the names (of roles, or of attribs) that nothing has.
func parentsOf(s *crowbar.Snapshot, r *crowbar.Role) (parents []*crowbar.Role, missing []string) {
	seen := map[crowbar.ID]bool{r.ID: true}
	keep := func(p *crowbar.Role) {
		if !seen[p.ID] {
			seen[p.ID] = true
			parents = append(parents, p)
		}
	}
	for _, name := range r.Requires {
		if p := s.RoleNamed(name); p != nil {
			keep(p)
		} else {
			missing = append(missing, "role "+name)
		}
	}
	for _, name := range r.Wants {
		a := s.AttribNamed(name)
		if a == nil {
			missing = append(missing, "attrib "+name)
			continue
		}
		if p := s.Role(a.Role); p != nil {
			keep(p)
		}
	}
	return parents, missing
}

// ancestry is a role's ancestors at role level, transitively: what it asks for and what preceeds it. The role itself is
// not in it.
func ancestry(s *crowbar.Snapshot, r *crowbar.Role) []*crowbar.Role {
	before := map[string][]*crowbar.Role{}
	for p := range s.Roles() {
		for _, c := range p.Preceeds {
			before[c] = append(before[c], p)
		}
	}
	seen := map[crowbar.ID]bool{r.ID: true}
	var out []*crowbar.Role
	for todo := []*crowbar.Role{r}; len(todo) > 0; todo = todo[1:] {
		parents, _ := parentsOf(s, todo[0])
		for _, p := range append(parents, before[todo[0].Name]...) {
			if !seen[p.ID] {
				seen[p.ID] = true
				out, todo = append(out, p), append(todo, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b *crowbar.Role) int {
		return cmp.Or(cmp.Compare(a.Cohort, b.Cohort), strings.Compare(a.Name, b.Name))
	})
	return out
}
