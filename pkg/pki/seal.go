package pki

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// sealer is AES-256-GCM with a random nonce in front of each sealed value.
type sealer struct{ gcm cipher.AEAD }

func newSealer(key []byte) (sealer, error) {
	if len(key) != 32 {
		return sealer{}, crowbar.Errorf(crowbar.Invalid, "sealing key has %d bytes, it must have 32: give the daemon's own key file", len(key))
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	gcm, err := cipher.NewGCM(b)
	return sealer{gcm}, err
}

func (s sealer) close(plain, to []byte) []byte {
	nonce := make([]byte, s.gcm.NonceSize(), s.gcm.NonceSize()+len(plain)+s.gcm.Overhead())
	rand.Read(nonce)
	return s.gcm.Seal(nonce, nonce, plain, to)
}

func (s sealer) open(sealed, to []byte) ([]byte, error) {
	n := s.gcm.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("sealed value is too short")
	}
	return s.gcm.Open(nil, sealed[:n], sealed[n:], to)
}

// LoadKey reads the 32-byte sealing key of the host, and makes the file (mode 0600) where there is none. A file that others
// may read is refused.
func LoadKey(path string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key)
	if err := create(path, key); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, crowbar.Errorf(crowbar.Internal, "make the sealing key %s: %w", path, err)
	}
	key, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	if len(key) != 32 {
		return nil, crowbar.Errorf(crowbar.Invalid, "sealing key %s has %d bytes, it must have 32: put the right file back; without it no stored secret opens", path, len(key))
	}
	// gofail: var keyLoaded struct{}
	return key, nil
}

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
	return os.Link(tmp, path)
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
	return nil
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
