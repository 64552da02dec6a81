package roletest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// Golden compares what a State wants of a node, as text, with the file testdata/NAME.golden, which update writes anew.
func Golden(t *testing.T, update bool, name string, w linux.State) {
	t.Helper()
	var b strings.Builder
	for _, f := range w.Files {
		fmt.Fprintf(&b, "=== %s %o %s restarts %v reloads %v\n%s", f.Path, f.Mode, f.Owner, f.Restart, f.Reload, f.Content)
	}
	for _, u := range w.Units {
		fmt.Fprintf(&b, "=== %s\n%s", u.Name, u.Content)
	}
	fmt.Fprintf(&b, "=== packages %v\n", w.Packages)
	file := "testdata/" + name + ".golden"
	if update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s differs (%v); run with -update and look at the diff", file, err)
	}
}
