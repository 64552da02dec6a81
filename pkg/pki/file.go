package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// readPrivate reads a file that only its owner may read.
func readPrivate(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s can be read by others (mode %04o): run chmod 600 %s, and think about who has read it", path, st.Mode().Perm(), path)
	}
	return os.ReadFile(path)
}

// create writes a new file, whole or not at all; fs.ErrExist if it is there.
func create(path string, data []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	tmp, err := temp(path, data, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	// gofail: var beforeLink struct{}
	if err := os.Link(tmp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// replace writes a file over an older one, atomically.
func replace(path string, data []byte, mode fs.FileMode) error {
	tmp, err := temp(path, data, mode)
	if err != nil {
		return err
	}
	// gofail: var beforeRename struct{}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes sure that a new name outlives a power cut.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func temp(path string, data []byte, mode fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
