// Package barclamp reads barclamp documents (barclamp.yaml, crowbar.yml, rebar.yml) into a catalog of roles, jigs and
// attribs. It does not know what is imported already, whether a plugin serves a role, or where the bytes come from.
package barclamp

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// File is one document: its bytes, and the path by which complaints name it.
type File struct {
	Path string
	Data []byte
}

// Complaint is one thing wrong with a document.
type Complaint struct {
	Path string
	Line int
	Text string // what is wrong, and what to do
}

// String is "path:line: text".
func (c Complaint) String() string { return fmt.Sprintf("%s:%d: %s", c.Path, c.Line, c.Text) }

// Complaints is everything that is wrong, in order of file and line.
type Complaints []Complaint

// Error is one complaint a line.
func (c Complaints) Error() string {
	lines := make([]string, len(c))
	for i, one := range c {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a root document and its further files into one catalog. The error is of kind Invalid and holds Complaints:
// all of them, not the first.
func Parse(files ...File) (*crowbar.Catalog, error) {
	p := &parser{catalog: &crowbar.Catalog{}, roles: map[string]place{}, attribs: map[string]place{}, jigs: map[string]place{}}
	if len(files) == 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "no barclamp document: give at least one file")
	}
	for i, f := range files {
		p.file(i, f)
	}
	p.attach()
	if len(p.complaints) > 0 {
		slices.SortStableFunc(p.complaints, func(a, b Complaint) int {
			if a.Path != b.Path {
				return p.order[a.Path] - p.order[b.Path]
			}
			return a.Line - b.Line
		})
		return nil, &crowbar.Fault{Kind: crowbar.Invalid, Err: p.complaints}
	}
	return p.catalog, nil
}

// place is where a name was first given.
type place struct {
	path  string
	line  int
	index int // in the catalog's list
}

type parser struct {
	catalog    *crowbar.Catalog
	path       string
	order      map[string]int // of files
	complaints Complaints
	roles      map[string]place
	attribs    map[string]place
	jigs       map[string]place
	attaches   []attachment
	budget     int // nodes that may still be expanded from aliases
}

// attachment is a role's wish that another role require it.
type attachment struct {
	at           place
	role, target string
}

func (p *parser) file(i int, f File) {
	if p.order == nil {
		p.order = map[string]int{}
	}
	p.path, p.order[f.Path], p.budget = f.Path, i, 1<<16
	var root yaml.Node
	if err := yaml.Unmarshal(f.Data, &root); err != nil {
		p.complaints = append(p.complaints, syntax(f.Path, err)...)
		return
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		p.complaints = append(p.complaints, Complaint{f.Path, 1, "the document is not a map: start it with 'barclamp:' and the barclamp's name"})
		return
	}
	top := root.Content[0]
	had := p.fields(top, "the document", p.topKeys(i == 0))
	if !had["barclamp"] {
		p.complain(top, "no barclamp: add 'barclamp: { name: NAME }'")
	}
	if i == 0 {
		p.catalog.Barclamp.SourcePath = f.Path
		p.catalog.Barclamp.Document, _ = p.tree(top).(crowbar.Data)
	}
}

// syntax turns yaml's own errors, which carry their line in their text, into complaints.
func syntax(path string, err error) Complaints {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	return Complaints{{path, line, "not YAML: " + text + ": mend the indentation or quoting there"}}
}

func (p *parser) topKeys(root bool) keys {
	return keys{
		"barclamp": func(n *yaml.Node) { p.header(n, root) },
		"crowbar":  nil, "rebar": nil, "hammers": nil, "os_support": nil, "git": nil, "debs": nil, "rpms": nil, "gems": nil,
		"extra_files": nil, "nav": nil, "providers": nil, "profiles": nil, "wizard": nil, "metadata": nil,
		"jigs":    func(n *yaml.Node) { p.each(n, "jigs", p.jig) },
		"roles":   func(n *yaml.Node) { p.each(n, "roles", p.role) },
		"attribs": func(n *yaml.Node) { p.each(n, "attribs", func(a *yaml.Node) { p.attrib(a, "") }) },
	}
}

func (p *parser) header(n *yaml.Node, root bool) {
	var b crowbar.Barclamp
	var display string
	had := p.fields(n, "barclamp", keys{
		"name": p.name(&b.Name), "display": p.text(&display), "description": p.text(&b.Description), "version": p.text(&b.Version),
		"source_path": nil, "build_version": nil, "parent": nil, "source_url": nil, "license": nil, "license_url": nil, "copyright": nil,
		"os_support": nil, "member": nil, "requires": nil, "api_version": nil, "api_version_accepts": nil,
	})
	if !had["name"] {
		p.complain(n, "barclamp has no name: add 'name: NAME'")
	}
	if b.Description == "" {
		b.Description = display
	}
	if b.Version == "" {
		b.Version = "0.0"
	}
	if root {
		p.catalog.Barclamp = b
	}
}

func (p *parser) jig(n *yaml.Node) {
	j := crowbar.Jig{Active: true, Description: "Imported by " + p.catalog.Barclamp.Name}
	had := p.fields(n, "jig", keys{"name": p.name(&j.Name), "class": p.text(&j.Class), "description": p.text(&j.Description), "implementor": p.text(&j.ClientRole)})
	if !had["name"] {
		p.complain(n, "jig has no name: add 'name: NAME'")
		return
	}
	if !had["class"] {
		p.complain(n, "jig %q has no class: add 'class: CLASS'", j.Name)
	}
	if p.first(n, "jig", j.Name, p.jigs, len(p.catalog.Jigs)) {
		p.catalog.Jigs = append(p.catalog.Jigs, j)
	}
}

// attach gives each role that was named in some 'attaches' its new requirement.
func (p *parser) attach() {
	for _, a := range p.attaches {
		target, ok := p.roles[a.target]
		if !ok {
			p.complaints = append(p.complaints, Complaint{a.at.path, a.at.line, fmt.Sprintf("role %q attaches to role %q, which no document has: mend the name or add the role", a.role, a.target)})
			continue
		}
		if r := &p.catalog.Roles[target.index]; !slices.Contains(r.Requires, a.role) {
			r.Requires = append(r.Requires, a.role)
		}
	}
}

// first records a name and complains if it was given before.
func (p *parser) first(n *yaml.Node, what, name string, seen map[string]place, index int) bool {
	if was, ok := seen[name]; ok {
		p.complain(n, "%s %q is there already, at %s:%d: rename or remove one", what, name, was.path, was.line)
		return false
	}
	seen[name] = place{p.path, n.Line, index}
	return true
}
