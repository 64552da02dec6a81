package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// build makes a component from published Go modules, in a module of its own that is written to tmp.
func (a *Cache) build(ctx context.Context, j *job, tmp string) (map[string]string, error) {
	b := j.c.Build
	mod, out := filepath.Join(tmp, "module"), filepath.Join(tmp, "out")
	if err := a.module(b.Family, mod); err != nil {
		return nil, err
	}
	cgo := slices.Contains(b.CGO, j.arch)
	var runs []goBuild
	for _, s := range b.Steps {
		runs = append(runs, goBuild{dir: mod, out: out, file: s.Out, cgo: cgo, tags: b.Tags, ldflags: b.LDFlags, gcflags: b.GCFlags, packages: s.Packages})
	}
	return a.goBuilds(ctx, j, out, runs)
}

// module writes a family's module: gomod and gosum under their right names, and the files below files/ without their .txt.
func (a *Cache) module(family, to string) error {
	root := family
	return fs.WalkDir(a.cat.files, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(a.cat.files, p)
		if err != nil {
			return err
		}
		rel := strings.TrimPrefix(p, root+"/")
		switch {
		case rel == "gomod":
			rel = "go.mod"
		case rel == "gosum":
			rel = "go.sum"
		case strings.HasPrefix(rel, "files/"):
			rel = strings.TrimSuffix(strings.TrimPrefix(rel, "files/"), ".txt")
		}
		dst := filepath.Join(to, filepath.FromSlash(rel))
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		return os.WriteFile(dst, b, 0o644)
	})
}

// own makes this module's program for nodes: the prebuilt one if there is one, else from source.
func (a *Cache) own(ctx context.Context, j *job, tmp string) (map[string]string, error) {
	name := j.c.Files[0].Name
	if from := a.prebuilt(name, j.arch); from != "" {
		if err := Fits(from, j.arch); err != nil {
			return nil, err
		}
		in, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		to := filepath.Join(tmp, name)
		return map[string]string{name: to}, write(to, in)
	}
	src := a.sourceDir()
	if src == "" {
		return nil, a.noSource(j.c, j.arch)
	}
	out := filepath.Join(tmp, "out")
	return a.goBuilds(ctx, j, out, []goBuild{{dir: src, out: out, file: name, ldflags: "-s -w", packages: []string{j.c.Own}}})
}

// goBuild is one run of go build.
type goBuild struct {
	dir, out, file         string
	cgo                    bool
	tags, ldflags, gcflags string
	packages               []string
}

func (g goBuild) args() []string {
	args := []string{"build", "-trimpath", "-tags", g.tags, "-ldflags", g.ldflags}
	if g.gcflags != "" {
		args = append(args, "-gcflags="+g.gcflags)
	}
	return append(append(args, "-o", filepath.Join(g.out, g.file)+dirMark(g.file)), g.packages...)
}

// dirMark makes go build take the output as a folder.
func dirMark(file string) string {
	if file == "" {
		return string(filepath.Separator)
	}
	return ""
}

// goBuilds runs builds one after the other in one of the slots for heavy work, and finds the component's files in out.
func (a *Cache) goBuilds(ctx context.Context, j *job, out string, runs []goBuild) (map[string]string, error) {
	var slots []string
	for i := range a.Parallel {
		slots = append(slots, "build."+strconv.Itoa(i))
	}
	tools, err := a.tools(j.c, j.arch, slices.ContainsFunc(runs, func(g goBuild) bool { return g.cgo }))
	if err != nil {
		return nil, err
	}
	free, err := a.lock(ctx, func() { j.to(Waiting) }, slots...)
	if err != nil {
		return nil, err
	}
	defer free()
	j.to(Building)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(a.CacheDir, logDir, j.c.Name+"-"+j.c.Version+"-"+j.arch+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	for _, g := range runs {
		if err := a.goRun(ctx, tools, j.arch, g, log); err != nil {
			return nil, err
		}
	}
	made := map[string]string{}
	for _, f := range j.c.Files {
		made[f.Name] = filepath.Join(out, f.Name)
		if _, err := os.Stat(made[f.Name]); err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "the build gave no file %q: correct files or steps in the catalogue", f.Name)
		}
	}
	return made, nil
}

// goRun runs go build at low priority. When ctx ends or this process dies, it is killed with its children.
func (a *Cache) goRun(ctx context.Context, t toolset, arch string, g goBuild, log io.Writer) error {
	argv := append([]string{t.goCmd}, g.args()...)
	if t.nice != "" {
		argv = append([]string{t.nice, "-n", "10"}, argv...)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOWORK=off", "GOFLAGS=-buildvcs=false", "CGO_ENABLED=0")
	if g.cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
		cmd.Env = append(cmd.Env, t.env...)
	}
	var text bytes.Buffer
	cmd.Stdout = io.MultiWriter(log, &text)
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return crowbar.Errorf(crowbar.Internal, "go build of %s: %w:\n%s", path.Base(g.packages[0]), err, tail(text.String(), 30))
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", t.goCmd, err)
	}
	return nil
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
