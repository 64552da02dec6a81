package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Folders of the cache beside the components.
const (
	tmpDir  = ".tmp"
	lockDir = ".lock"
	logDir  = ".log"
)

// lock waits for a file lock, over all processes, until ctx ends. waiting is called once if it is not had at once.
func (a *Cache) lock(ctx context.Context, waiting func(), names ...string) (unlock func(), err error) {
	for pause := 20 * time.Millisecond; ; pause = min(pause*2, 500*time.Millisecond) {
		for _, name := range names {
			f, err := flock(filepath.Join(a.CacheDir, lockDir, name))
			if err == nil {
				return func() { f.Close() }, nil
			}
			if !errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, crowbar.Errorf(crowbar.Internal, "lock %s in %s: %w", name, a.CacheDir, err)
			}
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that makes %s in %s: %w", strings.Join(names, " or "), a.CacheDir, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// flock takes a lock at once or gives EWOULDBLOCK; it lasts until the file is closed or the process ends.
func flock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// scratch is a temporary folder on the cache's own file system. It is locked while its process lives, so that sweep knows
// which ones were left behind.
func (a *Cache) scratch() (dir string, done func(), err error) {
	dir, err = os.MkdirTemp(filepath.Join(a.CacheDir, tmpDir), "")
	if err != nil {
		return "", nil, err
	}
	f, err := flock(dir + ".lock")
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() {
		os.RemoveAll(dir)
		os.Remove(dir + ".lock")
		f.Close()
	}, nil
}

// sweep removes what killed processes left. A folder whose lock file is not there yet is younger than a minute.
func (a *Cache) sweep() {
	root := filepath.Join(a.CacheDir, tmpDir)
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		dir := filepath.Join(root, strings.TrimSuffix(e.Name(), ".lock"))
		if _, err := os.Stat(dir + ".lock"); err != nil {
			if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < time.Minute {
				continue
			}
		}
		f, err := flock(dir + ".lock")
		if err != nil {
			continue
		}
		os.RemoveAll(dir)
		os.Remove(dir + ".lock")
		f.Close()
	}
}

// keep moves a finished file of a scratch folder to its place: synced, renamed, and its sha256 last, which makes it whole.
func (a *Cache) keep(from, dir, name string) error {
	sum, err := sumFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(from, 0o755); err != nil {
		return err
	}
	note := from + ".sha256"
	if err := os.WriteFile(note, []byte(sum+"  "+name+"\n"), 0o644); err != nil {
		return err
	}
	for _, p := range []string{from, note} {
		if err := flush(p); err != nil {
			return err
		}
	}
	if err := os.Rename(from, filepath.Join(dir, name)); err != nil {
		return err
	}
	return os.Rename(note, filepath.Join(dir, name+".sha256"))
}

func flush(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Export writes what the cache has of the named components or artifacts, and makes what it has not, into a folder that others
// can use as their mirror. Files that are there already and right are left alone.
func (a *Cache) Export(ctx context.Context, dir, arch string, progress func(Event), names ...string) error {
	arch = orHost(arch)
	if err := a.Ensure(ctx, arch, progress, names...); err != nil {
		return err
	}
	picked, err := a.cat.pick(names)
	if err != nil {
		return err
	}
	for _, c := range picked {
		to := filepath.Join(dir, c.Name, c.Version, arch)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		for _, f := range c.Files {
			if err := a.export(ctx, c.Name+"/"+f.Name+"@"+c.Version, arch, filepath.Join(to, f.Name)); err != nil {
				return fmt.Errorf("export %s/%s: %w", c.Name, f.Name, err)
			}
		}
	}
	return nil
}

func (a *Cache) export(ctx context.Context, name, arch, to string) error {
	r, art, err := a.Open(ctx, name, arch)
	if err != nil {
		return err
	}
	defer r.Close()
	if got, err := sumFile(to); err == nil && got == art.SHA256 {
		return nil
	}
	if err := write(to+".new", r); err != nil {
		return err
	}
	if err := os.Rename(to+".new", to); err != nil {
		return err
	}
	return os.WriteFile(to+".sha256", []byte(art.SHA256+"  "+filepath.Base(to)+"\n"), 0o644)
}

// verify reads a file of the cache and compares it with its sha256, once in the life of the process and again when it changes.
func (a *Cache) verify(path, want string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	now := stamp{st.Size(), st.ModTime()}
	a.mu.Lock()
	seen, ok := a.verified[path]
	a.mu.Unlock()
	if ok && seen == now {
		return nil
	}
	got, err := sumFile(path)
	if err != nil {
		return err
	}
	if got != want {
		os.Remove(path + ".sha256")
		os.Remove(path)
		return badSum(path, want, got, "the cache", "it was changed after it was made and is removed now; try again, it is then fetched or built anew")
	}
	a.mu.Lock()
	a.verified[path] = now
	a.mu.Unlock()
	return nil
}

func badSum(file, want, got, source, do string) error {
	return crowbar.Errorf(crowbar.Invalid, "wrong checksum of %s from %s: expected sha256 %s, got %s: %s", file, source, want, got, do)
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
