package flannel

import (
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// lease is what flannel leased, and what has not followed it yet.
type lease struct {
	Subnet    string // "10.244.5.1/24"
	Network   string
	MTU       string
	Stale     []string // files and devices that the script would change
	Addresses []string // "eth0 192.0.2.7/24"
	Wireguard bool     // the kernel has it
}

// holds says that there is a lease of this network and that everything has followed it.
func (l lease) holds(c config) bool {
	return l.Subnet != "" && l.Network == c.Pods && len(l.Stale) == 0
}

const probeText = `
[ -r "$1" ] && sed 's/^/lease /' "$1"
[ -x "$2" ] && "$2" check 2>/dev/null | sed 's/^/stale /'
ip -4 -o address show scope global 2>/dev/null | while read -r _ name _ address _; do echo "address $name $address"; done
if [ -d /sys/module/wireguard ] || modprobe -n -q wireguard 2>/dev/null; then echo wireguard; fi
exit 0
`

// probe reads the lease in the one Exec of linux.Read.
func probe() linux.Probe {
	return linux.Probe{Name: "flannel", Script: probeText, Args: []string{leaseFile, script}}
}

func readLease(text string) lease {
	var l lease
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "lease":
			l.set(rest)
		case "stale":
			l.Stale = append(l.Stale, rest)
		case "address":
			l.Addresses = append(l.Addresses, rest)
		case "wireguard":
			l.Wireguard = true
		}
	}
	return l
}

func (l *lease) set(line string) {
	switch key, value, _ := strings.Cut(line, "="); key {
	case "FLANNEL_SUBNET":
		l.Subnet = value
	case "FLANNEL_NETWORK":
		l.Network = value
	case "FLANNEL_MTU":
		l.MTU = value
	}
}
