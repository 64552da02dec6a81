package proxyserver

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	confFile = "/etc/kubeclamp-proxy/squid.conf"
	cacheDir = "/var/cache/kubeclamp-proxy"
	logDir   = "/var/log/kubeclamp-proxy"
	runDir   = "/run/kubeclamp-proxy"
	unitName = "kubeclamp-proxy.service"
	theirs   = "/etc/systemd/system/squid.service"
)

type config struct {
	Network string   `json:"node-network"`
	Port    int      `json:"proxy-server-port"`
	Listen  string   `json:"proxy-server-listen"`
	Allow   []string `json:"proxy-server-allow"`
	CacheMB int      `json:"proxy-server-cache-mb"`
	address string   // of the node
	node    string
}

func decode(on role.Target) (config, error) {
	c := config{address: on.Address, node: on.Node}
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	if c.Listen == "" {
		c.Listen = on.Address
	}
	if a, err := netip.ParseAddr(c.Listen); err != nil || a.Zone() != "" {
		return c, crowbar.Errorf(crowbar.Invalid, "proxy-server-listen is %q: want an IP address of the node; without it, set the node's address", c.Listen)
	}
	if c.Port < 1 || c.Port > 65535 {
		return c, crowbar.Errorf(crowbar.Invalid, "proxy-server-port is %d: want 1 to 65535", c.Port)
	}
	if c.CacheMB < 16 {
		return c, crowbar.Errorf(crowbar.Invalid, "proxy-server-cache-mb is %d: want at least 16", c.CacheMB)
	}
	for _, n := range c.Allow {
		if _, err := netip.ParsePrefix(n); err != nil {
			return c, crowbar.Errorf(crowbar.Invalid, "proxy-server-allow: %w: want CIDRs such as 10.0.0.0/24", err)
		}
	}
	if len(c.Allow) == 0 && c.Network != "" {
		if _, err := netip.ParsePrefix(c.Network); err != nil {
			return c, crowbar.Errorf(crowbar.Invalid, "node-network: %w: want a CIDR such as 10.0.0.0/24", err)
		}
		c.Allow = []string{c.Network}
	}
	return c, nil
}

// addr is where others reach it: a wildcard is no address to dial.
func (c config) addr() string {
	host := c.Listen
	if netip.MustParseAddr(host).IsUnspecified() {
		host = c.address
	}
	return net.JoinHostPort(host, strconv.Itoa(c.Port))
}

func (c config) url() string { return "http://" + c.addr() }

// setup is what this node has to have: a state, and where there is no systemd, what to do with the process.
type setup struct {
	state linux.State
	do    string // "", "start", "restart"
	sum   string // of the configuration
}

// fit is pure.
func (c config) fit(have linux.Facts) (setup, error) {
	if len(c.Allow) == 0 {
		n := networkOf(have.Probe["addresses"], c.Listen)
		if n == "" {
			return setup{}, crowbar.Errorf(crowbar.Invalid, "no interface of the node has the address %s: set proxy-server-allow and proxy-server-listen", c.Listen)
		}
		c.Allow = []string{n}
	}
	user := "squid"
	if have.Packager == "apt" {
		user = "proxy"
	}
	conf := squidConf(c, user)
	s := setup{sum: fmt.Sprintf("%x", sha256.Sum256([]byte(conf)))}
	s.state = linux.State{
		Packages: []linux.Package{{Deb: "squid", RPM: "squid", NoStart: true}},
		Dirs:     []linux.Dir{{Path: "/etc/kubeclamp-proxy"}, {Path: cacheDir, Mode: 0o750, Owner: user}, {Path: logDir, Mode: 0o750, Owner: user}, {Path: runDir}},
		Files: []linux.File{
			{Path: confFile, Content: conf, Restart: []string{unitName}},
			{Path: rotateFile, Content: rotate(user)},
		},
	}
	if have.Systemd {
		s.state.Units = []linux.Unit{{Name: unitName, Content: unit}}
		return s, nil
	}
	switch started := have.Probe["process"]; {
	case started == "":
		s.do = "start"
	case started != s.sum:
		s.do = "restart"
	}
	return s, nil
}

// sketch names everything that fit and mask may.
func sketch() linux.State {
	return linux.State{
		Packages: []linux.Package{{Deb: "squid", RPM: "squid"}},
		Dirs:     []linux.Dir{{Path: "/etc/kubeclamp-proxy"}, {Path: cacheDir}, {Path: logDir}, {Path: runDir}},
		Files:    []linux.File{{Path: confFile, Restart: []string{unitName}}, {Path: rotateFile}},
		Links:    []linux.Link{{Path: theirs, To: "/dev/null"}},
		Units:    []linux.Unit{{Name: unitName, Content: unit}},
	}
}

// mask bans the distribution's own unit, which its package would start at the next boot. A squid that was there before us
// is left alone.
func mask(have linux.Facts) linux.State {
	l := linux.Link{Path: theirs, To: "/dev/null"}
	if have.Systemd && (have.Packages["squid"] == "" || have.Paths[theirs].To == l.To) {
		return linux.State{Links: []linux.Link{l}}
	}
	return linux.State{}
}
