package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func ring(t *testing.T, path string, create bool) *Ring {
	t.Helper()
	r, err := OpenRing(path, create)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRingOpensWhatItSealedAtThatPlaceAlone(t *testing.T) {
	r, err := NewRing(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	sealed := r.Seal([]byte("a value"), "nodes/1/hint/x")
	if plain, err := r.Open(sealed, "nodes/1/hint/x"); err != nil || string(plain) != "a value" {
		t.Errorf("%q, %v", plain, err)
	}
	if bytes.Equal(sealed, r.Seal([]byte("a value"), "nodes/1/hint/x")) {
		t.Error("two seals are the same")
	}
	for what, try := range map[string]struct {
		sealed []byte
		place  string
	}{
		"another place": {sealed, "nodes/2/hint/x"}, "a changed bit": {append(bytes.Clone(sealed[:len(sealed)-1]), sealed[len(sealed)-1]^1), "nodes/1/hint/x"},
		"cut short": {sealed[:20], "nodes/1/hint/x"}, "nothing": {nil, "nodes/1/hint/x"},
	} {
		if _, err := r.Open(try.sealed, try.place); err == nil || crowbar.KindOf(err) != crowbar.Internal || !strings.Contains(err.Error(), try.place) {
			t.Errorf("%s: %v", what, err)
		}
	}
	other, _ := NewRing(bytes.Repeat([]byte{2}, 32))
	_, err = other.Open(sealed, "nodes/1/hint/x")
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), r.IDs()[0]) || !strings.Contains(err.Error(), "put the key file") {
		t.Errorf("another key: %v", err)
	}
	if both, _ := NewRing(bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32)); both == nil {
		t.Error("no ring of two")
	} else if _, err := both.Open(sealed, "nodes/1/hint/x"); err != nil {
		t.Errorf("the second key does not open: %v", err)
	}
	if _, err := NewRing([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
}

// What issue 2's daemon sealed had neither mark nor key id.
func TestRingOpensWhatHasNoID(t *testing.T) {
	r, _ := NewRing(bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{1}, 32))
	k := r.now()[1]
	nonce := bytes.Repeat([]byte{9}, k.gcm.NonceSize())
	old := k.gcm.Seal(nonce, nonce, []byte("old"), []byte("2/authority/etcd"))
	if plain, err := r.Open(old, "2/authority/etcd"); err != nil || string(plain) != "old" {
		t.Errorf("%q, %v", plain, err)
	}
	if id := r.KeyID(old); id != "" {
		t.Errorf("id %q", id)
	}
	if _, err := r.Open(old, "2/authority/other"); err == nil {
		t.Error("it opens at another place")
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := OpenRing(path, false); crowbar.KindOf(err) != crowbar.NotFound || !strings.Contains(err.Error(), "put the key file back") {
		t.Errorf("no file: %v", err)
	}
	one := ring(t, path, true)
	if two := ring(t, path, true); !slices.Equal(one.IDs(), two.IDs()) || len(one.IDs()) != 1 {
		t.Errorf("second read differs: %v, %v", one.IDs(), two.IDs())
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", st.Mode().Perm())
	}
	os.Chmod(path, 0o644)
	if _, err := OpenRing(path, true); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable key: %v", err)
	}
	os.Chmod(path, 0o600)
	for name, text := range map[string]string{"short": "abcde", "no key": "# nothing\n", "a line that is none": string(lines([][]byte{newKey()})) + "x\n"} {
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := OpenRing(path, true); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw := bytes.Repeat([]byte{'\n'}, 32) // of issue 2: the key as it is, whatever its bytes
	os.WriteFile(path, raw, 0o600)
	want, _ := NewRing(raw)
	if r := ring(t, path, false); !slices.Equal(r.IDs(), want.IDs()) {
		t.Errorf("raw key has id %v", r.IDs())
	}
}

func TestRenewAndForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	r, beside := ring(t, path, true), ring(t, path, false)
	old := r.IDs()[0]
	sealed := r.Seal([]byte("v"), "p")
	if err := r.Forget(old); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("the key that seals is forgotten: %v", err)
	}
	if err := r.Renew(); err != nil {
		t.Fatal(err)
	}
	ids := r.IDs()
	if len(ids) != 2 || ids[1] != old {
		t.Fatalf("keys %v", ids)
	}
	newer := r.Seal([]byte("w"), "p")
	if r.KeyID(newer) != ids[0] || r.KeyID(sealed) != old {
		t.Error("the new key does not seal")
	}
	// Another daemon, whose file has been brought up to date, finds the new key when it meets it.
	if plain, err := beside.Open(newer, "p"); err != nil || string(plain) != "w" || beside.IDs()[0] != ids[0] {
		t.Errorf("%q, %v, %v", plain, err, beside.IDs())
	}
	if err := r.Forget(old); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(sealed, "p"); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("forgotten key: %v", err)
	}
	if err := r.Forget("0011223344556677"); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("no such key: %v", err)
	}
	if id, err := AddKey(path); err != nil || id == ids[0] || !slices.Equal(ring(t, path, false).IDs(), []string{id, ids[0]}) {
		t.Errorf("added %s, %v", id, err)
	}
	if id, err := AddKey(path + "2"); err != nil || !slices.Equal(ring(t, path+"2", false).IDs(), []string{id}) {
		t.Errorf("made %s, %v", id, err)
	}
}

// TestHalfAKeyFile: a file that is being copied over by hand does not take the keys away that are in use.
func TestHalfAKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	r := ring(t, path, true)
	sealed := r.Seal([]byte("v"), "p")
	os.WriteFile(path, []byte("half"), 0o600)
	if err := r.Reload(); err == nil {
		t.Error("half a file is taken")
	}
	if _, err := r.Open(sealed, "p"); err != nil {
		t.Error(err)
	}
}

func TestCredentialIsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), CredentialName)
	if _, err := OpenCredential(path); err == nil {
		t.Error("a credential is made")
	}
	os.WriteFile(path, lines([][]byte{newKey()}), 0o400)
	r, err := OpenCredential(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Renew(); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "start the daemon again") {
		t.Errorf("renew: %v", err)
	}
}
