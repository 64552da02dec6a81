package artifact

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// fetch brings every file of a component from the mirror, or from upstream where the mirror has not got it. The error is
// fs.ErrNotExist where some file is in neither; a wrong checksum is an error at once: the next source is not asked.
func (a *Cache) fetch(ctx context.Context, j *job, tmp string) (map[string]string, error) {
	made := map[string]string{}
	for _, f := range j.c.Files {
		to := filepath.Join(tmp, "fetched-"+f.Name)
		err := a.mirrored(j, f, to)
		if errors.Is(err, fs.ErrNotExist) {
			err = a.upstream(ctx, j, f, to)
		}
		if err != nil {
			return nil, err
		}
		made[f.Name] = to
	}
	return made, nil
}

// mirrored copies a file of the mirror folder.
func (a *Cache) mirrored(j *job, f File, to string) error {
	if a.MirrorDir == "" {
		return fs.ErrNotExist
	}
	from := filepath.Join(a.MirrorDir, j.c.Name, j.c.Version, j.arch, f.Name)
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	note, err := os.ReadFile(from + ".sha256")
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%s has no checksum beside it: run sha256sum %s > %s.sha256 there, if you trust the file (%v)", from, f.Name, f.Name, err)
	}
	want, _, _ := strings.Cut(strings.TrimSpace(string(note)), " ")
	if want = strings.ToLower(want); !isSum(want) {
		return crowbar.Errorf(crowbar.Invalid, "%s.sha256 does not begin with 64 hex digits: write it with sha256sum", from)
	}
	j.to(Fetching)
	if err := write(to, in); err != nil {
		return err
	}
	return matches(to, want, from, "the mirror "+a.MirrorDir, "copy the file there again, and its sha256 file from where it was published")
}

// upstream downloads a file.
func (a *Cache) upstream(ctx context.Context, j *job, f File, to string) error {
	u, ok := f.Fetch[j.arch]
	if !ok {
		return fs.ErrNotExist
	}
	url := strings.NewReplacer("{version}", j.c.Version, "{arch}", j.arch).Replace(u.URL)
	j.to(Fetching)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := a.Client.Do(req)
	if err != nil {
		return crowbar.Errorf(crowbar.Unavailable, "fetch %s: %w; check the way out (HTTPS_PROXY), or put the file into a mirror folder", f.Name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return crowbar.Errorf(crowbar.Unavailable, "fetch %s: %s answers %s; check the URL and version in the catalogue, or put the file into a mirror folder", f.Name, url, res.Status)
	}
	raw := to
	if u.Member != "" {
		raw = to + ".tar.gz"
	}
	if err := write(raw, res.Body); err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	if err := matches(raw, u.SHA256, f.Name, url, "the publisher changed it, the catalogue is wrong, or somebody is in between: compare with the publisher's signed list before you change the catalogue"); err != nil {
		return err
	}
	if u.Member != "" {
		return member(raw, strings.NewReplacer("{version}", j.c.Version, "{arch}", j.arch).Replace(u.Member), to)
	}
	return nil
}

// matches compares a file that has just been fetched, and removes it when it is wrong.
func matches(path, want, name, source, do string) error {
	got, err := sumFile(path)
	if err != nil {
		return err
	}
	if got != want {
		os.Remove(path)
		return badSum(name, want, got, source, do)
	}
	return nil
}

// member takes one file out of a .tar.gz.
func member(archive, name, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%s is no gzip file: %w", filepath.Base(archive), err)
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err == io.EOF {
			return crowbar.Errorf(crowbar.Invalid, "archive has no file %q: correct member in the catalogue", name)
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && strings.TrimPrefix(h.Name, "./") == name {
			return write(to, t)
		}
	}
}

func write(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}
