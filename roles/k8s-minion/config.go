package k8sminion

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// settings is what one run is told, checked.
type settings struct {
	Version   string            `json:"kubernetes-version"` // "" = the catalogue's default
	Cluster   string            `json:"kubernetes-cluster-name"`
	Pool      string            `json:"kubernetes-pool-name"`
	Port      int               `json:"kubernetes-api-port"`
	Pods      string            `json:"kubernetes-pod-cidr"`
	DNSIP     string            `json:"kubernetes-dns-ip"`
	Domain    string            `json:"kubernetes-cluster-domain"`
	CA        string            `json:"kubernetes-ca"`
	DNSPort   int               `json:"dns-pool-port"`
	LBPort    int               `json:"k8s-minion-lb-port"`
	ProxyMode string            `json:"k8s-minion-proxy-mode"`
	MaxPods   int               `json:"k8s-minion-max-pods"`
	Eviction  map[string]string `json:"k8s-minion-eviction"` // signal -> share or amount
	Kubelet   kube.Leaf         `json:"k8s-minion-kubelet-leaf"`
	Server    kube.Leaf         `json:"k8s-minion-kubelet-server-leaf"`
	Proxy     kube.Leaf         `json:"k8s-minion-proxy-leaf"`
	// Admin stays in this process: it is never written to the node. A node that does this role for itself, with no engine that
	// would do it from elsewhere, is not given it.
	Admin kube.Leaf `json:"k8s-minion-admin-leaf"`

	Node        string
	Address     string
	Masters     []string // host:port of API servers that serve, sorted
	NameServers []string // host:port of the pool's name servers, sorted
}

var wants = []string{
	"kubernetes-version", "kubernetes-cluster-name", "kubernetes-pool-name", "kubernetes-api-port", "kubernetes-pod-cidr", "kubernetes-dns-ip",
	"kubernetes-cluster-domain", "kubernetes-ca", "dns-pool-port", "k8s-minion-lb-port", "k8s-minion-proxy-mode", "k8s-minion-max-pods", "k8s-minion-eviction",
	"k8s-minion-kubelet-leaf", "k8s-minion-kubelet-server-leaf", "k8s-minion-proxy-leaf", "k8s-minion-admin-leaf",
}

// word is what may stand in a unit file or a name without any quoting.
var word = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// signals is what a kubelet watches of its node.
var signals = map[string]bool{"memory.available": true, "nodefs.available": true, "nodefs.inodesFree": true, "imagefs.available": true, "imagefs.inodesFree": true, "pid.available": true}

// threshold is a share or an amount of Kubernetes.
var threshold = regexp.MustCompile(`^([0-9]{1,2}(\.[0-9]+)?%|[0-9]+([EPTGMk]|[EPTGMK]i)?)$`)

func configure(on role.Target) (settings, error) {
	var s settings
	if err := role.Decode(on.Attribs, &s); err != nil {
		return s, fmt.Errorf("k8s-minion: %w", err)
	}
	s.Node, s.Address = on.Node, on.Address
	s.Masters = serving(on.PeersOf("k8s-master"), s.Port)
	s.NameServers = serving(on.PeersOf("dns-pool"), s.DNSPort)
	return s, s.check()
}

func (s settings) check() error {
	bad := func(attrib, value, want string) error {
		return crowbar.Errorf(crowbar.Invalid, "k8s-minion: attrib %s is %q: want %s", attrib, value, want)
	}
	for attrib, value := range map[string]string{"kubernetes-cluster-name": s.Cluster, "kubernetes-pool-name": s.Pool, "kubernetes-cluster-domain": s.Domain, "name of the node": s.Node} {
		if !word.MatchString(value) {
			return bad(attrib, value, "letters, digits, dots and dashes")
		}
	}
	if _, err := netip.ParsePrefix(s.Pods); err != nil {
		return bad("kubernetes-pod-cidr", s.Pods, "a network such as 10.244.0.0/16")
	}
	for attrib, value := range map[string]string{"kubernetes-dns-ip": s.DNSIP, "address of the node": s.Address} {
		if _, err := netip.ParseAddr(value); err != nil {
			return bad(attrib, value, "an IP address")
		}
	}
	for attrib, value := range map[string]int{"kubernetes-api-port": s.Port, "dns-pool-port": s.DNSPort, "k8s-minion-lb-port": s.LBPort} {
		if value < 1 || value > 65535 {
			return bad(attrib, strconv.Itoa(value), "a TCP port")
		}
	}
	if s.MaxPods < 1 {
		return bad("k8s-minion-max-pods", strconv.Itoa(s.MaxPods), "a number above 0")
	}
	for signal, least := range s.Eviction {
		if !signals[signal] || !threshold.MatchString(least) {
			return bad("k8s-minion-eviction", signal+": "+least, "one of "+strings.Join(slices.Sorted(maps.Keys(signals)), ", ")+" with a share such as 10% or an amount such as 1Gi")
		}
	}
	if s.ProxyMode != "iptables" && s.ProxyMode != "nftables" {
		return bad("k8s-minion-proxy-mode", s.ProxyMode, "iptables or nftables")
	}
	for attrib, l := range map[string]kube.Leaf{"k8s-minion-kubelet-leaf": s.Kubelet, "k8s-minion-kubelet-server-leaf": s.Server, "k8s-minion-proxy-leaf": s.Proxy, "k8s-minion-admin-leaf": s.Admin} {
		if attrib == "k8s-minion-admin-leaf" && l == (kube.Leaf{}) {
			continue
		}
		if !l.Complete() {
			return bad(attrib, "(incomplete)", "cert, key and ca")
		}
	}
	if s.CA == "" {
		return bad("kubernetes-ca", "", "a certificate of an authority")
	}
	return nil
}

// serving is the addresses of peers that serve, in an order that does not depend on the order of the peers.
func serving(peers []role.Peer, port int) []string {
	var out []string
	for _, p := range peers {
		if p.Settled || p.State == crowbar.Active {
			out = append(out, net.JoinHostPort(p.Address, strconv.Itoa(port)))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// balancer is where the programs of the node find the API.
func (s settings) balancer() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.LBPort)) }

// hostPort is a port on the node's own address.
func (s settings) hostPort(port int) string { return net.JoinHostPort(s.Address, strconv.Itoa(port)) }
