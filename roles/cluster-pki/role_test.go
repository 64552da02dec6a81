package clusterpki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

var birth = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// root makes a certificate of nine years; change may spoil it before it is signed.
func root(t *testing.T, change func(c *x509.Certificate)) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: birth, NotAfter: birth.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// apply runs the role without a connection: it must not need one.
func apply(now time.Time, attribs map[string]any) (role.Result, error) {
	return Role{Now: func() time.Time { return now }}.Apply(context.Background(), role.Target{Attribs: attribs})
}

func TestNothingToDo(t *testing.T) {
	good := root(t, nil)
	attribs := map[string]any{"etcd-ca": good, "kubernetes-ca": good + root(t, nil), "front-proxy-ca": good}
	for range 2 {
		res, err := apply(birth.AddDate(1, 0, 0), attribs)
		if err != nil || len(res.Changes) != 0 {
			t.Fatal(res.Changes, err)
		}
		given := res.Wall["cluster-pki-authorities"].(map[string]any)
		for _, name := range []string{"etcd", "kubernetes", "front-proxy"} {
			a, _ := given[name].(map[string]any)
			if f, _ := a["fingerprint"].(string); len(f) != 64 || a["not_after"] != "2035-01-01T00:00:00Z" {
				t.Errorf("%s: %v", name, a)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	good := root(t, nil)
	tests := []struct{ name, text, want string }{
		{"empty", "", "no certificate"},
		{"rubbish", "hello", "no certificate"},
		{"key", good + "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "only certificates"},
		{"leaf", root(t, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature }), "may not sign"},
		{"not yet", root(t, func(c *x509.Certificate) { c.NotBefore = birth.AddDate(2, 0, 0) }), "later than now"},
		{"old", root(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = birth.AddDate(-5, 0, 0), birth.AddDate(1, 0, 0) }), "ended at"},
	}
	for _, tt := range tests {
		_, err := apply(birth.AddDate(1, 0, 0), map[string]any{"etcd-ca": tt.text, "kubernetes-ca": good, "front-proxy-ca": good})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "attrib etcd-ca") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
