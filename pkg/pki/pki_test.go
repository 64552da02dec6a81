package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// bench is a PKI, a state and a clock that the test moves.
type bench struct {
	*testing.T
	p   *PKI
	s   *crowbar.Snapshot
	now time.Time
}

func start(t *testing.T) *bench {
	t.Helper()
	p, err := New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, p: p, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.s = crowbar.NewSnapshot().Apply(1, crowbar.Change{Put: &crowbar.Deployment{ID: 1, Name: "system"}},
		crowbar.Change{Put: &crowbar.Deployment{ID: 2, Name: "k8s", Parent: 1}})
	p.Now = func() time.Time { return b.now }
	return b
}

// value asks, commits what came with the answer, and gives the answer and the number of changes.
func (b *bench) value(w crowbar.Computed) (any, int) {
	b.Helper()
	v, changes, err := b.p.Value(b.s, w)
	if err != nil {
		b.Fatal(err)
	}
	b.s = b.s.Apply(b.s.Rev()+1, changes...)
	return v, len(changes)
}

func etcdLeaf() crowbar.Computed {
	return crowbar.Computed{Deployment: 2, Node: "n1", Attrib: "etcd-server-leaf", Leaf: &crowbar.Leaf{
		Authority: "etcd", CommonName: "n1", Organization: []string{"members"}, DNS: []string{"n1", "localhost", ""},
		IP: []string{"198.18.0.11", "127.0.0.1"}, Usages: []string{"server", "client"}}}
}

func TestLeafVerifies(t *testing.T) {
	b := start(t)
	v, n := b.value(etcdLeaf())
	if n != 2 {
		t.Fatalf("%d changes, want authority and leaf", n)
	}
	m := v.(crowbar.Data)
	pair, err := tls.X509KeyPair([]byte(m["cert"].(string)), []byte(m["key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(m["ca"].(string))) {
		t.Fatal("no authority in the bundle")
	}
	cert, _ := x509.ParseCertificate(pair.Certificate[0])
	for _, name := range []string{"n1", "localhost", "198.18.0.11", "127.0.0.1"} {
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: b.now, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("%s, usage %d: %v", name, use, err)
			}
		}
	}
	if cert.Subject.CommonName != "n1" || !cmp.Equal(cert.Subject.Organization, []string{"members"}) {
		t.Errorf("subject %v", cert.Subject)
	}
	if got := b.now.Sub(cert.NotBefore); got != 5*time.Minute {
		t.Errorf("begins %s back", got)
	}
	if !cert.NotAfter.Equal(b.s.SecretNamed(2, "leaf/etcd-server-leaf/n1").NotAfter) {
		t.Error("the secret's end is not the certificate's")
	}
}

func TestUsagesAreKept(t *testing.T) {
	b := start(t)
	w := etcdLeaf()
	w.Leaf.Usages = []string{"client"}
	m, _ := b.value(w)
	ca, _ := b.value(crowbar.Computed{Deployment: 2, Attrib: "etcd-ca", Authority: "etcd"})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca.(string)))
	cert, _ := parseCert([]byte(m.(crowbar.Data)["cert"].(string)))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: b.now}); err == nil {
		t.Error("a client's certificate serves as a server's")
	}
}

func TestSecondAskChangesNothing(t *testing.T) {
	b := start(t)
	for _, w := range []crowbar.Computed{etcdLeaf(),
		{Deployment: 2, Attrib: "ca", Authority: "kubernetes"},
		{Deployment: 2, Attrib: "token", Generate: "random-32"},
		{Deployment: 2, Attrib: "sa", Generate: "ecdsa-p256"}} {
		one, _ := b.value(w)
		b.now = b.now.Add(100 * 24 * time.Hour)
		two, n := b.value(w)
		if n != 0 || !cmp.Equal(one, two) {
			t.Errorf("%s: %d changes at the second ask", w.Attrib, n)
		}
	}
}

func TestGenerated(t *testing.T) {
	b := start(t)
	v, _ := b.value(crowbar.Computed{Deployment: 2, Attrib: "token", Generate: "random-32"})
	if raw, err := base64.StdEncoding.DecodeString(v.(string)); err != nil || len(raw) != 32 {
		t.Errorf("random-32: %d bytes, %v", len(raw), err)
	}
	v, _ = b.value(crowbar.Computed{Deployment: 2, Attrib: "sa", Generate: "ecdsa-p256"})
	k, err := parseKey([]byte(v.(string)))
	if err != nil || k.Curve.Params().Name != "P-256" {
		t.Errorf("ecdsa-p256: %v", err)
	}
	other, _ := b.value(crowbar.Computed{Deployment: 1, Attrib: "sa", Generate: "ecdsa-p256"})
	if other == v {
		t.Error("two deployments share a key")
	}
}

