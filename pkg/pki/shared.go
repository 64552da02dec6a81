package pki

import (
	"bytes"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Shared gives a value that all daemons on one state have in common: the one that is stored, or else mine, which comes back
// sealed as a change. It belongs to no deployment.
func (p *PKI) Shared(s *crowbar.Snapshot, name, mine string) (string, []crowbar.Change, error) {
	if old := s.SecretNamed(0, name); old != nil {
		var v string
		err := p.open(old, &v)
		return v, nil, err
	}
	d := &draft{PKI: p, s: s, next: s.Next()}
	return mine, d.changes, d.put(nil, 0, name, mine, nil)
}

// HostBundle is the host's authority with its key as one text, for other hosts to take over.
func HostBundle(dir string) (string, error) {
	a, err := HostAuthority(dir)
	if err != nil {
		return "", err
	}
	return a.pem + a.kpem, nil
}

// AdoptHost puts an authority of HostBundle into dir, where there is none or another one.
func AdoptHost(dir, bundle string) error {
	var cert, key []byte
	for rest := []byte(bundle); ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type == "CERTIFICATE" {
			cert = append(cert, pem.EncodeToMemory(b)...)
		} else {
			key = append(key, pem.EncodeToMemory(b)...)
		}
	}
	if _, err := parseAuthority(cert, key); err != nil {
		return crowbar.Errorf(crowbar.Internal, "the host authority in the state: %w", err)
	}
	keyPath := filepath.Join(dir, "ca.key")
	had, err := os.ReadFile(keyPath)
	switch {
	case err == nil && strings.TrimSpace(string(had)) == strings.TrimSpace(string(key)):
		return nil // maybe with a younger certificate
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	// The key last: where only the certificate is new, the next start does this again.
	return errors.Join(replace(filepath.Join(dir, "ca.crt"), cert, 0o644), replace(keyPath, bytes.Clone(key), 0o600))
}
