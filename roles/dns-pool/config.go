package dnspool

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// config is what the role makes of its attribs and peers.
type config struct {
	Port     int      `json:"dns-pool-port"`
	TTL      int      `json:"dns-pool-ttl"`
	Upstream []string `json:"dns-pool-upstream"`
	Pool     string   `json:"kubernetes-pool-name"`
	APIPort  int      `json:"kubernetes-api-port"`
	CA       string   `json:"kubernetes-ca"`

	self    host
	members []host
}

// host is a node, as kubeclamp-node reads it.
type host struct {
	Node    string `json:"node"`
	Address string `json:"address"`
}

var nameRule = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func configure(on role.Target) (config, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	c.Pool = strings.ToLower(strings.Trim(c.Pool, "."))
	c.self = host{on.Node, on.Address}
	for _, p := range on.PeersOf("k8s-master") {
		if (p.Settled || p.State == crowbar.Active) && p.Address != "" {
			c.members = append(c.members, host{p.Node, p.Address})
		}
	}
	slices.SortFunc(c.members, func(a, b host) int { return strings.Compare(a.Node, b.Node) })
	return c, c.check()
}

func (c config) check() error {
	bad := func(attrib, value, want string) error {
		return crowbar.Errorf(crowbar.Invalid, "dns-pool: %s is %q: want %s", attrib, value, want)
	}
	if !nameRule.MatchString(c.Pool) {
		return bad("kubernetes-pool-name", c.Pool, "a full domain name such as kube-apiserver.example.com")
	}
	for attrib, port := range map[string]int{"dns-pool-port": c.Port, "kubernetes-api-port": c.APIPort} {
		if port < 1 || port > 65535 {
			return bad(attrib, strconv.Itoa(port), "a port from 1 to 65535")
		}
	}
	if c.TTL < 1 || c.TTL > 5 {
		return bad("dns-pool-ttl", strconv.Itoa(c.TTL), "1 to 5 seconds: longer ones keep clients on a server that is gone")
	}
	if !strings.Contains(c.CA, "BEGIN CERTIFICATE") {
		return bad("kubernetes-ca", "", "the authority's certificate: bind cluster-pki")
	}
	if _, err := netip.ParseAddr(c.self.Address); err != nil {
		return bad("the node's address", c.self.Address, "an IP address")
	}
	for _, u := range c.Upstream {
		at := u
		if h, _, err := net.SplitHostPort(u); err == nil {
			at = h
		}
		if _, err := netip.ParseAddr(at); err != nil {
			return bad("dns-pool-upstream", u, "an IP address, or address:port")
		}
		if u == c.listen() || at == c.self.Address && u == at && c.Port == 53 {
			return bad("dns-pool-upstream", u, "another resolver: this is the name server itself")
		}
	}
	return nil
}

// listen is where the name server answers.
func (c config) listen() string { return net.JoinHostPort(c.self.Address, strconv.Itoa(c.Port)) }
