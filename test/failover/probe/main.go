// Command probe is what a node's programs are to the Kubernetes API: some that write like a kubelet and some that watch like a
// controller, once through the node's balancer and once by plain DNS round robin. It measures how long each went without
// an answer. It does not know what is done to the servers meanwhile.
//
// Lines on standard input are commands: "reset" begins a new measurement, "report" prints one JSON line of it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site/kubeapi"
)

type config struct {
	kubeconfig, balancer, nameServer, pool, space, lease string
	port, clients                                        int
}

func main() {
	var c config
	flag.StringVar(&c.kubeconfig, "kubeconfig", "", "file with the certificates inside")
	flag.StringVar(&c.balancer, "balancer", "127.0.0.1:6444", "address of the balancer")
	flag.StringVar(&c.nameServer, "name-server", "", "host:port of a name server of the pool")
	flag.StringVar(&c.pool, "pool", "", "name of the pool")
	flag.IntVar(&c.port, "port", 6443, "of the API servers")
	flag.StringVar(&c.space, "namespace", "", "namespace with the leases")
	flag.StringVar(&c.lease, "lease", "", "first part of the names of the leases that it writes")
	flag.IntVar(&c.clients, "clients", 4, "of each sort")
	flag.Parse()
	if err := run(c); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(c config) error {
	text, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		return err
	}
	conf, err := kubeapi.Identity(text, c.pool)
	if err != nil {
		return fmt.Errorf("%s: %w", c.kubeconfig, err)
	}
	roads := map[string]func(context.Context, string, string) (net.Conn, error){
		"balancer": func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.balancer)
		},
		"round robin": func(ctx context.Context, network, _ string) (net.Conn, error) {
			ask := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, c.nameServer)
			}
			d := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Resolver: &net.Resolver{PreferGo: true, Dial: ask}} // client-go's
			return d.DialContext(ctx, network, fmt.Sprintf("%s.:%d", c.pool, c.port))
		},
	}
	var all []*client
	for road, dial := range roads {
		for i := range c.clients {
			lease := fmt.Sprintf("%s-%s-%d", c.lease, strings.ReplaceAll(road, " ", "-"), i)
			k := newClient(road, "kubelet", lease, c, conf, dial)
			w := newClient(road, "controller", lease, c, conf, dial)
			go k.often(k.beat)
			go w.forever(w.watch)
			all = append(all, k, w)
		}
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "reset":
			for _, one := range all {
				one.reset()
			}
		case "report":
			out := map[string]Seen{}
			for _, one := range all {
				key := one.sort + " by " + one.road
				out[key] = out[key].worse(one.report())
			}
			if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
				return err
			}
		}
	}
	return in.Err()
}
