package lb

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubeclamp/kubeclamp/pkg/nameserver"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const poolName = "api.kubeclamp.internal"

// authority signs one certificate for a name.
func authority(t *testing.T, name string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// api is a fake API server on its own loopback address.
type api struct {
	t       *testing.T
	address string
	port    int
	cert    tls.Certificate
	hang    atomic.Bool // accepts, and never says a word
	unready atomic.Bool
	leaving atomic.Bool // as an API server that was told to stop
	mu      sync.Mutex
	l       net.Listener
	conns   map[net.Conn]bool
	wg      sync.WaitGroup
}

// fleet starts n servers on 127.0.0.2, .3... with one port.
func fleet(t *testing.T, n int) (*x509.CertPool, []*api) {
	t.Helper()
	ca, cert := authority(t, poolName)
	for range 50 {
		var out []*api
		port := 0
		for i := range n {
			a := &api{t: t, address: fmt.Sprintf("127.0.0.%d", i+2), port: port, cert: cert}
			if a.start() != nil {
				break
			}
			port = a.port
			out = append(out, a)
		}
		for _, a := range out {
			t.Cleanup(a.kill)
		}
		if len(out) == n {
			return ca, out
		}
	}
	t.Fatal("no port is free on all addresses")
	return nil, nil
}

func (a *api) start() error {
	l, err := net.Listen("tcp", net.JoinHostPort(a.address, strconv.Itoa(a.port)))
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.l, a.port, a.conns = l, l.Addr().(*net.TCPAddr).Port, map[net.Conn]bool{}
	a.mu.Unlock()
	a.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.conns[c] = true
			a.mu.Unlock()
			a.wg.Go(func() { a.talk(c) })
		}
	})
	return nil
}

// talk answers /readyz, and any other path with its own address, over one connection.
func (a *api) talk(c net.Conn) {
	defer func() {
		c.Close()
		a.mu.Lock()
		delete(a.conns, c)
		a.mu.Unlock()
	}()
	if a.hang.Load() {
		io.Copy(io.Discard, c)
		return
	}
	s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{a.cert}})
	in := bufio.NewReader(s)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if a.hang.Load() {
			io.Copy(io.Discard, c)
			return
		}
		status, body := "200 OK", a.address
		if req.URL.Path == "/readyz" && a.unready.Load() {
			status = "500 Internal Server Error"
		}
		if req.URL.Path == "/readyz" && a.leaving.Load() {
			status, body = "500 Internal Server Error", "[+]ping ok\n[+]etcd ok\n[-]shutdown failed: reason withheld\n"
		}
		fmt.Fprintf(s, "HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	}
}

// kill closes everything at once.
func (a *api) kill() {
	a.mu.Lock()
	a.l.Close()
	for c := range a.conns {
		c.Close()
	}
	a.mu.Unlock()
	a.wg.Wait()
}

func balancer(t *testing.T, cfg Config) *Balancer {
	t.Helper()
	cfg.Listen, cfg.Pool = "127.0.0.1:0", poolName
	cfg.Probe, cfg.Timeout, cfg.Resolve, cfg.Settle = 20*time.Millisecond, 200*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond
	b, err := New(cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	eventually(t, "it listens", func() bool { return b.Addr() != nil })
	return b
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("in half a minute it was never so that %s", what)
}

func (b *Balancer) well() string {
	var out []string
	for _, s := range b.Status() {
		if s.Well {
			out = append(out, strings.TrimPrefix(s.Address, "127.0.0."))
		}
	}
	return strings.Join(out, " ")
}

// client speaks over one connection to the balancer.
type client struct {
	c  *tls.Conn
	in *bufio.Reader
}

func dial(t *testing.T, b *Balancer, ca *x509.CertPool) *client {
	t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: &tls.Config{RootCAs: ca, ServerName: poolName}}
	c, err := d.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{c.(*tls.Conn), bufio.NewReader(c)}
}

