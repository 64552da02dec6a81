package k8sminion

import (
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// host is what the node is like, as far as the files depend on it.
type host struct {
	Cgroup     int    // 1 or 2
	Resolver   string // file with name servers that a pod can reach; "" = there is none
	OOM        bool   // may lower its own out-of-memory score
	Conntrack  bool   // may set the size of the connection table
	ConntrackT bool   // and its timeouts
}

const (
	tableSize  = "net.netfilter.nf_conntrack_max"
	tableTimes = "net.netfilter.nf_conntrack_tcp_timeout_established"
)

// resolver prints the first file that names a server outside the node: a pod cannot reach the node's loopback.
const resolver = `for f in /run/systemd/resolve/resolv.conf /etc/resolv.conf; do
	[ -f "$f" ] && grep -E '^[[:space:]]*nameserver[[:space:]]' "$f" | grep -qvE 'nameserver[[:space:]]+(127\.|::1|$)' && echo "$f" && exit 0
done
exit 0`

// stored prints name and tar of each of our images that containerd has.
const stored = `command -v ctr >/dev/null || exit 0
ctr --timeout 20s -n k8s.io images ls | awk 'NR > 1 { s = "-"; n = split($NF, l, ","); for (i = 1; i <= n; i++) if (l[i] ~ /^kubeclamp\.io\/tar=/) s = substr(l[i], 18); print $1, s }'`

func probes() []linux.Probe {
	return []linux.Probe{
		{Name: "resolver", Script: resolver},
		{Name: "bounds", Script: `sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status`},
		{Name: "images", Script: stored},
	}
}

func hostOf(have linux.Facts) host {
	const sysResource = 24
	bounds, err := strconv.ParseUint(strings.TrimSpace(have.Probe["bounds"]), 16, 64)
	return host{
		Cgroup:     have.Cgroup,
		Resolver:   strings.TrimSpace(have.Probe["resolver"]),
		OOM:        err == nil && bounds&(1<<sysResource) != 0,
		Conntrack:  writable(have, tableSize),
		ConntrackT: writable(have, tableTimes),
	}
}

// writable: a key that is not there yet comes with its module, and then belongs to the machine itself.
func writable(have linux.Facts, key string) bool {
	s, ok := have.Sysctls[key]
	return !ok || s.Writable
}

// imagesOf is the images on the node: name -> sha256 of the tar that it came from.
func imagesOf(have linux.Facts) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(have.Probe["images"]) {
		if name, tar, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			out[name] = tar
		}
	}
	return out
}
