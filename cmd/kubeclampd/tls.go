package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

// amongUs is the name in every daemon's own certificate by which daemons that share a state know each other.
const amongUs = "daemon.kubeclamp.internal"

const (
	lookAt = time.Second    // how often files are looked at, at most
	renews = 24 * time.Hour // how often the own certificate's life is looked at
)

// serving is what the API's TLS stands on. Files that are replaced count from the next connection on; connections that are
// there stay.
type serving struct {
	own   *kept[*tls.Certificate] // of the daemon's own authority
	given *kept[*tls.Certificate] // --tls-cert; nil = none
	who   *kept[*x509.CertPool]   // --client-ca; nil = nobody comes with a certificate
	plain *tls.Config

	mu   sync.Mutex
	pool *x509.CertPool // that asking was made for
	ask  *tls.Config
}

// keepOwn has the daemon's own authority, and of it the API's certificate, each anew where two thirds of its life are over. The
// authority keeps its key: who trusts the one before goes on until that ends.
func keepOwn(c *config) (authority *pki.Authority, cert, key string, err error) {
	folder := filepath.Join(c.dataDir, "tls")
	if authority, err = pki.HostAuthority(folder); err != nil {
		return nil, "", "", err
	}
	cert, key, err = authority.Keep(folder, "api", leafOf(c))
	return authority, cert, key, err
}

// newServing opens the files once, so that what is wrong with them stops the start. What it gives back beside is the daemon's own
// authority as it is now.
func newServing(c *config) (*serving, *pki.Authority, error) {
	authority, cert, key, err := keepOwn(c)
	if err != nil {
		return nil, nil, err
	}
	s := &serving{own: pairOf(cert, key, c.log)}
	s.own.renew = func() error {
		now, _, _, err := keepOwn(c)
		if err != nil || now.PEM() == authority.PEM() {
			return err
		}
		if err := trustAdmin(c.adminFile(), now.PEM()); err != nil {
			return err
		}
		authority = now
		return nil
	}
	if c.tlsCert != "" {
		s.given = pairOf(c.tlsCert, c.tlsKey, c.log)
	}
	if c.clientCA != "" {
		s.who = &kept[*x509.CertPool]{files: []string{c.clientCA}, log: c.log, read: func() (*x509.CertPool, error) { return authorities(c.clientCA) }}
	}
	for _, open := range []func() error{s.own.open, s.given.open, s.who.open} {
		if err := open(); err != nil {
			return nil, nil, err
		}
	}
	// TLS 1.3 is taken wherever the other side can; of 1.2 only what has forward secrecy and authenticates what it encrypts.
	s.plain = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate, NextProtos: []string{"h2", "http/1.1"}, CipherSuites: []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}}
	return s, authority, nil
}

// config is for the server. The authorities of clients may change while it serves.
func (s *serving) config() *tls.Config {
	out := s.plain.Clone()
	if s.who != nil {
		out.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.asking(), nil }
	}
	return out
}

// asking is the configuration that asks for a client's certificate, and checks what it is given.
func (s *serving) asking() *tls.Config {
	pool := s.who.get(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ask == nil || s.pool != pool {
		s.pool, s.ask = pool, s.plain.Clone()
		s.ask.ClientAuth, s.ask.ClientCAs = tls.VerifyClientCertIfGiven, pool
		s.ask.SessionTicketsDisabled = true // a ticket would outlive a change of the authorities
	}
	return s.ask
}

// certificate is the one that was given where it has the name that the client wants, and the own one where only that has it:
// whoever was pointed at admin.json trusts the own authority, and dials an address of this machine.
func (s *serving) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	now := time.Now()
	own := s.own.get(now)
	if s.given == nil {
		return own, nil
	}
	name := hello.ServerName
	if name == "" { // an address: clients do not say it
		name, _, _ = net.SplitHostPort(hello.Conn.LocalAddr().String())
	}
	given := s.given.get(now)
	if given.Leaf.VerifyHostname(name) != nil && own.Leaf.VerifyHostname(name) == nil {
		return own, nil
	}
	return given, nil
}

