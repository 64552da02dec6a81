// Command uirole is every role of the tests of the pages: it says what it does, and does nothing. It does not know any node.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

var coded = []string{"node-prep", "proxy-server", "proxy", "docker", "etcd", "flannel", "k8s-master", "k8s-minion"}

type demo string

// Describe names it.
func (d demo) Describe() role.Info { return role.Info{Name: string(d), Version: "1"} }

// Apply takes some steps, as its attribs say.
func (d demo) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	number := func(name string, or int) int {
		if n, err := strconv.Atoi(fmt.Sprint(on.Attribs[name])); err == nil {
			return n
		}
		return or
	}
	lines := number("docker-log-lines", 6)
	for i := range lines {
		cmd := fmt.Sprintf("systemctl %s %s.service # %d", []string{"show", "enable", "start", "is-active"}[i%4], d, i)
		if _, err := on.Conn.Exec(ctx, jig.Cmd{Argv: strings.Fields(cmd)}); err != nil {
			return role.Result{}, err
		}
	}
	select {
	case <-ctx.Done():
		return role.Result{}, ctx.Err()
	case <-time.After(time.Duration(number("pace", 0)) * time.Millisecond):
	}
	if s, ok := on.Attribs["docker-storage"].(string); ok && strings.HasPrefix(s, "say:") { // whatever that is
		text := strings.TrimPrefix(s, "say:")
		if _, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"echo", text}}); err != nil {
			return role.Result{}, err
		}
		return role.Result{}, errors.New(text)
	}
	if s := on.Attribs["docker-storage"]; s == "devicemapper" {
		return role.Result{}, fmt.Errorf("docker.service does not start: storage driver %q is not in this kernel: set docker-storage to overlay2", s)
	}
	if d == "k8s-master" && on.Node != "p3" { // of the clusters of the tests one has an API server that does not answer
		if err := serve(on.Attribs); err != nil {
			return role.Result{}, err
		}
	}
	return role.Result{Wall: d.wall(on), Changes: []role.Change{{Do: "create", What: "file", Name: "/etc/" + string(d) + ".conf"}, {Do: "start", What: "unit", Name: string(d) + ".service"}}}, nil
}

// wall is what the real roles give back, as far as pages show it.
func (d demo) wall(on role.Target) map[string]any {
	const url = "http://127.112.0.1:3128"
	switch d {
	case "node-prep":
		return map[string]any{"node-prep-system": map[string]any{"os": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.41", "cpus": 8, "memory_mib": 32042, "disk_gib": 476}}
	case "proxy-server":
		return map[string]any{"proxy-server-url": url}
	case "proxy":
		if len(on.PeersOf("proxy-server")) > 0 {
			return map[string]any{"proxy-used-url": url, "proxy-used-no-proxy": "localhost,127.0.0.0/8,::1,10.244.0.0/16,10.96.0.0/16,.cluster.local"}
		}
	}
	return nil
}

// serve answers as an API server does that is ready, at the address in its certificate, as long as this process lives.
func serve(attribs map[string]any) error {
	leaf, _ := attribs["k8s-master-server-leaf"].(map[string]any)
	pair, err := tls.X509KeyPair([]byte(fmt.Sprint(leaf["cert"])), []byte(fmt.Sprint(leaf["key"])))
	if err != nil {
		return err
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return err
	}
	at := net.JoinHostPort(pair.Leaf.IPAddresses[0].String(), fmt.Sprint(attribs["kubernetes-api-port"]))
	l, err := tls.Listen("tcp", at, &tls.Config{Certificates: []tls.Certificate{pair}})
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil // by a run before this one; or the address is of no machine
	}
	if err != nil {
		return err
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }), ReadHeaderTimeout: time.Second}
	go func() { _ = s.Serve(l) }()
	return nil
}

// Remove leaves nothing behind.
func (demo) Remove(context.Context, role.Target) error { return nil }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "uirole: want the name of a role, or --names")
		os.Exit(plugin.NoSuchRole)
	}
	if os.Args[1] == "--names" {
		fmt.Println(strings.Join(coded, "\n"))
		return
	}
	plugin.Serve(demo(os.Args[1]))
}
