// Package barclamp reads barclamp documents (barclamp.yaml, crowbar.yml, rebar.yml) into catalogs of roles, jigs and
// attribs. It does not know what is imported already, whether a plugin serves a role, or where the bytes come from.
package barclamp

import (
	"fmt"
	"io"
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
func (c Complaints) Error() string { return strings.Join(c.lines(), "\n") }

func (c Complaints) lines() []string {
	var lines []string
	for _, one := range c {
		lines = append(lines, one.String())
	}
	return lines
}

// Parse reads one document that has no children. The error is of kind Invalid and holds Complaints: all of them, not the
// first. What is kept but not understood (a key of another product) is in the barclamp's Warnings; in a file named
// barclamp.yaml, which is ours, it is a complaint.
func Parse(f File) (*crowbar.Catalog, error) {
	all, err := Folder(f)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// parse reads documents that belong together, the root first, into one catalog each.
func parse(files []File) ([]*crowbar.Catalog, error) {
	p := &parser{order: map[string]int{}, barclamps: map[string]place{}, roles: map[string]place{}, attribs: map[string]place{},
		jigs: map[string]place{}, hammers: map[string]place{}, doubled: map[*yaml.Node]bool{}, foreign: !ours(files[0].Path)}
	var out []*crowbar.Catalog
	for i, f := range files {
		p.path, p.order[f.Path], p.budget = f.Path, i, 1<<16
		p.catalog = &crowbar.Catalog{Foreign: p.foreign, Lines: map[string]string{}}
		p.catalog.Barclamp.SourcePath = f.Path
		if i > 0 {
			p.catalog.Barclamp.SourcePath = folderOf(files[0].Path)
		}
		p.file(f)
		p.sort(p.warnings)
		p.catalog.Barclamp.Warnings, p.warnings = p.warnings.lines(), nil
		out = append(out, p.catalog)
	}
	if len(p.complaints) > 0 {
		p.sort(p.complaints)
		return nil, &crowbar.Fault{Kind: crowbar.Invalid, Err: p.complaints}
	}
	return out, nil
}

func (p *parser) sort(c Complaints) {
	slices.SortStableFunc(c, func(a, b Complaint) int {
		if a.Path != b.Path {
			return p.order[a.Path] - p.order[b.Path]
		}
		return a.Line - b.Line
	})
}

// place is where a name was first given.
type place struct {
	path  string
	line  int
	index int // in the catalog's list
}

// parser reads one document after another; what it has seen of names lasts over all of them.
type parser struct {
	catalog    *crowbar.Catalog
	path       string
	order      map[string]int // of files
	complaints Complaints
	warnings   Complaints // of the present document
	foreign    bool       // another product's document: what we do not know in it is no mistake
	aside      bool       // reading what has no meaning for us
	exact      bool       // reading a schema, in which nothing may stand that kwalify does not know
	budget     int        // nodes that may still be expanded from aliases
	doubled    map[*yaml.Node]bool

	barclamps, roles, attribs, jigs, hammers map[string]place
}

func (p *parser) file(f File) {
	var root yaml.Node
	decoder := yaml.NewDecoder(strings.NewReader(string(f.Data)))
	if err := decoder.Decode(&root); err != nil && err != io.EOF {
		p.complaints = append(p.complaints, notYAML(f, err))
		return
	}
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		p.complaints = append(p.complaints, Complaint{f.Path, 1, "the document is not a map: start it with 'barclamp:' and the barclamp's name"})
		return
	}
	p.document(root.Content[0])
	var more yaml.Node
	switch err := decoder.Decode(&more); {
	case err == nil && len(more.Content) > 0 && more.Content[0].ShortTag() != "!!null":
		p.complain(more.Content[0], "a second document starts here: put it into a file of its own, below barclamps/")
	case err != nil && err != io.EOF:
		p.complaints = append(p.complaints, notYAML(f, err))
	}
}

func (p *parser) document(top *yaml.Node) {
	header := find(top, "barclamp")
	if header == nil {
		p.complain(top, "no barclamp: add 'barclamp: { name: NAME }'")
	} else {
		p.header(deref(header))
	}
	p.fields(top, "the document", keys{
		"barclamp": nil,
		"crowbar":  p.layout, "rebar": p.layout,
		"jigs":       func(n *yaml.Node) { p.each(n, "jigs", p.jig) },
		"hammers":    func(n *yaml.Node) { p.each(n, "hammers", p.hammer) },
		"roles":      func(n *yaml.Node) { p.each(n, "roles", p.role) },
		"attribs":    func(n *yaml.Node) { p.each(n, "attribs", func(a *yaml.Node) { p.attrib(a, "") }) },
		"os_support": p.known(p.texts), "extra_files": p.known(p.texts), "git": p.known(p.git),
		"debs": p.known(p.packages("debs")), "rpms": p.known(p.packages("rpms")), "gems": p.known(p.packages("gems")),
		"providers": p.known(p.providers), "profiles": p.known(p.profiles), "wizard": p.known(p.wizard), "metadata": p.known(p.anyMap), "nav": nil,
	})
	p.catalog.Barclamp.Document, _ = p.tree(top).(crowbar.Data)
}

// reserved are the words that OpenCrowbar keeps for its own addresses.
var reserved = []string{"framework", "api", "barclamp", "docs", "machines", "jigs", "roles", "groups", "users", "support", "application"}

func (p *parser) header(n *yaml.Node) {
	b := &p.catalog.Barclamp
	var display string
	p.mark(n, "barclamp")
	had := p.fields(n, "barclamp", keys{
		"name": p.name(&b.Name), "display": p.text(&display), "description": p.text(&b.Description), "version": p.text(&b.Version),
		"source_path": p.text(&b.SourcePath), "parent": p.name(&p.catalog.Parent),
		"build_version": nil, "source_url": nil, "license": nil, "license_url": nil, "copyright": nil,
		"os_support": p.known(p.texts), "member": nil, "requires": nil, "api_version": nil, "api_version_accepts": nil,
	})
	switch line := find(n, "name"); {
	case !had["name"] || line.Value == "":
		p.complain(n, "barclamp has no name: add 'name: NAME'")
	case slices.Contains(reserved, strings.ToLower(b.Name)):
		p.complain(line, "barclamp name %q is one of the words that are kept for addresses of the API: choose another", b.Name)
	case b.Name != "":
		p.first(n, "barclamp", b.Name, p.barclamps, 0)
	}
	if line := find(n, "parent"); line != nil {
		p.mark(line, "parent")
	}
	for _, other := range []string{display, humanise(b.Name)} {
		if b.Description == "" {
			b.Description = other
		}
	}
	if b.Version == "" {
		b.Version = "0.0"
	}
}

// first records a name and complains if it was given before.
func (p *parser) first(n *yaml.Node, what, name string, seen map[string]place, index int) bool {
	if was, ok := seen[name]; ok {
		p.complain(n, "%s %q is there already, at %s:%d: rename or remove one", what, name, was.path, was.line)
		return false
	}
	seen[name] = place{p.path, n.Line, index}
	p.mark(n, what+" "+name)
	return true
}

// mark keeps the line of what an import may have to complain of.
func (p *parser) mark(n *yaml.Node, what string) {
	p.catalog.Lines[what] = fmt.Sprintf("%s:%d", p.path, n.Line)
}
