package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Verify reads a backup from the disk, restores its etcd into a member of its own, and notes that it was right.
func (b *Backups) Verify(ctx context.Context, name string) (crowbar.Backup, error) {
	one, dir, err := b.find(name)
	if err != nil {
		return one, err
	}
	if err := Whole(dir, one); err != nil {
		return one, err
	}
	rev, keys, err := b.Rehearse(ctx, filepath.Join(dir, EtcdFile))
	if err != nil {
		return one, err
	}
	if rev != one.Revision || keys != one.Keys {
		return one, crowbar.Errorf(crowbar.Invalid, "backup %s is not what it says: restored, its etcd is at revision %d with %d keys, and not at %d with %d", name, rev, keys, one.Revision, one.Keys)
	}
	one.Verified = time.Now().UTC()
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, _, err := b.find(name); err != nil { // deleted meanwhile
		return one, err
	}
	return one, b.note(dir, one)
}

// Whole is an error unless the files in a folder are those of the backup.
func Whole(dir string, one crowbar.Backup) error {
	if !slices.ContainsFunc(one.Files, func(f crowbar.BackupFile) bool { return f.Name == EtcdFile }) {
		return crowbar.Errorf(crowbar.Invalid, "backup %s is damaged: it names no %s", one.Name, EtcdFile)
	}
	for _, want := range one.Files {
		if filepath.Base(want.Name) != want.Name {
			return crowbar.Errorf(crowbar.Invalid, "backup %s is damaged: %q is no file of it", one.Name, want.Name)
		}
		got, err := sum(filepath.Join(dir, want.Name))
		if err != nil {
			return crowbar.Errorf(crowbar.Invalid, "backup %s is damaged: %w", one.Name, err)
		}
		if got != want {
			return crowbar.Errorf(crowbar.Invalid, "backup %s is damaged: %s has %d bytes with the sum %s, and not %d with %s: delete it, and use another one", one.Name, want.Name, got.Bytes, got.SHA256, want.Bytes, want.SHA256)
		}
	}
	return nil
}

func sum(file string) (crowbar.BackupFile, error) {
	f, err := os.Open(file)
	if err != nil {
		return crowbar.BackupFile{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return crowbar.BackupFile{Name: filepath.Base(file), Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

func flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
