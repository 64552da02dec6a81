// Package etcdtest is an etcd for tests: real clients speak to it over real TLS, and what it answers is the test's own to
// say. It does not know etcd's rules.
package etcdtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/test/bufconn"
)

// Leaf is a leaf attrib (cert, key, ca) that servers on 198.18.0.10 to 198.18.0.18 and all their clients may have.
func Leaf() map[string]any {
	leaf, _ := pki()
	return leaf
}

// Dial is the client's end of a connection to a server of its own, which register gives its services. It ends with the test.
func Dial(t testing.TB, register func(*grpc.Server)) (net.Conn, error) {
	_, conf := pki()
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(conf)))
	register(s)
	go func() { _ = s.Serve(l) }() // ends by Stop
	t.Cleanup(s.Stop)
	return l.Dial()
}

// pki is one authority that is everybody's leaf as well.
var pki = sync.OnceValues(func() (map[string]any, *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for i := range 9 {
		c.IPAddresses = append(c.IPAddresses, net.ParseIP(fmt.Sprintf("198.18.0.%d", 10+i)))
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		panic(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	crt := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	leaf := map[string]any{"cert": crt, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), "ca": crt}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(crt))
	conf := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"h2"}}
	return leaf, conf
})