func TestReissue(t *testing.T) {
	tests := []struct {
		name string
		do   func(b *bench, w *crowbar.Computed)
		want int // changes
	}{
		{"same", func(*bench, *crowbar.Computed) {}, 0},
		{"order of names", func(_ *bench, w *crowbar.Computed) { w.Leaf.DNS = []string{"localhost", "n1", "n1"} }, 0},
		{"more names", func(_ *bench, w *crowbar.Computed) { w.Leaf.DNS = append(w.Leaf.DNS, "pool.example") }, 1},
		{"other address", func(_ *bench, w *crowbar.Computed) { w.Leaf.IP = []string{"198.18.0.12"} }, 1},
		{"other usage", func(_ *bench, w *crowbar.Computed) { w.Leaf.Usages = []string{"server"} }, 1},
		{"other common name", func(_ *bench, w *crowbar.Computed) { w.Leaf.CommonName = "n2" }, 1},
		{"other organization", func(_ *bench, w *crowbar.Computed) { w.Leaf.Organization = nil }, 1},
		{"just young enough", func(b *bench, _ *crowbar.Computed) { b.now = b.now.Add(LeafLife*2/3 - time.Hour) }, 0},
		{"two thirds over", func(b *bench, _ *crowbar.Computed) { b.now = b.now.Add(LeafLife*2/3 + time.Hour) }, 1},
		{"clock far back", func(b *bench, _ *crowbar.Computed) { b.now = b.now.Add(-time.Hour) }, 2},
		{"authority's two thirds over", func(b *bench, _ *crowbar.Computed) { b.now = b.now.Add(AuthorityLife * 3 / 4) }, 1},
		{"authority's five sixths over", func(b *bench, _ *crowbar.Computed) { b.now = b.now.Add(AuthorityLife * 6 / 7) }, 2},
		{"authority gone", func(b *bench, _ *crowbar.Computed) {
			b.s = b.s.Apply(9, crowbar.Change{Drop: b.s.SecretNamed(2, "authority/etcd")})
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t)
			w := etcdLeaf()
			before, _ := b.value(w)
			ids := b.s.Count(crowbar.KindSecret)
			tt.do(b, &w)
			after, n := b.value(w)
			if n != tt.want || cmp.Equal(before, after) != (tt.want == 0) {
				t.Errorf("%d changes, want %d", n, tt.want)
			}
			if got := b.s.Count(crowbar.KindSecret); got != ids {
				t.Errorf("%d secrets, had %d: a renewal must keep its object", got, ids)
			}
		})
	}
}

func TestRenewedAuthorityStillVerifiesItsLeaves(t *testing.T) {
	b := start(t)
	a, err := newAuthority("etcd", "k8s", b.now, AuthorityLife)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := wanted(*etcdLeaf().Leaf)
	c, _, _, _ := a.issue(r, b.now, LeafLife)
	next := *a
	if err := next.renew(b.now.Add(time.Hour), AuthorityLife); err != nil || next.PEM() == a.PEM() {
		t.Fatal("not renewed", err)
	}
	cert, _ := parseCert([]byte(c))
	if _, err := cert.Verify(x509.VerifyOptions{Roots: next.Pool(), CurrentTime: b.now.Add(2 * time.Hour), DNSName: "n1"}); err != nil {
		t.Error(err)
	}
}

func TestAuthorityOfTheParentDeploymentIsUsed(t *testing.T) {
	b := start(t)
	up, _ := b.value(crowbar.Computed{Deployment: 1, Attrib: "etcd-ca", Authority: "etcd"})
	down, n := b.value(crowbar.Computed{Deployment: 2, Attrib: "etcd-ca", Authority: "etcd"})
	if up != down || n != 0 {
		t.Error("the child deployment made an authority of its own")
	}
}