// kept is something that is read out of files, and read again when they have changed. What cannot be read then is logged, and
// the one before stays.
type kept[V any] struct {
	files []string
	read  func() (V, error)
	renew func() error // nil = nobody makes the files but others
	log   *slog.Logger

	mu      sync.Mutex
	value   V
	seen    string
	looked  time.Time
	renewed time.Time
}

func pairOf(cert, key string, log *slog.Logger) *kept[*tls.Certificate] {
	return &kept[*tls.Certificate]{files: []string{cert, key}, log: log, read: func() (*tls.Certificate, error) {
		p, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "certificate %s with key %s: %w", cert, key, err)
		}
		return &p, nil
	}}
}

// authorities reads the certificates of those who sign clients' certificates.
func authorities(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "--client-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, crowbar.Errorf(crowbar.Invalid, "--client-ca %s: there is no certificate in it, want PEM", file)
	}
	return pool, nil
}

// open reads for the first time; of nothing it does nothing.
func (k *kept[V]) open() (err error) {
	if k == nil {
		return nil
	}
	k.seen, k.looked, k.renewed = k.mark(), time.Now(), time.Now().Round(0)
	k.value, err = k.read()
	return err
}

// mark changes when a file does.
func (k *kept[V]) mark() string {
	var b strings.Builder
	for _, f := range k.files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%d %d\n", info.ModTime().UnixNano(), info.Size())
		}
	}
	return b.String()
}

// get is the newest that could be read.
func (k *kept[V]) get(now time.Time) V {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.looked) < lookAt {
		return k.value
	}
	k.looked = now
	if k.renew != nil && now.Round(0).Sub(k.renewed) >= renews { // by the clock on the wall, which may be set: certificates end by that one
		k.renewed = now.Round(0)
		if err := k.renew(); err != nil {
			k.log.Error("the certificate is not renewed", "error", err)
		}
	}
	seen := k.mark()
	if seen == k.seen {
		return k.value
	}
	v, err := k.read()
	if err != nil { // perhaps the other file of the two is about to come: it is looked at again
		k.log.Warn("what was there before stays in use", "error", err)
		return k.value
	}
	k.value, k.seen = v, seen
	k.log.Info("read anew", "files", k.files)
	return v
}

// leafOf is what the daemon's own certificate is for: this host, where it listens, where others are told to find it, and what
// --tls-san says.
func leafOf(c *config) crowbar.Leaf {
	leaf := crowbar.Leaf{CommonName: "kubeclampd", DNS: []string{"localhost", amongUs}, IP: []string{"127.0.0.1"}, Usages: []string{"server"}}
	names := slices.Clone(c.tlsSAN)
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	for _, at := range []string{c.listen, c.advertise} {
		host, _, _ := net.SplitHostPort(at)
		names = append(names, host)
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		switch {
		case name == "" || ip != nil && ip.IsUnspecified():
		case ip == nil && !slices.Contains(leaf.DNS, strings.ToLower(name)):
			leaf.DNS = append(leaf.DNS, strings.ToLower(name))
		case ip != nil && !slices.Contains(leaf.IP, ip.String()):
			leaf.IP = append(leaf.IP, ip.String())
		}
	}
	return leaf
}

// checkTLS says what is wrong with the flags.
func (c *config) checkTLS() error {
	if (c.tlsCert == "") != (c.tlsKey == "") {
		return crowbar.Errorf(crowbar.Invalid, "--tls-cert and --tls-key go together")
	}
	if c.plainListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.plainListen)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "--plain-listen %q: want ADDRESS:PORT", c.plainListen)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return crowbar.Errorf(crowbar.Invalid, "--plain-listen %s: without TLS passwords go over the wire as they are, so it is for this machine alone; want 127.0.0.1:PORT or [::1]:PORT, and --listen for all others", c.plainListen)
	}
	return nil
}
