package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestSharedHost: two hosts that share a state come to have one authority; the one that stored first counts.
func TestSharedHost(t *testing.T) {
	p, err := New(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	s := crowbar.NewSnapshot()
	var prints []string
	for range 3 {
		dir := filepath.Join(t.TempDir(), "tls")
		mine, err := HostBundle(dir)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time nothing changes
			all, changes, err := p.Shared(s, "host/authority", mine)
			if err != nil {
				t.Fatal(err)
			}
			if s = s.Apply(s.Rev()+1, changes...); bytes.Contains(s.SecretNamed(0, "host/authority").Sealed, []byte("PRIVATE")) {
				t.Error("it lies open in the state")
			}
			if err := AdoptHost(dir, all); err != nil {
				t.Fatal(err)
			}
		}
		a, err := HostAuthority(dir)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(filepath.Join(dir, "ca.key")); err != nil || st.Mode().Perm() != 0o600 {
			t.Error(st, err)
		}
		prints = append(prints, a.Fingerprint())
	}
	if prints[0] != prints[1] || prints[0] != prints[2] {
		t.Error(prints)
	}
	if err := AdoptHost(t.TempDir(), "nothing"); err == nil {
		t.Error("adopted nothing")
	}
}
