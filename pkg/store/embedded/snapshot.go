package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.uber.org/zap"
)

// Snapshot is what is known of a file that holds the state as it was at one moment.
type Snapshot struct {
	File     string
	Bytes    int64
	Revision int64
	Keys     int
}

// Snapshot writes the state as it is now to a file, in the form that etcd's own tools read: a whole one that has been opened
// and looked through, or none. Commits go on meanwhile.
func (s *Server) Snapshot(ctx context.Context, file string) (Snapshot, error) {
	part := file + ".part"
	defer os.Remove(part)
	if err := s.stream(ctx, part); err != nil {
		return Snapshot{}, fmt.Errorf("snapshot %s: %w", file, err)
	}
	got, err := Verify(part)
	if err != nil {
		return Snapshot{}, err
	}
	got.File = file
	return got, errors.Join(os.Rename(part, file), syncFolder(filepath.Dir(file)))
}

// stream copies what etcd sends to a file, down to the disk.
func (s *Server) stream(ctx context.Context, file string) error {
	from, err := s.client.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// Verify reads a snapshot from the disk: its sum must be right, and its pages whole.
func Verify(file string) (Snapshot, error) {
	bad := func(err error) (Snapshot, error) {
		return Snapshot{}, crowbar.Errorf(crowbar.Invalid, "%s is no whole snapshot of etcd: %w", file, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return Snapshot{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Snapshot{}, err
	}
	if info.Size()%512 != sha256.Size {
		return bad(fmt.Errorf("it has %d bytes, and no sum at its end", info.Size()))
	}
	sum, end := sha256.New(), make([]byte, sha256.Size)
	if _, err := io.CopyN(sum, f, info.Size()-sha256.Size); err != nil {
		return bad(err)
	}
	if _, err := io.ReadFull(f, end); err != nil {
		return bad(err)
	}
	if !bytes.Equal(sum.Sum(nil), end) {
		return bad(errors.New("its sum is another"))
	}
	is, err := snapshot.NewV3(zap.NewNop()).Status(file)
	if err != nil {
		return bad(err)
	}
	return Snapshot{File: file, Bytes: info.Size(), Revision: is.Revision, Keys: is.TotalKey}, nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