// ask is who is at the other end.
func (c *client) ask() (string, error) {
	c.c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c.c, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func seeds(fleet []*api) (out []string) {
	for _, a := range fleet {
		out = append(out, net.JoinHostPort(a.address, strconv.Itoa(a.port)))
	}
	return out
}

func TestSpreadsAndCuts(t *testing.T) {
	for name, harm := range map[string]func(a *api){
		"killed": (*api).kill, "hangs": func(a *api) { a.hang.Store(true) }, "not ready": func(a *api) { a.unready.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			ca, servers := fleet(t, 3)
			b := balancer(t, Config{Port: servers[0].port, CA: ca, Seeds: seeds(servers)})
			eventually(t, "all are well", func() bool { return b.well() == "2 3 4" })
			at := map[string][]*client{}
			for range 9 {
				c := dial(t, b, ca)
				who, err := c.ask()
				if err != nil {
					t.Fatal(err)
				}
				at[who] = append(at[who], c)
			}
			if len(at["127.0.0.2"]) != 3 || len(at["127.0.0.3"]) != 3 {
				t.Errorf("connections are not even: %v", b.Status())
			}
			harm(servers[0])
			start := time.Now()
			for _, c := range at["127.0.0.2"] {
				c.c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := c.c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
					t.Errorf("a connection to the sick server was not cut: %v", err)
				}
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("cutting took %s", took)
			}
			for range 4 {
				if who, err := dial(t, b, ca).ask(); err != nil || who == "127.0.0.2" {
					t.Errorf("a new connection went to %s, %v", who, err)
				}
			}
			for _, c := range at["127.0.0.3"] {
				if _, err := c.ask(); err != nil {
					t.Errorf("a connection to a healthy server broke: %v", err)
				}
			}
		})
	}
}

// A server that is told to stop answers what it has: nothing is cut under a request. When it has stopped, what is quiet ends.
func TestALeavingServerIsNotCut(t *testing.T) {
	ca, servers := fleet(t, 2)
	b := balancer(t, Config{Port: servers[0].port, CA: ca, Seeds: seeds(servers)})
	eventually(t, "both are well", func() bool { return b.well() == "2 3" })
	var there *client
	for there == nil {
		c := dial(t, b, ca)
		if who, err := c.ask(); err != nil {
			t.Fatal(err)
		} else if who == "127.0.0.2" {
			there = c
		}
	}
	servers[0].leaving.Store(true)
	eventually(t, "one is left", func() bool { return b.well() == "3" })
	if who, err := there.ask(); err != nil || who != "127.0.0.2" {
		t.Errorf("a live connection to the leaving server: %s, %v", who, err)
	}
	if who, err := dial(t, b, ca).ask(); err != nil || who != "127.0.0.3" {
		t.Errorf("a new connection went to %s, %v", who, err)
	}
	servers[0].unready.Store(true)
	servers[0].leaving.Store(false)
	there.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := there.c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the connection to a server that has stopped stayed: %v", err)
	}
}

// A pipe is closed when it is quiet, and not before.
func TestAPipeRetiresWhenItIsQuiet(t *testing.T) {
	client, far := net.Pipe()
	p := &pipe{client: client, server: far}
	p.retire(0, time.Minute, false)
	closed := func() bool {
		p.said.Store(passed())
		client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_, err := client.Read(make([]byte, 1))
		return err != nil && !os.IsTimeout(err)
	}
	for end := time.Now().Add(2 * quiet); time.Now().Before(end); {
		if closed() {
			t.Fatal("it was closed while it was in use")
		}
	}
	client.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Fatalf("it stayed though it was quiet: %v", err)
	}
}

