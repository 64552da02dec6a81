// Package artifact is the catalogue of binaries and images that a cluster is made of, and the cache that holds them. It does
// not know nodes, roles, or what a binary does once it runs.
//
// Each file comes from the first of its sources that has it: a mirror folder (checked against a sha256), an upstream URL
// (the same), a build of published Go modules with the go command. It is made once and kept under its version and a hash of
// its build description:
//
//	CACHE/COMPONENT/VERSION-HASH/ARCH/FILE and FILE.sha256
package artifact

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Config says where things are. Only CacheDir must be given.
type Config struct {
	CacheDir  string
	MirrorDir string       // MIRROR/COMPONENT/VERSION/ARCH/FILE with FILE.sha256 beside it; "" = none
	Catalogue *Catalogue   // nil = the one that is built in
	SourceDir string       // this module's source, for kubeclamp-node; "" = looked for above the working folder and the program
	Prebuilt  string       // folder that may hold kubeclamp-node or kubeclamp-node-ARCH; "" = the folder of the program that runs
	Parallel  int          // heavy builds at once, over all processes that share the cache; 0 = 1
	Go        string       // the go command; "" = found in PATH
	Client    *http.Client // for upstream URLs; nil = http.DefaultClient
	Log       *slog.Logger // nil = discarded
}

// Cache is the catalogue's files, on this machine. It is safe for concurrent use, and shared with other processes by file locks.
type Cache struct {
	Config
	cat *Catalogue

	mu       sync.Mutex
	verified map[string]stamp // files that this process has read and found right
	hashes   map[hashKey]string
}

type hashKey struct {
	c    *Component
	arch string
}

// stamp is what a file looked like when it was found right.
type stamp struct {
	size int64
	mod  time.Time
}

// Open makes the cache folder if need be, and sweeps out what killed builds left there.
func Open(c Config) (*Cache, error) {
	if c.CacheDir == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "artifact cache: no folder given; name one, such as /var/cache/kubeclamp")
	}
	dir, err := filepath.Abs(c.CacheDir)
	if err != nil {
		return nil, err
	}
	c.CacheDir = dir
	if c.Catalogue == nil {
		if c.Catalogue, err = Builtin(); err != nil {
			return nil, err
		}
	}
	if c.Parallel < 1 {
		c.Parallel = 1
	}
	if c.Client == nil {
		c.Client = http.DefaultClient
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []string{tmpDir, lockDir, logDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, crowbar.Errorf(crowbar.Internal, "artifact cache %s: %w; choose a folder that can be written", dir, err)
		}
	}
	a := &Cache{Config: c, cat: c.Catalogue, verified: map[string]stamp{}, hashes: map[hashKey]string{}}
	a.sweep()
	return a, nil
}

// Stat finds an artifact by "component/file", or "component/file@version", for an architecture ("" = this machine's). What is not in the cache yet is
// fetched or built first, which may take minutes: Ensure shows progress.
func (a *Cache) Stat(ctx context.Context, name, arch string) (crowbar.Artifact, error) {
	art, _, err := a.find(ctx, name, arch)
	return art, err
}

// Open is Stat, and the file's content. The file is read and checked once in the life of the process.
func (a *Cache) Open(ctx context.Context, name, arch string) (io.ReadCloser, crowbar.Artifact, error) {
	art, path, err := a.find(ctx, name, arch)
	if err != nil {
		return nil, art, err
	}
	if err := a.verify(path, art.SHA256); err != nil {
		return nil, art, err
	}
	f, err := os.Open(path)
	return f, art, err
}

// Path is where an artifact is, after Stat.
func (a *Cache) Path(ctx context.Context, name, arch string) (string, error) {
	_, path, err := a.find(ctx, name, arch)
	return path, err
}

// Item is one file of the catalogue and whether the cache has it.
type Item struct {
	crowbar.Artifact
	Arch     string `json:"arch"`
	OnDemand bool   `json:"on_demand,omitempty"` // it has to be asked for by its version
	Ready    bool   `json:"ready"`
	Path     string `json:"path,omitempty"`
}

// List is the whole catalogue for an architecture, in the catalogue's order.
func (a *Cache) List(arch string) ([]Item, error) {
	arch = orHost(arch)
	var out []Item
	for _, c := range a.cat.Components {
		dir, err := a.dir(c, arch)
		if err != nil && crowbar.KindOf(err) != crowbar.NotFound {
			return nil, err
		}
		for _, f := range c.Files {
			it := Item{Artifact: crowbar.Artifact{Name: c.Name + "/" + f.Name, Version: c.Version}, Arch: arch, OnDemand: c.OnDemand}
			if err == nil {
				if art, ok := read(c, f, dir); ok {
					it.Artifact, it.Ready, it.Path = art, true, filepath.Join(dir, f.Name)
				}
			}
			out = append(out, it)
		}
	}
	return out, nil
}

// find gives an artifact that is in the cache, and brings it there first if it is not.
func (a *Cache) find(ctx context.Context, name, arch string) (art crowbar.Artifact, path string, err error) {
	arch = orHost(arch)
	c, f, err := a.cat.file(name)
	if err != nil {
		return art, "", err
	}
	dir, err := a.dir(c, arch)
	if err != nil {
		return art, "", err
	}
	art, ok := read(c, f, dir)
	if !ok {
		if err := a.Ensure(ctx, arch, nil, name); err != nil {
			return art, "", err
		}
		if art, ok = read(c, f, dir); !ok {
			return art, "", crowbar.Errorf(crowbar.Internal, "artifact %s for %s was made but is not in %s: is something else cleaning the cache?", name, arch, dir)
		}
	}
	return art, filepath.Join(dir, f.Name), nil
}

// dir is where a component's files are for one architecture.
func (a *Cache) dir(c *Component, arch string) (string, error) {
	hash, err := a.hashOf(c, arch)
	if err != nil {
		return "", err
	}
	return filepath.Join(a.CacheDir, c.Name, c.Version+"-"+hash, arch), nil
}

// hashOf is hash, reckoned once in the life of the process.
func (a *Cache) hashOf(c *Component, arch string) (string, error) {
	key := hashKey{c, arch}
	a.mu.Lock()
	defer a.mu.Unlock()
	if h, ok := a.hashes[key]; ok {
		return h, nil
	}
	h, err := a.hash(c, arch)
	if err == nil {
		a.hashes[key] = h
	}
	return h, err
}

// read gives a file of the cache, if it is whole: its sha256 file is written last.
func read(c *Component, f File, dir string) (crowbar.Artifact, bool) {
	art := crowbar.Artifact{Name: c.Name + "/" + f.Name, Version: c.Version}
	b, err := os.ReadFile(filepath.Join(dir, f.Name+".sha256"))
	if err != nil {
		return art, false
	}
	st, err := os.Stat(filepath.Join(dir, f.Name))
	sum, _, _ := strings.Cut(string(b), " ")
	if err != nil || !isSum(sum) {
		return art, false
	}
	art.SHA256, art.Size = sum, st.Size()
	return art, true
}

func orHost(arch string) string {
	if arch == "" {
		return runtime.GOARCH
	}
	return arch
}

// Versions is the versions of a component that the catalogue has, its default first.
func (a *Cache) Versions(component string) ([]string, error) { return a.cat.Versions(component) }
