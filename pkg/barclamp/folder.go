package barclamp

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// roots are the names that a folder's first document may have. The first two are ours, and read strictly.
var roots = []string{"barclamp.yaml", "barclamp.yml", "crowbar.yml", "crowbar.yaml", "rebar.yml", "rebar.yaml"}

func ours(name string) bool { return slices.Contains(roots[:2], path.Base(slashed(name))) }

func folderOf(name string) string { return path.Dir(slashed(name)) }

func slashed(name string) string { return strings.ReplaceAll(name, `\`, "/") }

// Folder reads the documents of one workload: its root (barclamp.yaml, crowbar.yml or rebar.yml) and the files of
// barclamps/ beside it, in whatever order they come. It gives one catalog a document in the order in which they are to be
// imported: the root first, and each child after the children that it names as parent or attaches a role to.
// The error is that of Parse.
func Folder(files ...File) ([]*crowbar.Catalog, error) {
	if len(files) == 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "no barclamp document: give at least one file")
	}
	files, wrong := sortFiles(files)
	if len(wrong) > 0 {
		return nil, &crowbar.Fault{Kind: crowbar.Invalid, Err: wrong}
	}
	all, err := parse(files)
	if err != nil {
		return nil, err
	}
	return sortCatalogs(all), nil
}

// sortFiles puts the root first and the children behind it by path.
func sortFiles(files []File) ([]File, Complaints) {
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	root := -1
	var wrong Complaints
	for i, f := range sorted {
		if !slices.Contains(roots, path.Base(slashed(f.Path))) || path.Base(folderOf(f.Path)) == "barclamps" && len(files) > 1 {
			continue
		}
		if root >= 0 {
			wrong = append(wrong, Complaint{f.Path, 1, fmt.Sprintf("the root is %s already: give one of them", sorted[root].Path)})
			continue
		}
		root = i
	}
	if root < 0 { // files by other names: the first one that was given is the root
		root = slices.IndexFunc(sorted, func(f File) bool { return f.Path == files[0].Path })
	}
	first := sorted[root]
	sorted = append([]File{first}, slices.Delete(sorted, root, root+1)...)
	for i, f := range sorted[1:] {
		if folderOf(f.Path) != path.Join(folderOf(first.Path), "barclamps") && len(wrong) == 0 {
			wrong = append(wrong, Complaint{f.Path, 1, fmt.Sprintf("it does not lie in barclamps/ beside the root %s: move it there, or import it by itself", first.Path)})
		}
		if f.Path == sorted[i].Path {
			wrong = append(wrong, Complaint{f.Path, 1, "the file is given twice: give it once"})
		}
	}
	return sorted, wrong
}

// sortCatalogs puts each catalog behind those that it leans on, else leaves the order as it is.
func sortCatalogs(all []*crowbar.Catalog) []*crowbar.Catalog {
	owner := map[string]*crowbar.Catalog{}
	for _, c := range all {
		owner["barclamp "+c.Barclamp.Name] = c
		for _, r := range c.Roles {
			owner["role "+r.Name] = c
		}
	}
	seen := map[*crowbar.Catalog]bool{all[0]: true}
	out := all[:1:1]
	var visit func(c *crowbar.Catalog)
	visit = func(c *crowbar.Catalog) {
		if c == nil || seen[c] {
			return
		}
		seen[c] = true
		visit(owner["barclamp "+c.Parent])
		for _, r := range c.Roles {
			for _, target := range r.Attaches {
				visit(owner["role "+target])
			}
		}
		out = append(out, c)
	}
	for _, c := range all {
		visit(c)
	}
	return out
}
