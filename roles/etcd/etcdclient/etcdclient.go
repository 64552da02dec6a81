// Package etcdclient opens clients of the cluster's etcd whose connections start in a node's own network.
// It does not know what is read or written through them, nor how etcd came to be.
package etcdclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Answer is how long one member has to answer one question.
const Answer = 5 * time.Second

// Leaf is a certificate with its key and its authority, all PEM, as a leaf attrib holds them.
type Leaf struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
}

// Open makes a client of the endpoints ("https://address:port"). Nothing is dialled before the first request.
func Open(on jig.Conn, leaf Leaf, endpoints ...string) (*clientv3.Client, error) {
	conf, err := leaf.TLS()
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		TLS:         conf,
		DialTimeout: Answer,
		Logger:      zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return on.Dial(ctx, "tcp", addr)
		})},
	})
}

// TLS is the client's side of mutual TLS.
func (l Leaf) TLS() (*tls.Config, error) {
	pair, err := tls.X509KeyPair([]byte(l.Cert), []byte(l.Key))
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "client certificate for etcd: %w: the host makes it, so nobody should set its attrib", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(l.CA)) {
		return nil, crowbar.Errorf(crowbar.Invalid, "authority of etcd (attrib etcd-ca): no certificate in PEM: cluster-pki says what is wrong with it")
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}

// Endpoint is the client URL of a member.
func Endpoint(address string, port int) string {
	return "https://" + net.JoinHostPort(address, strconv.Itoa(port))
}

// Endpoints of all peers that hold the role etcd and are not in error for good, sorted and without doubles.
func Endpoints(peers []crowbar.Peer, port int) []string {
	var out []string
	for _, p := range peers {
		if p.Role == "etcd" && p.Address != "" {
			out = append(out, Endpoint(p.Address, port))
		}
	}
	sort.Strings(out)
	return out
}

// First opens a client of the first endpoint that answers a linearizable read, which only a member of a quorum can do.
// The error names every endpoint and what it said.
func First(ctx context.Context, on jig.Conn, leaf Leaf, endpoints ...string) (*clientv3.Client, error) {
	var said []error
	for _, e := range endpoints {
		c, err := Answers(ctx, on, leaf, e)
		if err == nil {
			return c, nil
		}
		said = append(said, fmt.Errorf("%s: %w", e, err))
	}
	if len(said) == 0 {
		return nil, crowbar.Errorf(crowbar.Unavailable, "no other member of etcd is known: bind etcd to more nodes, or retry its node-roles that failed")
	}
	return nil, crowbar.Errorf(crowbar.Unavailable, "no member of etcd answers: %w", errors.Join(said...))
}

// Answers opens a client of one endpoint, which must answer a linearizable read. A closed port is told at once.
func Answers(ctx context.Context, on jig.Conn, leaf Leaf, endpoint string) (*clientv3.Client, error) {
	short, cancel := context.WithTimeout(ctx, Answer)
	defer cancel()
	wire, err := on.Dial(short, "tcp", strings.TrimPrefix(endpoint, "https://"))
	if err != nil {
		return nil, err
	}
	wire.Close()
	c, err := Open(on, leaf, endpoint)
	if err != nil {
		return nil, err
	}
	if err := Healthy(ctx, c); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Healthy asks for a linearizable read.
func Healthy(ctx context.Context, c *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(ctx, Answer)
	defer cancel()
	if _, err := c.Get(ctx, "health"); err != nil {
		return Plain(err)
	}
	return nil
}

// Plain takes the wrapping of the RPC layer off the messages that people see most.
func Plain(err error) error {
	if i := strings.LastIndex(err.Error(), "desc = "); i >= 0 {
		return errors.New(strings.Trim(err.Error()[i+len("desc = "):], `"`))
	}
	return err
}