func TestSealTamper(t *testing.T) {
	b := start(t)
	b.value(etcdLeaf())
	ca, leaf := b.s.SecretNamed(2, "authority/etcd"), b.s.SecretNamed(2, "leaf/etcd-server-leaf/n1")
	spoil := func(name string, change func(c *crowbar.Secret)) {
		t.Helper()
		c := *leaf
		c.Sealed = bytes.Clone(leaf.Sealed)
		change(&c)
		_, _, err := b.p.Value(b.s.Apply(9, crowbar.Change{Put: &c}), etcdLeaf())
		if err == nil || !strings.Contains(err.Error(), "does not open") {
			t.Errorf("%s: %v", name, err)
		}
	}
	spoil("a bit", func(c *crowbar.Secret) { c.Sealed[len(c.Sealed)-1] ^= 1 })
	spoil("short", func(c *crowbar.Secret) { c.Sealed = c.Sealed[:5] })
	spoil("another secret's content", func(c *crowbar.Secret) { c.Sealed = ca.Sealed })
	other, _ := New(bytes.Repeat([]byte{8}, 32))
	if _, _, err := other.Value(b.s, etcdLeaf()); err == nil {
		t.Error("another key opens it")
	}
	if bytes.Contains(leaf.Sealed, []byte("PRIVATE")) {
		t.Error("stored in the clear")
	}
}

func TestWrongWishes(t *testing.T) {
	b := start(t)
	tests := []struct {
		name string
		do   func(w *crowbar.Computed)
		want string
	}{
		{"ip", func(w *crowbar.Computed) { w.Leaf.IP = []string{"nowhere"} }, "not an IP address"},
		{"dns", func(w *crowbar.Computed) { w.Leaf.DNS = []string{"a b"} }, "not a host name"},
		{"word", func(w *crowbar.Computed) { w.Leaf.DNS = []string{"{{attrib x}}"} }, "still has a word"},
		{"usage", func(w *crowbar.Computed) { w.Leaf.Usages = []string{"sign"} }, "usage \"sign\""},
		{"no usage", func(w *crowbar.Computed) { w.Leaf.Usages = nil }, "no usages"},
		{"no name", func(w *crowbar.Computed) { w.Leaf.CommonName = "" }, "common_name"},
		{"no authority", func(w *crowbar.Computed) { w.Leaf.Authority = "" }, "no name"},
		{"deployment", func(w *crowbar.Computed) { w.Deployment = 77 }, "no deployment 77"},
		{"generate", func(w *crowbar.Computed) { w.Leaf, w.Generate = nil, "uuid" }, "random-32"},
		{"nothing", func(w *crowbar.Computed) { w.Leaf = nil }, "none of"},
	}
	for _, tt := range tests {
		w := etcdLeaf()
		tt.do(&w)
		if _, c, err := b.p.Value(b.s, w); err == nil || !strings.Contains(err.Error(), tt.want) || c != nil {
			t.Errorf("%s: %v (%d changes)", tt.name, err, len(c))
		}
	}
}

func TestDue(t *testing.T) {
	b := start(t)
	b.value(etcdLeaf())
	if d := Due(b.s, b.now); len(d) != 0 {
		t.Errorf("%d due on the first day", len(d))
	}
	if d := Due(b.s, b.now.Add(LeafLife*3/4)); len(d) != 1 || d[0].Name != "leaf/etcd-server-leaf/n1" {
		t.Errorf("due: %v", d)
	}
	if d := Due(b.s, b.now.Add(AuthorityLife*3/4)); len(d) != 2 {
		t.Errorf("due: %v", d)
	}
}

func TestHostAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	a, err := HostAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := HostAuthority(dir)
	if err != nil || again.Fingerprint() != a.Fingerprint() {
		t.Fatal("not kept", err)
	}
	want := crowbar.Leaf{CommonName: "kubeclampd", DNS: []string{"localhost"}, IP: []string{"127.0.0.1"}, Usages: []string{"server"}}
	crt, key, err := a.Keep(dir, "api", want)
	if err != nil {
		t.Fatal(err)
	}
	first, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: a.Pool(), DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
	if st, _ := os.Stat(key); st.Mode().Perm() != 0o600 {
		t.Errorf("key mode %o", st.Mode().Perm())
	}
	a.Keep(dir, "api", want)
	if same, _ := tls.LoadX509KeyPair(crt, key); !bytes.Equal(same.Certificate[0], first.Certificate[0]) {
		t.Error("issued again without need")
	}
	later, err := hostAuthority(dir, time.Now().Add(AuthorityLife*3/4))
	if err != nil || later.PEM() == a.PEM() || !later.key.Equal(a.key) {
		t.Error("renewal must keep the key", err)
	}
	c, k, err := a.Issue(want)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := tls.X509KeyPair(c, k); err != nil || p.PrivateKey.(*ecdsa.PrivateKey) == nil {
		t.Error(err)
	}
	os.WriteFile(filepath.Join(dir, "ca.crt"), c, 0o644)
	if _, err := HostAuthority(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("foreign certificate: %v", err)
	}
}
