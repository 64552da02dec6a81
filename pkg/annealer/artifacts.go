package annealer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// artifacts streams files of the host's catalogue to one node.
type artifacts struct {
	from Artifacts
	arch string
	to   *recorder
	log  *runLog
}

var errNoArtifacts = crowbar.Errorf(crowbar.Invalid, "this daemon has no catalogue of artifacts")

// Stat finds an artifact for the node's architecture.
func (a *artifacts) Stat(ctx context.Context, name string) (role.Artifact, error) {
	if a.from == nil {
		return role.Artifact{}, errNoArtifacts
	}
	art, err := a.from.Stat(ctx, name, a.arch)
	if a.to != nil { // of a dry run nobody remembers what it saw
		a.to.seen.stat(name, art, err)
	}
	return art, err
}

// Put streams an artifact to the node. Its sum is checked on the way: where it is wrong the stream ends before its end, and
// the node keeps nothing of it.
func (a *artifacts) Put(ctx context.Context, name, path string, mode fs.FileMode) error {
	if a.from == nil {
		return errNoArtifacts
	}
	rc, art, err := a.from.Open(ctx, name, a.arch)
	if err != nil {
		return err
	}
	defer rc.Close()
	a.log.line("artifact %s %s, %d bytes", name, art.Version, art.Size)
	if err := a.to.Put(ctx, path, mode, &checked{r: rc, want: art, sum: sha256.New()}); err != nil {
		return fmt.Errorf("artifact %s to %s: %w", name, path, err)
	}
	return nil
}

// checked ends in an error instead of the end of the file where the content was not the right one.
type checked struct {
	r    io.Reader
	want crowbar.Artifact
	sum  hash.Hash
	n    int64
}

// Read reads on, and judges at the end.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	if err == nil {
		return n, nil
	}
	if err != io.EOF {
		return n, fmt.Errorf("read artifact %s: %w", c.want.Name, err)
	}
	if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.want.SHA256 {
		return n, crowbar.Errorf(crowbar.Invalid, "artifact %s %s has the wrong content: sha256 %s (%d bytes) is expected, and it is %s (%d bytes): remove it from the cache so that it is fetched again; nothing was left on the node",
			c.want.Name, c.want.Version, c.want.SHA256, c.want.Size, got, c.n)
	}
	return n, io.EOF
}
