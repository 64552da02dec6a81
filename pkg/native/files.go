package native

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// files is the artifacts of a package: what each must be is in artifacts.json, and they themselves lie in the folder files/ beside it,
// or at an address.
type files struct {
	dir, url string
	known    map[string]Artifact
	to       jig.Conn
}

// Artifact is one entry of artifacts.json, by its name "component/file".
type Artifact struct {
	crowbar.Artifact
	Path string `json:"path"` // below the folder of files
}

func openFiles(dir, url string, to jig.Conn) (*files, error) {
	f := &files{dir: dir, url: strings.TrimSuffix(url, "/"), known: map[string]Artifact{}, to: to}
	var all []Artifact
	err := readJSON(filepath.Join(dir, "artifacts.json"), &all)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // roles that need none can go on
	}
	for _, a := range all {
		f.known[a.Name] = a
	}
	return f, err
}

// Stat finds an artifact.
func (f *files) Stat(_ context.Context, name string) (role.Artifact, error) {
	a, ok := f.known[name]
	if !ok {
		return role.Artifact{}, crowbar.Errorf(crowbar.NotFound, "the package knows no artifact %s for this kind of machine: make it anew with 'barclamp package'", name)
	}
	return a.Artifact, nil
}

// Put writes it to path on the node, after its sum was looked at.
func (f *files) Put(ctx context.Context, name, path string, mode fs.FileMode) error {
	want, err := f.Stat(ctx, name)
	if err != nil {
		return err
	}
	from, err := f.open(ctx, f.known[name].Path)
	if err != nil {
		return fmt.Errorf("artifact %s: %w", name, err)
	}
	defer from.Close()
	if err := f.to.Put(ctx, path, mode, &checked{from, want, sha256.New()}); err != nil {
		return fmt.Errorf("artifact %s to %s: %w", name, path, err)
	}
	return nil
}

func (f *files) open(ctx context.Context, path string) (io.ReadCloser, error) {
	if here, err := os.Open(filepath.Join(f.dir, "files", path)); err == nil {
		return here, nil
	}
	if f.url == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib kubeclamp-files-url is not set, so that there is nowhere to fetch it from")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url+"/"+path, nil)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib kubeclamp-files-url: %w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req) // the server's own share: past any proxy
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "fetch it: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, crowbar.Errorf(crowbar.Unavailable, "fetch %s: %s: is the folder that 'barclamp package --artifacts' made shared there?", req.URL, resp.Status)
	}
	return resp.Body, nil
}

// checked ends in an error instead of the end of the file where the content was not the right one.
type checked struct {
	from io.Reader
	want crowbar.Artifact
	sum  hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.want.SHA256 {
			return n, crowbar.Errorf(crowbar.Invalid, "it has another content (sha256 %s) than the package was made with (%s)", got, c.want.SHA256)
		}
	}
	return n, err
}
