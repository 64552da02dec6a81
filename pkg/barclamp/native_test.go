package barclamp

import (
	"bytes"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func shipped(t *testing.T) *crowbar.Catalog {
	t.Helper()
	b, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(File{"barclamp.yaml", b})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// keysOf is the keys that those servers know, by where they stand.
var keysOf = map[Server]map[string]string{
	OpenCrowbar: {"": "barclamp crowbar attribs roles", "barclamp": "name display description version license source_url", "crowbar": "layout",
		"roles": "name description jig flags requires conflicts provides attaches wants-attribs attribs", "attribs": "name description map default schema"},
	Rebar: {"": "barclamp rebar attribs roles wizard", "barclamp": "name display description version license source_url", "rebar": "layout",
		"roles": "name description jig icon flags requires preceeds conflicts provides attaches wants-attribs attribs", "attribs": "name description map default schema"},
}

// What a package says comes back as it was when it is imported and written again, and is the same of every role as barclamp.yaml says,
// but for what is said to differ.
func TestNativeRoundTrip(t *testing.T) {
	ours := shipped(t)
	for _, to := range []Server{OpenCrowbar, Rebar} {
		t.Run(string(to), func(t *testing.T) {
			files, err := Native(ours, to)
			if err != nil {
				t.Fatal(err)
			}
			doc := fileNamed(t, files, to.Document())
			c, err := Parse(File{to.Document(), doc})
			if err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			if len(c.Barclamp.Warnings) > 0 {
				t.Errorf("warnings: %s", strings.Join(c.Barclamp.Warnings, "\n"))
			}
			again, err := Export(c, to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(doc), string(again)); diff != "" {
				t.Errorf("written again it differs: %s", diff)
			}
			onlyKeys(t, c.Barclamp.Document, "", keysOf[to])
			sameRoles(t, ours, c, to)
			for _, r := range c.Roles {
				if r.Jig == "script" && !slices.ContainsFunc(files, func(f NativeFile) bool { return path.Dir(f.Path) == scriptsOf(r.Name) && path.Ext(f.Path) == ".sh" }) {
					t.Errorf("role %s has no script", r.Name)
				}
			}
			if second, err := Native(ours, to); err != nil || cmp.Diff(files, second) != "" {
				t.Errorf("made twice it differs: %v", err)
			}
		})
	}
}

func fileNamed(t *testing.T, files []NativeFile, name string) []byte {
	t.Helper()
	for _, f := range files {
		if f.Path == name {
			return f.Data
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

// onlyKeys complains of a key that the server does not have.
func onlyKeys(t *testing.T, at any, where string, known map[string]string) {
	t.Helper()
	switch at := at.(type) {
	case []any:
		for _, one := range at {
			onlyKeys(t, one, where, known)
		}
	case crowbar.Data:
		list, ok := known[where]
		if !ok {
			return // values
		}
		for key, v := range at {
			if !slices.Contains(strings.Fields(list), key) {
				t.Errorf("%s has key %q, which the server does not know", where, key)
			}
			onlyKeys(t, v, key, known)
		}
	}
}

func sameRoles(t *testing.T, ours, theirs *crowbar.Catalog, to Server) {
	t.Helper()
	added := []string{FilesRole, PKIRole, ConfigRole, to.Installed()}
	without := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(added, n) })
	}
	for _, r := range ours.Roles {
		i := slices.IndexFunc(theirs.Roles, func(o crowbar.Role) bool { return o.Name == r.Name })
		if i < 0 {
			t.Errorf("role %s is not in the package", r.Name)
			continue
		}
		o := theirs.Roles[i]
		if !slices.Equal(without(r.Requires), without(o.Requires)) {
			t.Errorf("%s requires %v, in the package %v", r.Name, r.Requires, o.Requires)
		}
		if !o.Flags.Service && !slices.Contains(o.Requires, to.Installed()) {
			t.Errorf("%s does not wait for the node's operating system", r.Name)
		}
		if r.Name != PKIRole && r.Flags != o.Flags {
			t.Errorf("%s has flags %+v, in the package %+v", r.Name, r.Flags, o.Flags)
		}
		for _, w := range r.Wants {
			if !slices.Contains(o.Wants, w) {
				t.Errorf("%s does not want %s in the package", r.Name, w)
			}
		}
	}
	for _, a := range ours.Attribs {
		i := slices.IndexFunc(theirs.Attribs, func(o crowbar.CatalogAttrib) bool { return o.Name == a.Name })
		if i < 0 {
			t.Errorf("attrib %s is not in the package", a.Name)
			continue
		}
		o := theirs.Attribs[i]
		if a.RoleName != o.RoleName || a.Map != o.Map || a.Description != o.Description || cmp.Diff(a.Schema, o.Schema)+cmp.Diff(a.Default, o.Default) != "" {
			t.Errorf("attrib %s is otherwise in the package: %+v, %+v", a.Name, a, o)
		}
	}
}

func TestNativeDocumentIsPlain(t *testing.T) {
	files, err := Native(shipped(t), OpenCrowbar)
	if err != nil {
		t.Fatal(err)
	}
	doc := fileNamed(t, files, "crowbar.yml")
	for _, want := range []string{"name: kubeclamp\n", "jig: script\n", "crowbar-installed-node", "=:\n", "layout: 2\n"} {
		if !bytes.Contains(doc, []byte(want)) {
			t.Errorf("no %q in:\n%s", want, doc)
		}
	}
}
