package robustness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	gofail "go.etcd.io/gofail/code"
)

// build is a kubeclampd in which the failpoints are code, and their names: "store.beforeCommit".
type build struct {
	daemon string
	roles  string // the roles' program: this one, without the race detector, with which it would take long to start
	points []string
}

// binding is what a package's failpoints stand on: one that is armed writes its name down and kills its own process, there
// and then. KUBECLAMP_FAILPOINT is NAME=N, to be killed at the N-th time from 0, or "count"; KUBECLAMP_FAILPOINT_VALUES is
// NAME=NUMBER,... for those that hold a number.
const binding = `package %s

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

type failpoint struct {
	name string
	n    atomic.Int64
}

var errFailpointOff = errors.New("off")

func (f *failpoint) Acquire() (any, error) {
	for _, one := range strings.Split(os.Getenv("KUBECLAMP_FAILPOINT_VALUES"), ",") {
		if v, ok := strings.CutPrefix(one, f.name+"="); ok {
			return strconv.Atoi(v)
		}
	}
	armed := os.Getenv("KUBECLAMP_FAILPOINT")
	if armed == "count" {
		f.say()
		return nil, errFailpointOff
	}
	at, mine := strings.CutPrefix(armed, f.name+"=")
	if n, err := strconv.ParseInt(at, 10, 64); !mine || err != nil || f.n.Add(1)-1 != n {
		return nil, errFailpointOff
	}
	f.say()
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (f *failpoint) say() {
	to, err := os.OpenFile(os.Getenv("KUBECLAMP_FAILPOINT_HITS"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		to.WriteString(f.name + "\n")
		to.Close()
	}
}

func (f *failpoint) BadType(any, string) {}

`

// buildDaemon builds the daemon from copies of the sources; the tree itself is not touched.
func buildDaemon(t *testing.T) build {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b := build{daemon: filepath.Join(dir, "kubeclampd"), roles: buildRoles(t, dir)}
	replace := map[string]string{}
	bound := map[string]*bytes.Buffer{} // folder -> its binding
	put := func(at string, text []byte) {
		copied := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			t.Fatal(err)
		}
		replace[at] = copied
	}
	for _, top := range []string{"pkg", "cmd/kubeclampd", "jigs"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(at string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() || !strings.HasSuffix(at, ".go") || strings.HasSuffix(at, "_test.go") {
				return err
			}
			source, err := os.ReadFile(at)
			if err != nil || !bytes.Contains(source, []byte("// gofail:")) {
				return err
			}
			var text bytes.Buffer
			found, err := gofail.ToFailpoints(&text, bytes.NewReader(source))
			if err != nil {
				return fmt.Errorf("%s: %w", at, err)
			}
			put(at, text.Bytes())
			folder := filepath.Dir(at)
			if bound[folder] == nil {
				f, err := parser.ParseFile(token.NewFileSet(), at, source, parser.PackageClauseOnly)
				if err != nil {
					return err
				}
				bound[folder] = &bytes.Buffer{}
				fmt.Fprintf(bound[folder], binding, f.Name.Name)
			}
			for _, p := range found {
				name := path.Base(filepath.ToSlash(folder)) + "." + p.Name()
				fmt.Fprintf(bound[folder], "var %s = &failpoint{name: %q}\n", p.Runtime(), name)
				b.points = append(b.points, name)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for folder, text := range bound {
		put(filepath.Join(folder, "failpoints_bound.go"), text.Bytes())
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	compile(t, root, "build", "-overlay", file, "-o", b.daemon, "./cmd/kubeclampd")
	slices.Sort(b.points)
	if twice := slices.Compact(slices.Clone(b.points)); len(twice) != len(b.points) {
		t.Fatalf("a failpoint's name is there twice: %v", b.points)
	}
	return b
}

func buildRoles(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if info, ok := debug.ReadBuildInfo(); !ok || !slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return self
	}
	roles := filepath.Join(dir, "roles")
	compile(t, ".", "test", "-c", "-o", roles, ".")
	return roles
}

func compile(t *testing.T, in string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = in, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %s\n%s", strings.Join(args, " "), err, out)
	}
}
