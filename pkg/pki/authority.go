package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Authority is one certificate authority with its key.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
	kpem string

	next *pair    // that is to sign, and is trusted already
	old  []string // certificates of those that signed before, and are trusted still
}

// PEM is the certificates of those who verify, the newest first: more than one while the authority is replaced.
func (a *Authority) PEM() string {
	all := a.pem + strings.Join(a.old, "")
	if a.next != nil {
		all = a.next.Cert + all
	}
	return all
}

// Pool is the authority as a root for crypto/tls.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AppendCertsFromPEM([]byte(a.PEM()))
	return p
}

// Fingerprint is the SHA-256 of the certificate, in hex.
func (a *Authority) Fingerprint() string {
	sum := sha256.Sum256(a.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// newAuthority makes a self-signed authority; of says whose it is.
func newAuthority(name, of string, now time.Time, life time.Duration) (*Authority, error) {
	if name == "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "the authority has no name: name one in barclamp.yaml")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return selfSigned(subjectOf(name, of), key, now, life)
}

func subjectOf(name, of string) pkix.Name {
	return pkix.Name{CommonName: name + " authority", Organization: compact([]string{of})}
}

// renew gives the same authority (subject and key) a new life: what it signed before still verifies.
func (a *Authority) renew(now time.Time, life time.Duration) error {
	n, err := selfSigned(a.cert.Subject, a.key, now, life)
	if err == nil {
		a.cert, a.pem = n.cert, n.pem
	}
	return err
}

func selfSigned(subject pkix.Name, key *ecdsa.PrivateKey, now time.Time, life time.Duration) (*Authority, error) {
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: subject,
		NotBefore: now.Add(-backdate).UTC(), NotAfter: now.Add(life).UTC(),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	kp, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	return parseAuthority([]byte(block("CERTIFICATE", der)), []byte(kp))
}

func parseAuthority(certPEM, kp []byte) (*Authority, error) {
	cert, err := parseCert(certPEM)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	key, err := parseKey(kp)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", cert.Subject.CommonName, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("authority %s: its key does not belong to its certificate", cert.Subject.CommonName)
	}
	return &Authority{cert: cert, key: key, pem: string(certPEM), kpem: string(kp)}, nil
}

// request is a Leaf in the certificate's own terms, each list sorted and without doubles.
type request struct {
	subject pkix.Name
	dns     []string
	ip      [][]byte
	usages  []x509.ExtKeyUsage
}

// issue makes a key and a certificate for it.
func (a *Authority) issue(r request, now time.Time, life time.Duration) (cert, key string, made *x509.Certificate, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", nil, err
	}
	end := now.Add(life).UTC()
	if a.cert.NotAfter.Before(end) {
		end = a.cert.NotAfter
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: r.subject,
		NotBefore: now.Add(-backdate).UTC().Truncate(time.Second), NotAfter: end.Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: r.usages,
		BasicConstraintsValid: true, DNSNames: r.dns,
	}
	for _, ip := range r.ip {
		t.IPAddresses = append(t.IPAddresses, ip)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, k.Public(), a.key)
	if err != nil {
		return "", "", nil, err
	}
	key, err = keyPEM(k)
	return block("CERTIFICATE", der), key, t, err
}

// serves says whether a stored certificate still is what is wanted: same names and usages, this authority, young enough.
func (a *Authority) serves(p pair, want request, now time.Time) bool {
	cert, err := parseCert([]byte(p.Cert))
	if err != nil || spent(cert, now) || cert.CheckSignatureFrom(a.cert) != nil {
		return false
	}
	key, err := parseKey([]byte(p.Key))
	if err != nil || !key.PublicKey.Equal(cert.PublicKey) {
		return false
	}
	have := request{subject: cert.Subject, dns: slices.Clone(cert.DNSNames), usages: slices.Clone(cert.ExtKeyUsage)}
	for _, ip := range cert.IPAddresses {
		have.ip = append(have.ip, short(ip))
	}
	have.tidy()
	return have.subject.CommonName == want.subject.CommonName &&
		slices.Equal(have.subject.Organization, want.subject.Organization) &&
		slices.Equal(have.dns, want.dns) && slices.Equal(have.usages, want.usages) &&
		slices.EqualFunc(have.ip, want.ip, bytes.Equal)
}

// begins is when a certificate was made: it counts from a little before.
func begins(c *x509.Certificate) time.Time { return c.NotBefore.Add(backdate) }

// spent says that two thirds of a certificate's life are over, or that it has not begun.
func spent(c *x509.Certificate, now time.Time) bool { return over(c, now, 4) }

// late says that five sixths of it are.
func late(c *x509.Certificate, now time.Time) bool { return over(c, now, 5) }

func over(c *x509.Certificate, now time.Time, sixths int) bool {
	return now.Before(c.NotBefore) || now.After(begins(c).Add(c.NotAfter.Sub(begins(c))*time.Duration(sixths)/6))
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] = b[0]&0x3f | 0x40 // positive, and never short
	return new(big.Int).SetBytes(b)
}

func keyPEM(k *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalECPrivateKey(k)
	return block("EC PRIVATE KEY", der), err
}

func parseKey(b []byte) (*ecdsa.PrivateKey, error) {
	p, _ := pem.Decode(b)
	if p == nil || p.Type != "EC PRIVATE KEY" {
		return nil, errors.New("no EC PRIVATE KEY in PEM form")
	}
	return x509.ParseECPrivateKey(p.Bytes)
}

func parseCert(b []byte) (*x509.Certificate, error) {
	p, _ := pem.Decode(b)
	if p == nil || p.Type != "CERTIFICATE" {
		return nil, errors.New("no CERTIFICATE in PEM form")
	}
	return x509.ParseCertificate(p.Bytes)
}