func TestReturns(t *testing.T) {
	ca, servers := fleet(t, 2)
	b := balancer(t, Config{Port: servers[0].port, CA: ca, Seeds: seeds(servers)})
	eventually(t, "both are well", func() bool { return b.well() == "2 3" })
	servers[0].kill()
	eventually(t, "one is well", func() bool { return b.well() == "3" })
	if err := servers[0].start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both are well again", func() bool { return b.well() == "2 3" })
}

func TestNoneIsWellAllAreTried(t *testing.T) {
	ca, servers := fleet(t, 2)
	servers[0].unready.Store(true)
	servers[1].unready.Store(true)
	b := balancer(t, Config{Port: servers[0].port, CA: ca, Seeds: seeds(servers)})
	eventually(t, "both are known", func() bool { s := b.Status(); return s[0].Known && s[1].Known })
	if _, err := dial(t, b, ca).ask(); err != nil {
		t.Error(err)
	}
}

func TestAWrongCertificateIsNotWell(t *testing.T) {
	ca, servers := fleet(t, 2)
	_, other := authority(t, poolName)
	servers[1].kill()
	servers[1].cert = other
	if err := servers[1].start(); err != nil {
		t.Fatal(err)
	}
	b := balancer(t, Config{Port: servers[0].port, CA: ca, Seeds: seeds(servers)})
	eventually(t, "both are known", func() bool { s := b.Status(); return s[0].Known && s[1].Known })
	if b.well() != "2" {
		t.Errorf("well are %s", b.well())
	}
}

// The pool grows and shrinks at the name server; the balancer follows, and remembers.
func TestFollowsThePool(t *testing.T) {
	ca, servers := fleet(t, 3)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	ns := nameserver.New(nameserver.Config{Listen: []string{"127.0.0.1:0"}, Log: quiet})
	set := func(n int) {
		p := zone.Pool{Name: poolName, TTL: 1}
		for i := range n {
			p.Members = append(p.Members, zone.Host{Node: strconv.Itoa(i), Address: servers[i].address})
		}
		ns.Set([]nameserver.Pool{{Pool: p}})
	}
	set(1)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { ns.Run(ctx) })
	defer wg.Wait()
	defer stop()
	eventually(t, "the name server listens", func() bool { return len(ns.Addrs()) == 1 })

	state := filepath.Join(t.TempDir(), "last.json")
	cfg := Config{Port: servers[0].port, CA: ca, NameServers: []string{"127.0.0.1:1", ns.Addrs()[0].String()}, StateFile: state}
	b := balancer(t, cfg)
	eventually(t, "one is well", func() bool { return b.well() == "2" })
	var clients []*client
	for range 60 {
		c := dial(t, b, ca)
		if _, err := c.ask(); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	set(3)
	eventually(t, "all are well", func() bool { return b.well() == "2 3 4" })
	eventually(t, "some connections were moved", func() bool { return b.Status()[0].Connections < 60 })
	time.Sleep(150 * time.Millisecond)
	left := 0
	for _, c := range clients {
		if who, err := c.ask(); err == nil && who == "127.0.0.2" {
			left++
		}
	}
	if left < 5 || left > 50 {
		t.Errorf("%d of 60 connections stayed, want a part", left)
	}
	set(2)
	eventually(t, "two are left", func() bool { return b.well() == "2 3" })
	eventually(t, "the two are on disk", func() bool {
		return slices.Equal(begin(Config{StateFile: state}, nil), []string{servers[0].address, servers[1].address})
	})
	stop()
	wg.Wait()
	again := balancer(t, cfg)
	eventually(t, "a new balancer remembers the two", func() bool { return again.well() == "2 3" })
}

func TestConfigIsRefused(t *testing.T) {
	ca, _ := authority(t, poolName)
	for _, cfg := range []Config{{}, {Listen: "127.0.0.1:0"}, {Listen: "127.0.0.1:0", Pool: "x", Port: 70000, CA: ca}, {Listen: "127.0.0.1:0", Pool: "x", Port: 1}} {
		if _, err := New(cfg, slog.Default()); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
}
