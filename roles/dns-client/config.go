package dnsclient

import (
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// config is what the role makes of its attribs and peers; without servers it undoes everything.
type config struct {
	Port int    `json:"dns-pool-port"`
	Pool string `json:"kubernetes-pool-name"`

	servers []string // addresses of the pool's name servers, the one to ask first at the front
}

func configure(on role.Target) (config, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	c.Pool = strings.ToLower(strings.Trim(c.Pool, "."))
	if c.Pool == "" || strings.ContainsAny(c.Pool, " \t\r\n#;~\"'") {
		return c, crowbar.Errorf(crowbar.Invalid, "dns-client: kubernetes-pool-name is %q: want a domain name", c.Pool)
	}
	if c.Port < 1 || c.Port > 65535 {
		return c, crowbar.Errorf(crowbar.Invalid, "dns-client: dns-pool-port is %d: want a port from 1 to 65535", c.Port)
	}
	for _, p := range on.PeersOf("dns-pool") {
		if _, err := netip.ParseAddr(p.Address); err == nil && (p.Settled || p.State == crowbar.Active) {
			c.servers = append(c.servers, p.Address)
		}
	}
	if len(c.servers) == 0 {
		return c, crowbar.Errorf(crowbar.Unavailable, "dns-client: no name server of the pool serves: bind dns-pool to at least one node")
	}
	c.servers = turned(c.servers, on.Node, on.Address)
	return c, nil
}

// turned puts the node itself at the front, where it is a name server, and turns the others by the node's name: not every
// node asks the same one first, and each asks the same one every time.
func turned(servers []string, node, own string) []string {
	slices.Sort(servers)
	servers = slices.Compact(servers)
	h := fnv.New32a()
	h.Write([]byte(node))
	from := int(h.Sum32() % uint32(len(servers)))
	out := append(slices.Clone(servers[from:]), servers[:from]...)
	if i := slices.Index(out, own); i > 0 {
		out = append([]string{own}, slices.Delete(out, i, i+1)...)
	}
	return out
}

// withPort is the servers as systemd-resolved wants them.
func (c config) withPort() []string {
	if c.Port == 53 {
		return c.servers
	}
	out := make([]string, len(c.servers))
	for i, s := range c.servers {
		out[i] = net.JoinHostPort(s, strconv.Itoa(c.Port))
	}
	return out
}
