package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
)

// A tree becomes a Debian and an RPM package, which Debian's own tools read; the same tree gives the same bytes.
func TestSystemPackage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	tree := []barclamp.NativeFile{{Path: "crowbar.yml", Mode: 0o644, Data: []byte("barclamp: { name: x }\n")}, {Path: "script/roles/a/10-a.sh", Mode: 0o755, Data: []byte("true\n")}}
	written := func(kind, version string) []byte {
		t.Helper()
		p := packaging{server: "opencrowbar", version: version}
		s, err := p.system(tree)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := map[string]func() error{"deb": func() error { return s.deb(&b) }, "rpm": func() error { return s.rpm(&b) }}[kind](); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, kind := range []string{"deb", "rpm"} {
		if a, b := written(kind, "1.2"), written(kind, "1.2"); !bytes.Equal(a, b) {
			t.Errorf("two %s of one tree differ", kind)
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "x.deb")
	if err := os.WriteFile(file, written("deb", "1.2"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("dpkg-deb", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg-deb %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("there is no dpkg-deb here")
	}
	if got := said("-f", file, "Package", "Version", "Conflicts"); got != "Package: kubeclamp-barclamp-opencrowbar\nVersion: 1.2\nConflicts: kubeclamp-barclamp-rebar\n" {
		t.Error(got)
	}
	said("-x", file, dir)
	for _, f := range tree {
		at := filepath.Join(dir, barclampPath, f.Path)
		i, err := os.Stat(at)
		if err != nil || i.Mode() != f.Mode || i.ModTime().Unix() != 1700000000 {
			t.Errorf("%s: %v %v", at, i, err)
		}
		if b, _ := os.ReadFile(at); !bytes.Equal(b, f.Data) {
			t.Errorf("%s is %q", at, b)
		}
	}
	for module, want := range map[string]string{"v1.2.3": "1.2.3", "v0.0.0-20261123215310-fa5b3346333c": "0.0.0~20261123215310.fa5b3346333c", "(devel)": "0.0.0~devel", "v1.0.0-rc.1+dirty": "1.0.0~rc.1+dirty"} {
		if got := packageVersion(module); got != want {
			t.Errorf("%s is %s", module, got)
		}
	}
	for _, bad := range []string{"x", "1-2", "1 2", "1\n"} {
		if _, err := (&packaging{server: "rebar", version: bad}).system(tree); err == nil {
			t.Errorf("version %q is taken", bad)
		}
	}
}
