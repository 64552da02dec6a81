package dnsclient

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	resolved = "systemd-resolved.service"
	manager  = "NetworkManager.service"

	resolvConf  = "/etc/resolv.conf"
	linkFile    = "/var/lib/kubeclamp/resolv.conf.link" // what resolv.conf pointed to before us
	dropIn      = "/etc/systemd/resolved.conf.d/50-kubeclamp.conf"
	managerFile = "/etc/NetworkManager/conf.d/90-kubeclamp-dns.conf"
	hookFile    = "/etc/dhcp/dhclient-enter-hooks.d/kubeclamp"
)

// sketch names everything that state may.
var sketch = linux.State{Files: []linux.File{
	{Path: dropIn, Restart: []string{resolved}}, {Path: managerFile, Reload: []string{manager}}, {Path: hookFile}, {Path: linkFile}, {Path: resolvConf},
}}

// state is the resolver's files. systemd-resolved is told where this one name is answered; anything else that writes
// resolv.conf is told to leave it, and the file gets a block of ours before the lines that it had.
func (c config) state(have linux.Facts) (linux.State, error) {
	f := facts(have)
	file, none := !f.resolved && len(c.servers) > 0, len(c.servers) == 0
	if file && c.Port != 53 {
		return linux.State{}, crowbar.Errorf(crowbar.Invalid, "dns-client: dns-pool-port is %d, and this node has no systemd-resolved: /etc/resolv.conf knows port 53 alone: set dns-pool-port to 53, or install systemd-resolved", c.Port)
	}
	s := linux.State{Files: []linux.File{
		{Path: dropIn, Content: resolvedConf(c), Absent: none || !f.resolved, Restart: []string{resolved}},
		{Path: managerFile, Content: "[main]\ndns=none\n", Absent: !file || !f.manager, Reload: []string{manager}},
		{Path: hookFile, Content: "make_resolv_conf() { :; }\n", Mode: 0o755, Absent: !file || !f.dhclient},
	}}
	switch {
	case file:
		if f.link != "" {
			s.Files = append(s.Files, linux.File{Path: linkFile, Content: f.link + "\n"})
		}
		s.Files = append(s.Files, linux.File{Path: resolvConf, Content: withServers(f.content, c.servers)})
	case f.before != "" && strings.Contains(f.content, mark):
		s.Links = []linux.Link{{Path: resolvConf, To: f.before}}
		s.Absent = []string{linkFile}
	case strings.Contains(f.content, mark) && f.link == "":
		s.Files = append(s.Files, linux.File{Path: resolvConf, Content: linux.Block(f.content, block, "")})
	}
	return s, nil
}

const (
	block = "dns"
	mark  = "# BEGIN kubeclamp " + block + "\n"
)

// withServers puts our servers before the others. The C library asks the first three and no more, so that one of the others
// stays within reach; it goes on to the next when one refuses or is silent for a second.
func withServers(content string, servers []string) string {
	rest := linux.Block(content, block, "")
	limit := 3
	if hasServer(rest) {
		limit = 2
	}
	var b strings.Builder
	for _, s := range servers[:min(limit, len(servers))] {
		b.WriteString("nameserver " + s + "\n")
	}
	b.WriteString("options timeout:1 attempts:2\n")
	return linux.Block("", block, b.String()) + rest
}

func hasServer(content string) bool {
	for _, l := range strings.Split(content, "\n") {
		if strings.HasPrefix(strings.TrimSpace(l), "nameserver") {
			return true
		}
	}
	return false
}

// resolvedConf routes the one name to our servers, and no other.
func resolvedConf(c config) string {
	return "[Resolve]\nDNS=" + strings.Join(c.withPort(), " ") + "\nDomains=~" + c.Pool + "\n"
}
