package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// HostAuthority is the host's own authority, for the daemon's API certificate: kept in dir as ca.crt and ca.key (0600), made
// when it is not there, and given a new life (same key) when two thirds of it are over.
func HostAuthority(dir string) (*Authority, error) { return hostAuthority(dir, time.Now()) }

func hostAuthority(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	certPath, keyPath := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
	key, err := readPrivate(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		fresh, err := newAuthority("kubeclamp host", "", now, AuthorityLife)
		if err != nil {
			return nil, err
		}
		if err := create(keyPath, []byte(fresh.kpem)); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		key, err = readPrivate(keyPath)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(certPath)
	if err == nil {
		a, err := parseAuthority(cert, key)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "host authority in %s: %w; put the right files back, or remove ca.crt and ca.key for a new authority (clients must then trust the new one)", dir, err)
		}
		if !spent(a.cert, now) {
			return a, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return hostCert(certPath, key, now)
}

// hostCert signs the authority's certificate for a key that is there already, anew or for the first time.
func hostCert(path string, keyPEM []byte, now time.Time) (*Authority, error) {
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "host authority's key beside %s: %w; put the right file back", path, err)
	}
	a, err := selfSigned(subjectOf("kubeclamp host", ""), key, now, AuthorityLife)
	if err != nil {
		return nil, err
	}
	return a, replace(path, []byte(a.pem), 0o644)
}

// Issue makes a certificate and a key in PEM form, one year long.
func (a *Authority) Issue(l crowbar.Leaf) (cert, key []byte, err error) {
	r, err := wanted(l)
	if err != nil {
		return nil, nil, err
	}
	c, k, _, err := a.issue(r, time.Now(), LeafLife)
	return []byte(c), []byte(k), err
}

// Keep gives the paths of NAME.crt and NAME.key (0600) in dir, and issues them when they are not there, do not fit the leaf
// or are near their end. Call it again, daily say, to keep them fresh.
func (a *Authority) Keep(dir, name string, l crowbar.Leaf) (certPath, keyPath string, err error) {
	return a.keep(dir, name, l, time.Now())
}

func (a *Authority) keep(dir, name string, l crowbar.Leaf, now time.Time) (certPath, keyPath string, err error) {
	want, err := wanted(l)
	if err != nil {
		return "", "", err
	}
	certPath, keyPath = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	cert, cerr := os.ReadFile(certPath)
	key, kerr := readPrivate(keyPath)
	if cerr == nil && kerr == nil && a.serves(pair{Cert: string(cert), Key: string(key)}, want, now) {
		return certPath, keyPath, nil
	}
	c, k, _, err := a.issue(want, now, LeafLife)
	if err != nil {
		return "", "", err
	}
	if err := replace(keyPath, []byte(k), 0o600); err != nil {
		return "", "", err
	}
	return certPath, keyPath, replace(certPath, []byte(c), 0o644)
}
