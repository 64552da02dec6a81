//go:build packages

// Package packages tries the Debian and RPM packages: that they are the same bytes whoever builds them, that Debian's and RPM's
// own tools find nothing wrong, and that they live and go under systemd on real nodes. It does not know how they are made.
package packages

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var fresh = flag.Bool("packages.fresh", false, "compile everything anew for the second of two equal builds, without the go command's cache")

// highest exposure that 'systemd-analyze security' may see, in tenths.
const highest = "25"

func run(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.Bytes())
	}
	return string(out)
}

// build makes the packages of a clone of the commit in a folder, and gives the folder with them.
// The machine has another name each time.
func build(t *testing.T, clone string, env []string, args ...string) string {
	t.Helper()
	out := t.TempDir()
	host := `hostname "$0" && exec go run . "$@"`
	run(t, filepath.Join(clone, "packaging"), env, "unshare", append([]string{"--uts", "sh", "-c", host, fmt.Sprintf("host%d", time.Now().UnixNano()), "--out", out}, args...)...)
	return out
}

// cache is where the programs of clusters and the images of nodes are.
func cache() string {
	if dir := os.Getenv("KUBECLAMP_CACHE"); dir != "" {
		return dir
	}
	return filepath.Join(os.Getenv("HOME"), ".cache", "kubeclamp")
}

func clone(t *testing.T, under string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), under)
	run(t, "../..", nil, "git", "clone", "-q", "--shared", ".", dir)
	return dir
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// one is the one file that a pattern matches.
func one(t *testing.T, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v %v", pattern, all, err)
	}
	return all[0]
}

// TestPackages: in order, as the later parts use what the first made.
func TestPackages(t *testing.T) {
	here := clone(t, "here")
	first := build(t, here, nil)
	t.Run("two builds are equal", func(t *testing.T) {
		env := []string{"TZ=Pacific/Auckland", "LANG=de_DE.UTF-8", "GOFLAGS=-buildvcs=false", "HOME=" + t.TempDir(), "XDG_CACHE_HOME=" + t.TempDir()}
		for _, v := range []string{"GOCACHE", "GOMODCACHE"} { // but for what the go command keeps
			env = append(env, v+"="+strings.TrimSpace(run(t, "", nil, "go", "env", v)))
		}
		if *fresh {
			env = append(env, "GOCACHE="+t.TempDir())
		}
		second := build(t, clone(t, "a/longer/path/elsewhere"), env)
		a, b := read(t, filepath.Join(first, "SHA256SUMS")), read(t, filepath.Join(second, "SHA256SUMS"))
		if a != b || strings.Count(a, "\n") != 9 {
			t.Errorf("one build:\n%sthe other:\n%s", a, b)
		}
	})
	t.Run("lintian", func(t *testing.T) {
		debs, _ := filepath.Glob(first + "/*.deb")
		cmd := exec.Command("lintian", append([]string{"--fail-on", "error,warning"}, debs...)...)
		if out, err := cmd.CombinedOutput(); err != nil || len(debs) != 3 {
			t.Errorf("%d packages: %v\n%s", len(debs), err, out)
		}
	})
	t.Run("rpm", func(t *testing.T) { checkRPM(t, first) })
	t.Run("unit", func(t *testing.T) {
		run(t, "../../packaging/files", nil, "systemd-analyze", "security", "--offline=true", "--threshold="+highest, "kubeclampd.service")
	})
	barclamps := t.TempDir()
	t.Run("trees", func(t *testing.T) { trees(t, barclamps) })
	t.Run("nodes", func(t *testing.T) { live(t, here, first, build(t, here, nil, "--version", "9.0.0"), barclamps) })
}

// checkRPM holds the digests, the list of files and an installation into an empty root against what the Debian package has. The
// scriptlets are not run here: there is no node with RPM.
func checkRPM(t *testing.T, dir string) {
	root := t.TempDir()
	for _, name := range []string{"kubeclamp", "kubeclampd", "kubeclamp-node"} {
		file := one(t, filepath.Join(dir, name+"-[0-9]*.rpm"))
		if said := run(t, "", nil, "rpm", "--checksig", file); !strings.Contains(said, "digests OK") {
			t.Error(said)
		}
		run(t, "", nil, "rpm", "--root", root, "--install", "--nodeps", "--noscripts", file)
		for _, f := range strings.Fields(run(t, "", nil, "rpm", "--query", "--package", "--list", file)) {
			if _, err := os.Lstat(filepath.Join(root, f)); err != nil {
				t.Error(err)
			}
		}
		run(t, "", nil, "rpm", "--root", root, "--verify", "--nodeps", name)
	}
	lintRPM(t, filepath.Join(dir, "*.rpm"))
	for _, part := range []string{"post", "preun", "postun"} {
		run(t, "../../packaging/files", nil, "sh", "-n", "kubeclampd.rpm."+part)
	}
	if said := run(t, "", nil, filepath.Join(root, "usr/bin/kubeclamp"), "version"); !strings.Contains(said, "kubeclamp v") {
		t.Errorf("it says that it is %q", said)
	}
	run(t, "", nil, "rpm", "--root", root, "--erase", "--nodeps", "--noscripts", "kubeclamp", "kubeclampd", "kubeclamp-node")
	if left := run(t, root, nil, "find", ".", "-name", "*kubeclamp*", "-not", "-path", "./var/lib/rpm/*"); left != "" {
		t.Errorf("after they were erased there is\n%s", left)
	}
}

// tolerated is what rpmlint says and we leave: packages are signed by whoever publishes them, the git log says what has changed, and
// neither list of Debian's rpmlint (licences, what a program is, how manual pages are compressed) is that of a release that has RPM.
const tolerated = `Filters = ["no-signature", "no-changelogname-tag", "no-binary", "only-non-binary-in-usr-lib", "manpage-not-compressed bz2", "invalid-license Apache-2.0",
 "no-manual-page-for-binary", "no-documentation", "requires-on-release", "name-repeated-in-summary", "files-duplicate", "dir-or-file-in-opt", "non-coherent-filename"]
`

// lintRPM has rpmlint look at packages.
func lintRPM(t *testing.T, pattern string) {
	t.Helper()
	all, err := filepath.Glob(pattern)
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	conf := filepath.Join(t.TempDir(), "tolerated.toml")
	if err := os.WriteFile(conf, []byte(tolerated), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("rpmlint", append([]string{"-c", conf}, all...)...).CombinedOutput()
	if text := string(out); err != nil || strings.Contains(text, ": E: ") || strings.Contains(text, ": W: ") || !strings.Contains(text, "packages and") {
		t.Errorf("rpmlint: %v\n%s", err, text)
	}
}
