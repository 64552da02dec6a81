package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// authority is one that is not the daemon's.
func authority(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.HostAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue puts a new certificate and its key into files.
func issue(t *testing.T, a *pki.Authority, cert, key string, l crowbar.Leaf) {
	t.Helper()
	c, k, err := a.Issue(l)
	if err = errors.Join(err, os.WriteFile(cert, c, 0o600), os.WriteFile(key, k, 0o600)); err != nil {
		t.Fatal(err)
	}
}

var server443 = crowbar.Leaf{CommonName: "site", DNS: []string{"api.example.org"}, Usages: []string{"server"}}

// front is what stands before the API, alone: it answers with the name in the client's certificate.
type front struct {
	t        *testing.T
	c        *config
	addr     string
	own      *pki.Authority
	said     *output
	site     *pki.Authority
	cas, dir string
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{t: t, dir: t.TempDir(), said: &output{}, site: authority(t)}
	f.cas = filepath.Join(f.dir, "clients.pem")
	f.c = &config{dataDir: f.dir, listen: "127.0.0.1:0", tlsCert: filepath.Join(f.dir, "site.crt"), tlsKey: filepath.Join(f.dir, "site.key"), clientCA: f.cas,
		log: slog.New(slog.NewTextHandler(f.said, nil))}
	issue(t, f.site, f.c.tlsCert, f.c.tlsKey, server443)
	if err := os.WriteFile(f.cas, []byte(f.site.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if f.own, err = pki.HostAuthority(filepath.Join(f.dir, "tls")); err != nil {
		t.Fatal(err)
	}
	s, _, err := newServing(f.c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	srv := &http.Server{TLSConfig: s.config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.VerifiedChains) > 0 {
			name = r.TLS.VerifiedChains[0][0].Subject.CommonName
		}
		fmt.Fprintf(w, "%s by %s", name, r.Proto)
	})}
	done := make(chan struct{})
	go func() { _ = srv.ServeTLS(l, "", ""); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return f
}

// client trusts the daemon's own authority and the site's, and dials a name where it has one.
func (f *front) client(name string, change func(*tls.Config)) *http.Client {
	f.t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(f.own.PEM()))
	roots.AppendCertsFromPEM([]byte(f.site.PEM()))
	conf := &tls.Config{RootCAs: roots, ServerName: name}
	if change != nil {
		change(conf)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	f.t.Cleanup(c.CloseIdleConnections)
	return c
}

// get is who the server says that the client is, what it showed, and whether the connection was there before.
func (f *front) get(c *http.Client) (who string, state tls.ConnectionState, old bool, err error) {
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { old = i.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(f.t.Context(), trace), "GET", "https://"+f.addr, nil)
	if err != nil {
		return "", state, false, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", state, false, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	who, _, _ = strings.Cut(string(b), " by ")
	return who, *resp.TLS, old, err
}

// TestOwnAuthorityNearItsEnd: a daemon that runs for years gives its authority a new life, and admin.json the new certificate.
func TestOwnAuthorityNearItsEnd(t *testing.T) {
	c := &config{dataDir: t.TempDir(), listen: "127.0.0.1:0", log: slog.New(slog.DiscardHandler)}
	folder := filepath.Join(c.dataDir, "tls")
	old, err := pki.HostAuthority(folder)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "ca.crt"), filepath.Join(folder, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := newServing(c)
	if err == nil {
		err = writeAdmin(c.adminFile(), client.Config{Token: "t", CA: old.PEM()})
	}
	if err != nil {
		t.Fatal(err)
	}
	// The same authority, as it would be nine years on.
	late := *pair.Leaf
	late.NotBefore, late.NotAfter = late.NotBefore.AddDate(-9, 0, 0), late.NotAfter.AddDate(-9, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, &late, &late, pair.Leaf.PublicKey, pair.PrivateKey)
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, "ca.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	before := s.own.get(time.Now().Add(time.Hour))
	if had, err := readAdmin(c.adminFile()); err != nil || had.CA != old.PEM() {
		t.Fatalf("within the day: %v, %q", err, had.CA)
	}
	shown := s.own.get(time.Now().Add(25 * time.Hour))
	had, err := readAdmin(c.adminFile())
	if err != nil || had.CA == old.PEM() || had.Token != "t" {
		t.Fatalf("a day later: %v, %+v", err, had)
	}
	for _, ca := range []string{had.CA, old.PEM()} {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(ca))
		for _, is := range []*tls.Certificate{before, shown} {
			if _, err := is.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWhichCertificateIsShown(t *testing.T) {
	f := newFront(t)
	for name, want := range map[string]string{"api.example.org": "site", "": "kubeclampd", "localhost": "kubeclampd", amongUs: "kubeclampd"} {
		_, state, _, err := f.get(f.client(name, nil))
		if err != nil || state.PeerCertificates[0].Subject.CommonName != want {
			t.Errorf("%q: %v; want the one of %s", name, err, want)
		}
		if err == nil && (state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2") {
			t.Errorf("%q: %s, %s", name, tls.VersionName(state.Version), state.NegotiatedProtocol)
		}
	}
	for name, c := range map[string]struct {
		change func(*tls.Config)
		ok     bool
	}{
		"TLS 1.2": {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"TLS 1.1": {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"TLS 1.2 with CBC": {func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}, false},
		"TLS 1.2 without ECDHE": {func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}, false},
		"TLS 1.2 with ChaCha": {func(c *tls.Config) {
			c.MaxVersion = tls.VersionTLS12
			c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}
		}, true},
		"an authority of one's own": {func(c *tls.Config) { c.RootCAs = authority(t).Pool() }, false},
	} {
		if _, _, _, err := f.get(f.client("api.example.org", c.change)); err == nil != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFilesAreReadAnew: a certificate that was replaced is shown from the next connection on, what is broken is not, and
// connections that are there stay.
func TestFilesAreReadAnew(t *testing.T) {
	f := newFront(t)
	old := f.client("api.example.org", nil)
	_, state, _, err := f.get(old)
	if err != nil {
		t.Fatal(err)
	}
	first := state.PeerCertificates[0].SerialNumber
	shown := func() string {
		_, state, _, err := f.get(f.client("api.example.org", nil))
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	if err := os.WriteFile(f.c.tlsKey, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the broken key is noticed", func() bool {
		n := shown()
		return n == first.String() && strings.Contains(f.said.String(), "stays in use")
	})
	issue(t, f.site, f.c.tlsCert, f.c.tlsKey, server443)
	await(t, "the new certificate is shown", func() bool { return shown() != first.String() })
	if _, state, reused, err := f.get(old); err != nil || !reused || state.PeerCertificates[0].SerialNumber.Cmp(first) != 0 {
		t.Errorf("the old connection: reused %t, %v", reused, err)
	}
}

// TestClientCertificates: of the authority that is named, whoever that is now; without one nobody is asked to have one.
func TestClientCertificates(t *testing.T) {
	f := newFront(t)
	with := func(a *pki.Authority, usage string) func(*tls.Config) {
		c, k, err := a.Issue(crowbar.Leaf{CommonName: "ann", Usages: []string{usage}})
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(c, k)
		if err != nil {
			t.Fatal(err)
		}
		return func(conf *tls.Config) { // also where the server would not take it
			conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
	}
	other := authority(t)
	for name, c := range map[string]struct {
		change func(*tls.Config)
		who    string
	}{"none": {nil, "nobody"}, "ours": {with(f.site, "client"), "ann"}, "a server's": {with(f.site, "server"), ""}, "another's": {with(other, "client"), ""}, "the daemon's own": {with(f.own, "client"), ""}} {
		if who, _, _, err := f.get(f.client("", c.change)); who != c.who || err == nil != (c.who != "") {
			t.Errorf("%s: %q, %v", name, who, err)
		}
	}
	if err := os.WriteFile(f.cas, []byte(other.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the other authority counts", func() bool { who, _, _, _ := f.get(f.client("", with(other, "client"))); return who == "ann" })
	if who, _, _, err := f.get(f.client("", with(f.site, "client"))); err == nil {
		t.Errorf("of the authority that was taken out: %q", who)
	}
}

func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	if err := role.Await(t.Context(), what, 30*time.Second, func(context.Context) (bool, error) { return so(), errors.New("it is not so") }); err != nil {
		t.Fatal(err)
	}
}

func TestTLSFlags(t *testing.T) {
	for _, c := range []struct {
		conf config
		says string
	}{
		{config{}, ""},
		{config{plainListen: "127.0.0.1:3000"}, ""},
		{config{plainListen: "127.1.2.3:0"}, ""},
		{config{plainListen: "[::1]:3000"}, ""},
		{config{plainListen: ":3000"}, "this machine alone"},
		{config{plainListen: "0.0.0.0:3000"}, "this machine alone"},
		{config{plainListen: "[::]:3000"}, "this machine alone"},
		{config{plainListen: "10.0.0.1:3000"}, "this machine alone"},
		{config{plainListen: "localhost:3000"}, "this machine alone"}, // a name may be anything
		{config{plainListen: "3000"}, "ADDRESS:PORT"},
		{config{tlsCert: "x"}, "go together"},
		{config{tlsKey: "x"}, "go together"},
	} {
		if err := c.conf.checkTLS(); err == nil != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.conf, err, c.says)
		}
	}
	leaf := leafOf(&config{listen: "0.0.0.0:3443", advertise: "Boss.example.org:3443", tlsSAN: []string{"k.example.org", "192.0.2.7", "boss.example.org"}})
	if d, i := strings.Join(leaf.DNS, " "), strings.Join(leaf.IP, " "); !strings.Contains(d, "k.example.org") || strings.Count(d, "boss.example.org") != 1 || !strings.Contains(i, "192.0.2.7") || strings.Contains(i, "0.0.0.0 ") {
		t.Errorf("names %s, addresses %s", d, i)
	}
}

var plainAt = regexp.MustCompile(`without TLS[^\n]* at=(\S+)`)

// TestWaysIn: a daemon with a way in without TLS and with client certificates, whose administrator is locked out in the end
// and lets themselves in again from the host.
func TestWaysIn(t *testing.T) {
	dir, site := dataDir(t), authority(t)
	cas := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(cas, []byte(site.PEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--plain-listen", "127.0.0.1:0", "--client-ca", cas)
	c := p.ready(t)
	at := plainAt.FindStringSubmatch(p.said.String())
	if at == nil {
		t.Fatalf("it does not say where: %s", p.said.String())
	}
	plain := "http://" + at[1]
	if err := c.Create(t.Context(), crowbar.KindUser, map[string]any{"username": "ann", "password": "correct horse"}, nil); err != nil {
		t.Fatal(err)
	}
	if code, header := signIn(t, http.DefaultClient, plain, "ann", "correct horse"); code != http.StatusFound || strings.Contains(header.Get("Set-Cookie"), "Secure") || header.Get("Strict-Transport-Security") != "" {
		t.Errorf("without TLS: %d %v", code, header)
	}
	var conf client.Config
	if b, err := os.ReadFile(filepath.Join(dir, "admin.json")); err != nil || json.Unmarshal(b, &conf) != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(conf.CA))
	tlsClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer tlsClient.CloseIdleConnections()
	if code, header := signIn(t, tlsClient, conf.Endpoint, "ann", "correct horse"); code != http.StatusFound || !strings.Contains(header.Get("Set-Cookie"), "Secure") || header.Get("Strict-Transport-Security") == "" {
		t.Errorf("with TLS: %d %v", code, header)
	}
	as := func(name string) error {
		cert, key, err := site.Issue(crowbar.Leaf{CommonName: name, Usages: []string{"client"}})
		if err != nil {
			t.Fatal(err)
		}
		cl, err := client.New(client.Config{Endpoint: conf.Endpoint, CA: conf.CA, Cert: string(cert), Key: string(key)})
		if err != nil {
			t.Fatal(err)
		}
		return cl.Show(t.Context(), crowbar.KindUser, "me", nil)
	}
	if err := as("ann"); err != nil {
		t.Errorf("ann by her certificate: %v", err)
	}
	if err := as("stranger"); err == nil {
		t.Error("a stranger is let in by a certificate")
	}
	if err := c.Destroy(t.Context(), crowbar.KindUser, "ann", false); err != nil {
		t.Fatal(err)
	}
	if err := as("ann"); err == nil {
		t.Error("ann is let in when she is gone")
	}
	resetAdmin(t, p, conf)
}

// resetAdmin stops the daemon, has its administrator locked out, and wants that the host lets them in again.
func resetAdmin(t *testing.T, p *process, conf client.Config) {
	t.Helper()
	busy := start(t, p.dir, "admin", "reset")
	if code := busy.wait(t, time.Minute); code != 1 || !strings.Contains(busy.said.String(), "users password") {
		t.Errorf("while the daemon runs: %d %s", code, busy.said.String())
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait(t, 20*time.Second)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "--data-dir", p.dir, "--barclamp", "../../barclamp.yaml", "admin", "reset", "--token")
	cmd.Env = append(os.Environ(), "TEST_DAEMON=1")
	out, err := cmd.Output()
	name, password, ok := strings.Cut(strings.TrimSpace(string(out)), ":")
	if err != nil || !ok || name != firstUser || len(password) < 16 {
		t.Fatalf("it printed %q, %v", out, err)
	}
	p = start(t, p.dir)
	c := p.ready(t)
	if err := c.List(t.Context(), crowbar.KindAudit, &[]crowbar.AuditEntry{}); err != nil {
		t.Errorf("the new token: %v", err)
	}
	var entries []crowbar.AuditEntry
	if err := c.List(t.Context(), crowbar.KindAudit, &entries); err != nil || len(entries) == 0 || entries[0].Object != "users/"+firstUser || entries[0].Code != 200 {
		t.Errorf("on record: %+v, %v", entries, err)
	}
	var now client.Config
	if b, err := os.ReadFile(filepath.Join(p.dir, "admin.json")); err != nil || json.Unmarshal(b, &now) != nil {
		t.Fatal(err)
	}
	conf.Endpoint = now.Endpoint
	old, err := client.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.List(t.Context(), crowbar.KindNode, nil); err == nil {
		t.Error("the old token is good")
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(now.CA))
	tlsClient := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer tlsClient.CloseIdleConnections()
	if code, _ := signIn(t, tlsClient, now.Endpoint, name, password); code != http.StatusFound {
		t.Errorf("sign in with the new password: %d", code)
	}
}

func signIn(t *testing.T, c *http.Client, at, name, password string) (int, http.Header) {
	t.Helper()
	form := url.Values{"user[username]": {name}, "user[password]": {password}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), "POST", at+"/my/users/sign_in", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	once := *c
	once.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := once.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Header
}
