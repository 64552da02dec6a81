package pki

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// keyFile is where a ring's keys come from: a line of base64 for each, the one that seals first; or one key of 32 bytes as
// it is. Lines that begin with # are remarks.
type keyFile struct {
	path     string
	readOnly bool // a systemd credential
	seen     fileStamp
}

// fileStamp tells whether a file has changed since it was read.
type fileStamp struct {
	size int64
	mod  time.Time
}

func stampOf(path string) fileStamp {
	st, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{st.Size(), st.ModTime()}
}

// CredentialName is the name under which systemd's LoadCredential= gives the daemon its sealing keys.
const CredentialName = "kubeclamp-seal-key"

// OpenRing reads the sealing keys of the host. With create, a file that is not there is made (mode 0600) with a new key;
// without it, that is an error. A file that others may read is refused.
func OpenRing(path string, create bool) (*Ring, error) { return openRing(&keyFile{path: path}, create) }

// OpenCredential reads the sealing keys out of a systemd credential, which is never written.
func OpenCredential(path string) (*Ring, error) {
	return openRing(&keyFile{path: path, readOnly: true}, false)
}

func openRing(f *keyFile, make bool) (*Ring, error) {
	if _, err := os.Stat(f.path); make && errors.Is(err, fs.ErrNotExist) {
		if err := create(f.path, lines([][]byte{newKey()})); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, crowbar.Errorf(crowbar.Internal, "make the sealing key %s: %w", f.path, err)
		}
	}
	r := &Ring{file: f}
	if err := r.read(); err != nil {
		return nil, err
	}
	return r, nil
}

func newKey() []byte {
	key := make([]byte, keySize)
	rand.Read(key)
	return key
}

func lines(keys [][]byte) []byte {
	b := bytes.NewBufferString("# kubeclamp's sealing keys, one a line: the first seals, all of them open. Without them no stored secret opens.\n")
	for _, k := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(k) + "\n")
	}
	return b.Bytes()
}

// read takes the keys out of the file. Those of a file that is not right do not replace the ones that there are.
func (r *Ring) read() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := stampOf(r.file.path)
	text, err := readPrivate(r.file.path)
	if errors.Is(err, fs.ErrNotExist) {
		return crowbar.Errorf(crowbar.NotFound, "there is no sealing key at %s: put the key file back; a new key would not open what the old one sealed", r.file.path)
	}
	if err != nil {
		return err
	}
	raw, err := parseKeys(text)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "sealing key %s: %w: put the right file back; without it no stored secret opens", r.file.path, err)
	}
	keys, err := ringKeys(raw)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "sealing key %s: %w", r.file.path, err)
	}
	// gofail: var keyLoaded struct{}
	r.keys, r.file.seen = keys, seen
	return nil
}

func parseKeys(text []byte) ([][]byte, error) {
	if len(text) == keySize {
		return [][]byte{text}, nil
	}
	var out [][]byte
	n := 0
	for l := range strings.Lines(string(text)) {
		n++
		if l = strings.TrimSpace(l); l == "" || l[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(l)
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("line %d is not a key (base64 of %d bytes)", n, keySize)
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("it has no key")
	}
	return out, nil
}

// again reads the file anew if it has changed, and says whether it did.
func (r *Ring) again() bool {
	r.mu.Lock()
	changed := r.file != nil && stampOf(r.file.path) != r.file.seen
	r.mu.Unlock()
	return changed && r.read() == nil
}

// Reload reads the keys anew from where they came from.
func (r *Ring) Reload() error {
	if r.file == nil {
		return nil
	}
	return r.read()
}

// Source says where the keys come from.
func (r *Ring) Source() string {
	switch {
	case r.file == nil:
		return "memory"
	case r.file.readOnly:
		return "the systemd credential " + r.file.path
	}
	return r.file.path
}

// Renew puts a new key in front, which seals from then on; it is on disk before it is used. The older ones stay.
func (r *Ring) Renew() error {
	return r.rewrite("make a new sealing key", func(keys [][]byte) ([][]byte, error) { return slices.Insert(keys, 0, newKey()), nil })
}

// Forget takes a key away for good; the first one, which seals, stays.
func (r *Ring) Forget(id string) error {
	return r.rewrite("forget the sealing key "+id, func(keys [][]byte) ([][]byte, error) {
		at := slices.Index(r.IDs(), id)
		switch {
		case at < 0:
			return nil, crowbar.Errorf(crowbar.NotFound, "there is none of this id; there are %v", r.IDs())
		case at == 0:
			return nil, crowbar.Errorf(crowbar.Conflict, "it is the one that seals: rotate first")
		}
		return slices.Delete(keys, at, at+1), nil
	})
}

// rewrite changes the keys in the file, and then here.
func (r *Ring) rewrite(what string, how func([][]byte) ([][]byte, error)) error {
	if r.file != nil && r.file.readOnly {
		return crowbar.Errorf(crowbar.Conflict, "%s: the keys come from %s, which cannot be written: change the lines of its source (a new key first), and start the daemon again; it goes on by itself", what, r.Source())
	}
	if err := r.Reload(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var raw [][]byte
	for _, k := range r.now() {
		raw = append(raw, k.raw)
	}
	raw, err := how(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if r.file != nil {
		if err := replace(r.file.path, lines(raw), 0o600); err != nil {
			return fmt.Errorf("%s: write %s: %w", what, r.file.path, err)
		}
		return r.Reload()
	}
	keys, err := ringKeys(raw)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = keys
	return nil
}

// AddKey puts a new key in front of a key file, or makes the file: to be copied to every daemon before one of them is told
// to use it. It gives the new key's id.
func AddKey(path string) (string, error) {
	_, err := os.Stat(path)
	r, openErr := OpenRing(path, true)
	if openErr != nil {
		return "", openErr
	}
	if err == nil { // it was there before
		if err := r.Renew(); err != nil {
			return "", err
		}
	}
	return r.IDs()[0], nil
}
