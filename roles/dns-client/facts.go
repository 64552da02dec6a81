package dnsclient

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// probes reads what is not ours alone.
var probes = []linux.Probe{
	{Name: "resolv", Script: "cat /etc/resolv.conf 2>/dev/null || :"},
	{Name: "link", Script: "cat " + linkFile + " 2>/dev/null || :"},
	{Name: "dhclient", Script: "if [ -d /etc/dhcp/dhclient-enter-hooks.d ]; then echo yes; fi"},
}

// found is how a node resolves names.
type found struct {
	resolved bool   // through systemd-resolved
	manager  bool   // NetworkManager runs
	dhclient bool   // dhclient's hooks are there
	content  string // of /etc/resolv.conf
	link     string // what /etc/resolv.conf points to; "" if it is a file
	before   string // what it pointed to before us; "" if it was a file
}

func facts(have linux.Facts) found {
	conf := have.Paths[resolvConf]
	f := found{
		manager: have.Units[manager].Active == "active", dhclient: strings.TrimSpace(have.Probe["dhclient"]) == "yes",
		content: have.Probe["resolv"], before: strings.TrimSpace(have.Probe["link"]),
	}
	if conf.Kind == "link" {
		f.link = conf.To
	}
	f.resolved = have.Units[resolved].Active == "active" && (strings.Contains(f.link, "systemd/resolve") || strings.Contains(f.content, "nameserver 127.0.0.53"))
	return f
}
