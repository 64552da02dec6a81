package artifact

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// modulePath is this module's name, by which its source is known.
const modulePath = "github.com/kubeclamp/kubeclamp"

// prebuilt is a program of ours that was built beside the one that runs; "" if there is none. One without an architecture in
// its name is for this machine's.
func (a *Cache) prebuilt(name, arch string) string {
	dir := a.Prebuilt
	if dir == "" {
		exe, err := os.Executable()
		if err != nil {
			return ""
		}
		if exe, err = filepath.EvalSymlinks(exe); err != nil {
			return ""
		}
		dir = filepath.Dir(exe)
	}
	names := []string{name + "-" + arch}
	if arch == runtime.GOARCH {
		names = append(names, name)
	}
	for _, n := range names {
		if st, err := os.Stat(filepath.Join(dir, n)); err == nil && st.Mode().IsRegular() {
			return filepath.Join(dir, n)
		}
	}
	return ""
}

// sourceDir is the root of this module's source; "" if it is not on this machine.
func (a *Cache) sourceDir() string {
	starts := []string{a.SourceDir}
	if a.SourceDir == "" {
		wd, _ := os.Getwd()
		exe, _ := os.Executable()
		starts = []string{wd, filepath.Dir(exe)}
	}
	for _, dir := range starts {
		for dir != "" {
			if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(b), "module "+modulePath+"\n") {
				return dir
			}
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	return ""
}

// Fits refuses a program that would not start on every node of an architecture.
func Fits(path, arch string) error {
	f, err := elf.Open(path)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%s is no Linux program (%w): build it with GOOS=linux GOARCH=%s CGO_ENABLED=0", path, err, arch)
	}
	defer f.Close()
	if want, ok := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; ok && f.Machine != want {
		return crowbar.Errorf(crowbar.Invalid, "%s is for %v: build it with GOARCH=%s CGO_ENABLED=0", path, f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return crowbar.Errorf(crowbar.Invalid, "%s is linked to this machine's C library: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

// ownHash tells versions of a program of ours apart by the prebuilt file, or by every source file that it may be made from.
func (a *Cache) ownHash(c *Component, arch string) (string, error) {
	if from := a.prebuilt(c.Files[0].Name, arch); from != "" {
		sum, err := sumFile(from)
		if err != nil {
			return "", err
		}
		return sum[:12], nil
	}
	src := a.sourceDir()
	if src == "" {
		if _, err := os.Stat(filepath.Join(a.MirrorDir, c.Name, c.Version, arch)); a.MirrorDir != "" && err == nil {
			return "mirror", nil
		}
		return "", a.noSource(c, arch)
	}
	h := sha256.New()
	for _, part := range []string{"go.mod", "go.sum", "pkg", filepath.FromSlash(c.Own)} {
		err := filepath.WalkDir(filepath.Join(src, part), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !source(p) {
				return err
			}
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(src, p)
			return json.NewEncoder(h).Encode([]string{rel, string(b)})
		})
		if err != nil {
			return "", crowbar.Errorf(crowbar.NotFound, "source of %s: %w; is %s a whole clone?", c.Files[0].Name, err, src)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func source(p string) bool {
	base := filepath.Base(p)
	return base == "go.mod" || base == "go.sum" || strings.HasSuffix(base, ".go") && !strings.HasSuffix(base, "_test.go")
}

func (a *Cache) noSource(c *Component, arch string) error {
	return crowbar.Errorf(crowbar.NotFound, "%s for %s: there is neither a prebuilt program beside this one nor this module's source: put %s-%s beside this program, run from a clone, or give a mirror folder that holds %s/%s/%s",
		c.Files[0].Name, arch, c.Files[0].Name, arch, c.Name, c.Version, arch)
}
