package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, file string, v any) {
	t.Helper()
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func ca(t *testing.T, dir string) string {
	t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ca.crt")
	write(t, file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return file
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The name server answers from its config, and from the next one when the file changes.
func TestNameServerFollowsItsConfig(t *testing.T) {
	dir := t.TempDir()
	file, address := filepath.Join(dir, "dns.json"), free(t)
	cfg := naming{Listen: []string{address}, Pools: []pooled{{Name: "api.example", Port: 1, TTL: 1, CAFile: ca(t, dir), Members: []zone.Host{{Node: "a", Address: "127.0.0.9"}}}}}
	write(t, file, cfg)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := nameServer(ctx, file, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
			t.Error(err)
		}
	})
	defer wg.Wait()
	defer stop()
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	await := func(want int) {
		t.Helper()
		var got []string
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if got, _ = r.LookupHost(ctx, "api.example."); len(got) == want {
				return
			}
		}
		t.Fatalf("the answer is %v, want %d addresses", got, want)
	}
	await(1)
	cfg.Pools[0].Members = append(cfg.Pools[0].Members, zone.Host{Node: "b", Address: "127.0.0.10"})
	write(t, file, cfg)
	await(2)
	write(t, file, []byte("{"))
	await(2)
}

func TestCalledWrongly(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	write(t, bad, []byte(`{"listne": []}`))
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{nil, 3, "usage:"}, {[]string{"sing"}, 3, "usage:"}, {[]string{"lb"}, 3, "usage:"}, {[]string{"dns", "-config", filepath.Join(dir, "none")}, 1, "no such file"},
		{[]string{"dns", "-config", bad}, 1, "listne"}, {[]string{"lb", "-config", bad}, 1, "listne"},
	} {
		var stderr bytes.Buffer
		if code := run(context.Background(), c.args, &stderr); code != c.code || !strings.Contains(stderr.String(), c.text) {
			t.Errorf("%v: code %d, %s", c.args, code, stderr.String())
		}
	}
}
