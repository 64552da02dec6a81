package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/store"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// serveEtcd is an etcd of its own process, with etcd's own limits, that wants TLS of both sides. It says where it listens,
// and ends when nobody holds the other end of its input.
func serveEtcd(o options) error {
	if err := certify(o); err != nil {
		return err
	}
	client, peer := url.URL{Scheme: "https", Host: free()}, url.URL{Scheme: "http", Host: free()}
	c := embed.NewConfig()
	c.Name, c.Dir = "scale", o.path("etcd")
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.QuotaBackendBytes = 8 << 30
	tls := &c.ClientTLSInfo
	tls.CertFile, tls.KeyFile, tls.TrustedCAFile, tls.ClientCertAuth = o.path("etcd.crt"), o.path("etcd.key"), o.path("etcd.crt"), true
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return err
	}
	fmt.Println(client.String())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until its parent has gone
	return nil
}

// external starts that process, and gives the configuration of a store on it. The process lives as long as the pipe is held
// open, which ends with this process, however that ends.
func (p *process) external(ctx context.Context) (store.Config, error) {
	o := p.options
	self, err := os.Executable()
	if err != nil {
		return store.Config{}, err
	}
	c := exec.CommandContext(ctx, self, "-etcd", "-dir", o.dir)
	c.Stderr = os.Stderr
	if p.alive, err = c.StdinPipe(); err != nil {
		return store.Config{}, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return store.Config{}, err
	}
	if err := c.Start(); err != nil {
		return store.Config{}, err
	}
	where, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return store.Config{}, errors.Join(fmt.Errorf("the etcd process gave no address: %w", err), c.Wait())
	}
	conf, _, err := store.Dial(store.Remote{Endpoints: []string{strings.TrimSpace(where)}, CA: o.path("etcd.crt"), Cert: o.path("etcd.crt"), Key: o.path("etcd.key")})
	return conf, err
}

// free is a port of this machine on which nobody listens.
func free() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer l.Close()
	return l.Addr().String()
}

// certify makes one certificate that is the authority, the server's and the client's.
func certify(o options) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scale"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(o.path("etcd.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(o.path("etcd.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600))
}
