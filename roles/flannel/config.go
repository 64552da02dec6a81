package flannel

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"path"
	"reflect"
	"regexp"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// config is what the attribs and the peers say.
type config struct {
	Version     string          `json:"flannel-version"`
	Backend     string          `json:"flannel-backend"`
	Length      int             `json:"flannel-subnet-length"`
	Prefix      string          `json:"flannel-etcd-prefix"`
	Port        int             `json:"flannel-port"`
	Leaf        etcdclient.Leaf `json:"flannel-leaf"`
	EtcdPort    int             `json:"etcd-client-port"`
	Pods        string          `json:"kubernetes-pod-cidr"`
	NodeNetwork string          `json:"node-network"`

	Node      string   `json:"-"`
	Address   string   `json:"-"`
	Endpoints []string `json:"-"`
}

// backend is what a way to carry packets needs and makes.
type backend struct {
	Module string // kernel module
	Device string // network device; "" = none of its own
	Port   int    // UDP port that flannel would choose
}

var backends = map[string]backend{
	"udp":       {Module: "tun", Device: "flannel0", Port: 8285},
	"vxlan":     {Module: "vxlan", Device: "flannel.1", Port: 8472},
	"host-gw":   {},
	"wireguard": {Module: "wireguard", Device: "flannel-wg", Port: 51820},
}

var plainPrefix = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

func configure(on role.Target) (config, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	c.Node, c.Address, c.Endpoints = on.Node, on.Address, endpoints(on, c.EtcdPort)
	return c, c.check()
}

func (c config) check() error {
	pods, err := netip.ParsePrefix(c.Pods)
	switch {
	case err != nil || pods.Masked() != pods || !pods.Addr().Is4():
		return crowbar.Errorf(crowbar.Invalid, "kubernetes-pod-cidr %q: want an IPv4 network such as 10.244.0.0/16, without host bits", c.Pods)
	case c.Length <= pods.Bits() || c.Length > 28:
		return crowbar.Errorf(crowbar.Invalid, "flannel-subnet-length %d: want more than the %d of kubernetes-pod-cidr and at most 28, for each node gets one such subnet", c.Length, pods.Bits())
	case backends[c.Backend] == backend{} && c.Backend != "host-gw":
		return crowbar.Errorf(crowbar.Invalid, "flannel-backend %q: want udp, vxlan, host-gw or wireguard", c.Backend)
	case !plainPrefix.MatchString(c.Prefix) || path.Clean(c.Prefix) != c.Prefix:
		return crowbar.Errorf(crowbar.Invalid, "flannel-etcd-prefix %q: want a clean path of letters, digits, '.', '_' and '-'", c.Prefix)
	case c.Port < 0 || c.Port > 65535:
		return crowbar.Errorf(crowbar.Invalid, "flannel-port %d: want a port, or 0 for the backend's own", c.Port)
	case len(c.Endpoints) == 0:
		return crowbar.Errorf(crowbar.Invalid, "flannel has no etcd: bind etcd to at least one node of the deployment")
	case c.Leaf.Key == "":
		return crowbar.Errorf(crowbar.Invalid, "flannel has no certificate: the role cluster-pki must be in the deployment")
	}
	if c.NodeNetwork != "" {
		if _, err := netip.ParsePrefix(c.NodeNetwork); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "node-network %q: want a network such as 192.0.2.0/24", c.NodeNetwork)
		}
	}
	return nil
}

// endpoints is every member of etcd that has served, in a fixed order, so that nothing changes on this node while members
// are applied again. Before the first one has served it is all of them.
func endpoints(on role.Target, port int) []string {
	var served []crowbar.Peer
	for _, p := range on.PeersOf("etcd") {
		if p.Settled || len(p.Wall) > 0 {
			served = append(served, p)
		}
	}
	if len(served) == 0 {
		served = on.PeersOf("etcd")
	}
	return etcdclient.Endpoints(served, port)
}

// network is the network config in etcd, which all nodes share.
func (c config) network() string {
	be := map[string]any{"Type": c.Backend}
	if p := c.port(); p != 0 {
		if c.Backend == "wireguard" {
			be["ListenPort"] = p
		} else {
			be["Port"] = p
		}
	}
	if c.Backend == "vxlan" {
		be["VNI"] = 1
	}
	b, err := json.Marshal(map[string]any{"Network": c.Pods, "SubnetLen": c.Length, "Backend": be})
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(b)
}

func (c config) port() int {
	if c.Port != 0 && c.Backend != "host-gw" {
		return c.Port
	}
	return backends[c.Backend].Port
}

// configKey and leasePrefix are flannel's own layout below the prefix.
func (c config) configKey() string { return c.Prefix + "/config" }

func (c config) leaseKey(subnet string) (string, error) {
	p, err := netip.ParsePrefix(subnet)
	if err != nil {
		return "", err
	}
	p = p.Masked()
	return fmt.Sprintf("%s/subnets/%s-%d", c.Prefix, p.Addr(), p.Bits()), nil
}

// agrees compares two network configs by meaning.
func agrees(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

// underlay picks the node's address that carries the overlay: the node's own, unless node-network says otherwise.
// have is address/length of each interface of the node, as "name address/length".
func (c config) underlay(have []string) (dev, addr string, err error) {
	want, _ := netip.ParsePrefix(c.NodeNetwork) // checked; the zero Prefix contains nothing
	own, _ := netip.ParseAddr(c.Address)
	for _, line := range have {
		name, text, _ := strings.Cut(line, " ")
		p, err := netip.ParsePrefix(text)
		if err != nil || c.NodeNetwork != "" && !want.Contains(p.Addr()) {
			continue
		}
		if p.Addr() == own {
			return name, p.Addr().String(), nil
		}
		if c.NodeNetwork != "" && dev == "" {
			dev, addr = name, p.Addr().String()
		}
	}
	if dev == "" {
		where := "address " + c.Address
		if c.NodeNetwork != "" {
			where = "an address in node-network " + c.NodeNetwork
		}
		return "", "", crowbar.Errorf(crowbar.Invalid, "no interface of node %s has %s; it has %s: set the node's address or node-network", c.Node, where, strings.Join(have, ", "))
	}
	return dev, addr, nil
}
