package store

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Remote says where an etcd cluster of one's own is, and who we are there. Everything but the endpoints is a file in PEM
// form; certificate and key are read anew for each connection.
type Remote struct {
	Endpoints     []string // https://host:2379; http only where the host is this machine
	CA, Cert, Key string
	Log           *slog.Logger
}

// Dial makes the configuration of a store that shares an etcd cluster with other daemons. Nothing is sent yet; close it
// after the store.
func Dial(r Remote) (conf Config, closed func() error, err error) {
	secure, err := r.check()
	if err != nil {
		return conf, nil, err
	}
	c := clientv3.Config{Endpoints: r.Endpoints, Logger: zap.NewNop(),
		// A cut connection is noticed by what stays unanswered on it for a second; an idle one by a ping.
		DialTimeout: 2 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: time.Second,
		// Large commits are limited by the server, so that its own error is what one sees.
		MaxCallSendMsgSize: 16 << 20}
	if secure {
		if c.TLS, err = r.tls(); err != nil {
			return conf, nil, err
		}
	}
	client, err := clientv3.New(c)
	if err != nil {
		return conf, nil, crowbar.Errorf(crowbar.Invalid, "etcd at %s: %w", strings.Join(r.Endpoints, ", "), err)
	}
	return Config{Client: client, Log: r.Log}, client.Close, nil
}

// check says whether the endpoints want TLS: all of them do, or all are on this machine.
func (r *Remote) check() (secure bool, err error) {
	var bad []error
	plain := 0
	for i, e := range r.Endpoints {
		if !strings.Contains(e, "://") {
			e = "https://" + e
		}
		r.Endpoints[i] = e
		u, err := url.Parse(e)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "":
			bad = append(bad, crowbar.Errorf(crowbar.Invalid, "--etcd-endpoints: %q: want https://HOST:2379", e))
		case u.Scheme == "http" && !loopback(u.Hostname()):
			bad = append(bad, crowbar.Errorf(crowbar.Invalid, "--etcd-endpoints: %s: without TLS anybody on the network could read and change the state: use https:// with --etcd-ca, --etcd-cert and --etcd-key (plain http is for this machine alone)", e))
		case u.Scheme == "http":
			plain++
		}
	}
	if plain > 0 && plain < len(r.Endpoints) {
		bad = append(bad, crowbar.Errorf(crowbar.Invalid, "--etcd-endpoints: some are http and some https: make them all https"))
	}
	secure = plain == 0
	if secure && (r.CA == "" || r.Cert == "" || r.Key == "") {
		bad = append(bad, crowbar.Errorf(crowbar.Invalid, "--etcd-endpoints: https needs --etcd-ca, --etcd-cert and --etcd-key: the cluster's authority, and a client certificate of its with its key"))
	}
	return secure, errors.Join(bad...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *Remote) tls() (*tls.Config, error) {
	text, err := os.ReadFile(r.CA)
	if err != nil {
		return nil, fmt.Errorf("--etcd-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, crowbar.Errorf(crowbar.Invalid, "--etcd-ca: %s holds no certificate in PEM form", r.CA)
	}
	pair := func() (*tls.Certificate, error) {
		p, err := tls.LoadX509KeyPair(r.Cert, r.Key)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "--etcd-cert, --etcd-key: %w", err)
		}
		return &p, nil
	}
	if _, err := pair(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair() }}, nil
}
