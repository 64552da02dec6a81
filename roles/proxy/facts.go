package proxy

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// Files that are not ours alone are read, so that the lines of others stay.
var probes = []linux.Probe{
	{Name: "environment", Script: "cat /etc/environment"},
	{Name: "dnf", Script: "cat /etc/dnf/dnf.conf"},
	{Name: "yum", Script: "cat /etc/yum.conf"},
}

// settings is which proxy to use, and for what not to. No URL means no proxy.
type settings struct {
	url    string
	direct []string // domains and networks, most general first
}

type attribs struct {
	URL      string   `json:"proxy-url"`
	NoProxy  []string `json:"proxy-no-proxy"`
	Network  string   `json:"node-network"`
	Pods     string   `json:"kubernetes-pod-cidr"`
	Services string   `json:"kubernetes-service-cidr"`
	Domain   string   `json:"kubernetes-cluster-domain"`
	Pool     string   `json:"kubernetes-pool-name"`
}

func decode(on role.Target) (settings, error) {
	var a attribs
	if err := role.Decode(on.Attribs, &a); err != nil {
		return settings{}, err
	}
	if a.URL == "" {
		a.URL = server(on)
	}
	if a.URL == "" {
		return settings{}, nil
	}
	if err := check(a.URL); err != nil {
		return settings{}, err
	}
	if a.Network == "" {
		a.Network = ownNetwork(on)
	}
	direct, err := noProxy(a)
	return settings{url: strings.TrimSuffix(a.URL, "/"), direct: direct}, err
}

// server is the URL of the deployment's proxy server: the one on this node, else the founder, else the first by name.
func server(on role.Target) string {
	best, rank := "", ""
	for _, p := range on.PeersOf("proxy-server") {
		u, _ := p.Wall["proxy-server-url"].(string)
		if u == "" || !p.Settled && p.State != crowbar.Active {
			continue
		}
		r := "2" + p.Node
		switch {
		case p.Node == on.Node:
			r = "0"
		case p.First:
			r = "1"
		}
		if rank == "" || r < rank {
			best, rank = u, r
		}
	}
	return best
}

// ownNetwork is the network in which node-prep found the node's address.
func ownNetwork(on role.Target) string {
	for _, p := range on.PeersOf("node-prep") {
		if n, _ := p.Wall["node-prep-network"].(string); p.Node == on.Node && n != "" {
			return n
		}
	}
	return ""
}

func check(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || strings.ContainsAny(s, "\"'`$\\ \t\r\n;#") {
		return crowbar.Errorf(crowbar.Invalid, "proxy-url is %q: want http://HOST:PORT, and special characters percent-encoded", s)
	}
	return nil
}

// noProxy is what to reach directly. It names networks, never nodes: so a new node changes nothing on the others.
func noProxy(a attribs) ([]string, error) {
	out := []string{"localhost", "127.0.0.0/8", "::1"}
	for _, n := range []struct{ attrib, cidr string }{{"node-network", a.Network}, {"kubernetes-pod-cidr", a.Pods}, {"kubernetes-service-cidr", a.Services}} {
		p, err := netip.ParsePrefix(n.cidr)
		if err != nil && n.attrib == "node-network" && n.cidr == "" {
			return nil, crowbar.Errorf(crowbar.Invalid, "the network of the nodes is not known: set node-network, or run node-prep first")
		}
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w: want a CIDR such as 10.0.0.0/24", n.attrib, err)
		}
		out = append(out, p.Masked().String())
	}
	out = append(out, "."+strings.Trim(a.Domain, "."), ".svc")
	if _, domain, ok := strings.Cut(strings.Trim(a.Pool, "."), "."); ok {
		out = append(out, "."+domain)
	} else {
		out = append(out, a.Pool)
	}
	for _, x := range a.NoProxy {
		if x == "" || strings.ContainsAny(x, "\"'`$\\ \t\r\n;#,%") {
			return nil, crowbar.Errorf(crowbar.Invalid, "proxy-no-proxy: %q: want a domain, an address or a CIDR", x)
		}
		out = append(out, x)
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" || s == "." }), nil
}
