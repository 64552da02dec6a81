package engine

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The native package, imported into a server, is there as it was written: what the server's roles and attribs say, written again,
// is the same text.
func TestNativePackageGoesRound(t *testing.T) {
	ours, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: ours})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []barclamp.Server{barclamp.OpenCrowbar, barclamp.Rebar} {
		t.Run(string(to), func(t *testing.T) {
			files, err := barclamp.Native(shipped, to)
			if err != nil {
				t.Fatal(err)
			}
			w := build(t)
			own := "barclamp: { name: core }\njigs:\n- { name: script, class: Y }\nroles:\n- { name: " + to.Installed() + ", jig: noop, flags: [implicit, milestone] }\n"
			var written string
			for _, doc := range []barclamp.File{{Path: "core.yml", Data: []byte(own)}, {Path: files[0].Path, Data: files[0].Data}} {
				c, err := barclamp.Parse(doc)
				if err == nil {
					err = w.Import(t.Context(), c)
				}
				if err != nil {
					t.Fatal(err)
				}
				written = string(doc.Data)
			}
			again, err := barclamp.Export(catalogOf(w.View(), "kubeclamp"), to)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(written, string(again)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// catalogOf is what a server knows of a barclamp.
func catalogOf(s *crowbar.Snapshot, name string) *crowbar.Catalog {
	b := s.BarclampNamed(name)
	out := &crowbar.Catalog{Barclamp: *b}
	names := map[crowbar.ID]string{}
	for r := range s.Roles() {
		if r.Barclamp == b.ID {
			names[r.ID] = r.Name
			out.Roles = append(out.Roles, *r)
		}
	}
	for a := range s.Attribs() {
		if a.Barclamp == b.ID {
			out.Attribs = append(out.Attribs, crowbar.CatalogAttrib{RoleName: names[a.Role], Attrib: *a})
		}
	}
	return out
}
