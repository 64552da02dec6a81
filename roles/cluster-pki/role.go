// Package clusterpki vouches for the cluster's certificate authorities before any node is given a certificate of theirs. It
// does not know how they are made or kept, and holds no private key.
package clusterpki

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// authorities are the attribs that this role has, one an authority.
var authorities = []string{"etcd-ca", "kubernetes-ca", "front-proxy-ca"}

// Role is cluster-pki. Now is its clock; nil means the machine's.
type Role struct{ Now func() time.Time }

// New makes the role.
func New() role.Role { return Role{} }

// Describe names the role and what it reads.
func (Role) Describe() role.Info {
	return role.Info{Name: "cluster-pki", Version: "1.0", Wants: authorities}
}

// Apply checks each authority and gives back what is public of it. It touches no node.
func (r Role) Apply(_ context.Context, on role.Target) (role.Result, error) {
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	given := map[string]any{}
	var errs []error
	for _, attrib := range authorities {
		text, _ := on.Attribs[attrib].(string)
		cert, err := check(text, now())
		if err != nil {
			errs = append(errs, fmt.Errorf("attrib %s: %w", attrib, err))
			continue
		}
		sum := sha256.Sum256(cert.Raw)
		end := cert.NotAfter.UTC().Format(time.RFC3339)
		given[strings.TrimSuffix(attrib, "-ca")] = map[string]any{"fingerprint": hex.EncodeToString(sum[:]), "not_after": end}
		on.Logf("%s: %s, until %s", attrib, cert.Subject.CommonName, end)
	}
	if len(errs) > 0 {
		return role.Result{}, errors.Join(errs...)
	}
	return role.Result{Wall: map[string]any{"cluster-pki-authorities": given}}, nil
}

// Remove has nothing to take off: the authorities are the host's.
func (Role) Remove(context.Context, role.Target) error { return nil }

// check reads an authority: the newest certificate comes first, others may follow while one is replaced.
func check(text string, now time.Time) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM form: the host makes it, so run the deployment again and look for its error about the authority")
	}
	for b, more := pem.Decode(rest); b != nil; b, more = pem.Decode(more) {
		if b.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a %s: only certificates belong here; nothing secret may be in this attrib", b.Type)
		}
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate cannot be read: %w: set another, or unset the attrib and the host makes one", err)
	}
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, fmt.Errorf("certificate %q may not sign others: it is no authority: set one, or unset the attrib and the host makes one", cert.Subject.CommonName)
	case !bytes.Equal(cert.RawIssuer, cert.RawSubject) || cert.CheckSignatureFrom(cert) != nil:
		return nil, fmt.Errorf("certificate %q is not signed by itself: it is no root: set one, or unset the attrib and the host makes one", cert.Subject.CommonName)
	case now.Before(cert.NotBefore):
		return nil, fmt.Errorf("certificate %q begins at %s, which is later than now: set the host's clock right", cert.Subject.CommonName, cert.NotBefore.UTC().Format(time.RFC3339))
	case !now.Before(cert.NotAfter): // the host rotates it long before, and renews it where it cannot
		return nil, fmt.Errorf("certificate %q ended at %s: set the host's clock right, or run the deployment again so that the host renews it", cert.Subject.CommonName, cert.NotAfter.UTC().Format(time.RFC3339))
	}
	return cert, nil
}
