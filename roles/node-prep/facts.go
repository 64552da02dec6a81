package nodeprep

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type config struct {
	Network   string `json:"node-network"`
	MinDisk   int    `json:"node-prep-min-disk"`
	MaxOffset int    `json:"node-prep-max-clock-offset"`
	FreePorts []int  `json:"node-prep-free-ports"`
	Hostname  bool   `json:"node-prep-hostname"`
}

// facts is what the probes say, parsed.
type facts struct {
	linux.Facts
	hosts, fstab string
	swaps        []string
	freeGiB      float64
	addresses    []address
	listeners    map[int]string // TCP port -> who
	machineID    string
}

type address struct {
	iface  string
	prefix netip.Prefix // address and length
}

// probes asks for what differs from one time to the next only where it matters: whether there is room rather than how much,
// addresses without how long they are leased for, and listeners before the first run alone.
func probes(c config, again bool) []linux.Probe {
	all := []linux.Probe{
		{Name: "hosts", Script: "cat /etc/hosts"},
		{Name: "fstab", Script: "cat /etc/fstab"},
		{Name: "swaps", Script: "tail -n +2 /proc/swaps"},
		{Name: "disk", Script: diskText, Args: []string{strconv.Itoa(c.MinDisk << 20)}},
		{Name: "addresses", Script: `a=$(ip -o address show) || exit; printf '%s\n' "$a" | sed 's/\\.*//'`},
		{Name: "machine-id", Script: "cat /etc/machine-id"},
	}
	if !again {
		all = append(all, linux.Probe{Name: "listeners", Script: "ss -Hltnp"})
	}
	return all
}

// diskText says "enough", or df's line. $1 is how many KiB have to be free.
const diskText = `set -- "$1" $(df -Pk /var | tail -n 1)
[ "$5" -ge "$1" ] 2>/dev/null && echo enough && exit
shift
echo "$*"`

func read(ctx context.Context, on role.Target) (config, facts, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, facts{}, err
	}
	if c.Network != "" {
		if _, err := netip.ParsePrefix(c.Network); err != nil {
			return c, facts{}, crowbar.Errorf(crowbar.Invalid, "node-network: %w: want a CIDR such as 10.0.0.0/24", err)
		}
	}
	sketch := linux.State{
		Files:   []linux.File{{Path: "/etc/hosts"}, {Path: "/etc/fstab"}, {Path: "/etc/hostname"}},
		Modules: modules, Sysctls: sysctls(nil),
	}
	raw, err := linux.Read(ctx, on, sketch, probes(c, on.Again)...)
	if err != nil {
		return c, facts{}, err
	}
	f, err := parse(raw)
	if err != nil {
		return c, f, fmt.Errorf("node %s: %w", on.Node, err)
	}
	return c, f, nil
}

func parse(raw linux.Facts) (facts, error) {
	f := facts{Facts: raw, hosts: raw.Probe["hosts"], fstab: raw.Probe["fstab"], listeners: map[int]string{}, machineID: strings.TrimSpace(raw.Probe["machine-id"])}
	for _, l := range lines(raw.Probe["swaps"]) {
		f.swaps = append(f.swaps, strings.Fields(l)[0])
	}
	var err error
	if f.freeGiB, err = free(strings.TrimSpace(raw.Probe["disk"])); err != nil {
		return f, err
	}
	if raw.ProbeCode["addresses"] != 0 {
		return f, crowbar.Errorf(crowbar.Invalid, "`ip -o address show` ended with %d: install iproute2 on the node", raw.ProbeCode["addresses"])
	}
	for _, l := range lines(raw.Probe["addresses"]) {
		if w := strings.Fields(l); len(w) >= 4 && (w[2] == "inet" || w[2] == "inet6") {
			p, err := netip.ParsePrefix(w[3])
			if err != nil { // point to point: the address stands alone
				a, err := netip.ParseAddr(w[3])
				if err != nil {
					return f, fmt.Errorf("an address of the node cannot be read: `ip -o address show` says %q: %w", l, err)
				}
				p = netip.PrefixFrom(a, a.BitLen())
			}
			f.addresses = append(f.addresses, address{iface: strings.SplitN(w[1], "@", 2)[0], prefix: p})
		}
	}
	for _, l := range lines(raw.Probe["listeners"]) {
		w := strings.Fields(l)
		if len(w) < 4 {
			continue
		}
		port, err := strconv.Atoi(w[3][strings.LastIndexByte(w[3], ':')+1:])
		if err != nil {
			continue
		}
		f.listeners[port] = who(l)
	}
	return f, nil
}

// free is how many GiB are; more than anybody can want where that is enough.
func free(said string) (float64, error) {
	if said == "enough" {
		return math.Inf(1), nil
	}
	w := strings.Fields(said)
	if len(w) < 4 {
		return 0, fmt.Errorf("the free space below /var cannot be told: df says %q", said)
	}
	kib, err := strconv.ParseFloat(w[3], 64)
	if err != nil {
		return 0, fmt.Errorf("the free space below /var cannot be told: df says %q: %w", said, err)
	}
	return kib / (1 << 20), nil
}

// who is the process in a line of ss: users:(("sshd",pid=189,fd=3)).
func who(line string) string {
	_, after, ok := strings.Cut(line, `users:(("`)
	name, rest, named := strings.Cut(after, `",pid=`)
	if !ok || !named {
		return "a process"
	}
	pid, _, _ := strings.Cut(rest, ",")
	return name + " (pid " + pid + ")"
}

func lines(s string) []string {
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if strings.TrimSpace(l) != "" {
			out = append(out, l)
		}
	}
	return out
}
