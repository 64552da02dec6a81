package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// recorder counts what a run does to the node.
type recorder struct {
	jig.Conn
	verbose     bool
	mu          sync.Mutex
	execs, puts int
	gets, dials int
	artifacts   int
	bytes       int64
}

func (r *recorder) sum() string {
	return fmt.Sprintf("%d Exec, %d Put (%d of them artifacts, %.1f MB in all), %d Get, %d Dial", r.execs, r.puts, r.artifacts, float64(r.bytes)/1e6, r.gets, r.dials)
}

func (r *recorder) note(n *int, start time.Time, format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
	if r.verbose {
		fmt.Printf("%7s  %s\n", time.Since(start).Round(time.Millisecond), fmt.Sprintf(format, a...))
	}
}

func (r *recorder) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	start := time.Now()
	exit, err := r.Conn.Exec(ctx, c)
	r.note(&r.execs, start, "exec %s -> %s", brief(strings.Join(c.Argv, " "), 120), ended(exit, err))
	return exit, err
}

func ended(exit jig.Exit, err error) string {
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprint(exit.Code)
	if exit.Code != 0 {
		s += " " + brief(string(exit.Stderr), 400)
	}
	return s
}

func brief(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

func (r *recorder) Put(ctx context.Context, path string, mode fs.FileMode, from io.Reader) error {
	start, count := time.Now(), &counting{Reader: from}
	err := r.Conn.Put(ctx, path, mode, count)
	r.note(&r.puts, start, "put %s %04o %d bytes %v", path, mode.Perm(), count.n, errText(err))
	r.bytes += count.n
	return err
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

type counting struct {
	io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (r *recorder) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	defer r.note(&r.gets, time.Now(), "get %s", path)
	return r.Conn.Get(ctx, path)
}

// folder is role.Artifacts over a folder of files.
type folder struct {
	dir  string
	st   *state
	conn jig.Conn
	rec  *recorder
}

func (f *folder) find(name string) (string, error) {
	base := filepath.Base(name)
	for _, p := range []string{name, base, name + ".tar", base + ".tar", filepath.Join("images", base+".tar")} {
		p = filepath.Join(f.dir, p)
		if i, err := os.Stat(p); err == nil && i.Mode().IsRegular() && f.dir != "" {
			return p, nil
		}
	}
	return "", crowbar.Errorf(crowbar.NotFound, "artifact %q: no such file in -artifacts %q", name, f.dir)
}

// Stat hashes the file, and remembers the hash by size and time.
func (f *folder) Stat(_ context.Context, name string) (crowbar.Artifact, error) {
	path, err := f.find(name)
	if err != nil {
		return crowbar.Artifact{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return crowbar.Artifact{}, err
	}
	key := fmt.Sprint(info.Size(), info.ModTime().UnixNano())
	if a, ok := f.st.Hashes[path][key]; ok {
		return a, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return crowbar.Artifact{}, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return crowbar.Artifact{}, err
	}
	a := crowbar.Artifact{Name: name, Version: "live", SHA256: hex.EncodeToString(h.Sum(nil)), Size: info.Size()}
	f.st.Hashes[path] = map[string]crowbar.Artifact{key: a}
	return a, f.st.save()
}

// Put streams the file to the node; a wrong sum stops it before the rename.
func (f *folder) Put(ctx context.Context, name, path string, mode fs.FileMode) error {
	a, err := f.Stat(ctx, name)
	if err != nil {
		return err
	}
	from, err := f.find(name)
	if err != nil {
		return err
	}
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	f.rec.artifacts++
	return f.conn.Put(ctx, path, mode, &checked{Reader: file, h: sha256.New(), want: a.SHA256})
}

type checked struct {
	io.Reader
	h    hash.Hash
	want string
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.h.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(c.h.Sum(nil)) != c.want {
		return n, errors.New("the artifact's sha256 is not what it was")
	}
	return n, err
}
