package k8smaster

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// settings is what one run is told, checked.
type settings struct {
	Version        string    `json:"kubernetes-version"` // "" = the catalogue's default
	EtcdPort       int       `json:"etcd-client-port"`
	Cluster        string    `json:"kubernetes-cluster-name"`
	Pool           string    `json:"kubernetes-pool-name"`
	Port           int       `json:"kubernetes-api-port"`
	Pods           string    `json:"kubernetes-pod-cidr"`
	Services       string    `json:"kubernetes-service-cidr"`
	ServiceIP      string    `json:"kubernetes-service-ip"`
	Domain         string    `json:"kubernetes-cluster-domain"`
	CA             string    `json:"kubernetes-ca"`
	FrontProxyCA   string    `json:"front-proxy-ca"`
	AccountKey     string    `json:"k8s-master-service-account-key"`
	EncryptionKey  string    `json:"k8s-master-encryption-key"`
	Server         kube.Leaf `json:"k8s-master-server-leaf"`
	Etcd           kube.Leaf `json:"k8s-master-etcd-leaf"`
	Kubelet        kube.Leaf `json:"k8s-master-kubelet-leaf"`
	FrontProxy     kube.Leaf `json:"k8s-master-front-proxy-leaf"`
	ControlManager kube.Leaf `json:"k8s-master-controller-manager-leaf"`
	Scheduler      kube.Leaf `json:"k8s-master-scheduler-leaf"`
	Admin          kube.Leaf `json:"k8s-master-admin-leaf"`

	Follow      string   // version of the controller manager and the scheduler
	Address     string   // the node's own
	EtcdServers []string // URLs
	AccountPub  string   // PEM of the public halves of AccountKey
}

var wants = []string{
	"kubernetes-version", "etcd-client-port", "kubernetes-cluster-name", "kubernetes-pool-name", "kubernetes-api-port", "kubernetes-pod-cidr",
	"kubernetes-service-cidr", "kubernetes-service-ip", "kubernetes-cluster-domain", "kubernetes-ca", "front-proxy-ca",
	"k8s-master-service-account-key", "k8s-master-encryption-key", "k8s-master-server-leaf", "k8s-master-etcd-leaf",
	"k8s-master-kubelet-leaf", "k8s-master-front-proxy-leaf", "k8s-master-controller-manager-leaf",
	"k8s-master-scheduler-leaf", "k8s-master-admin-leaf",
}

// word is what may stand in a unit file or a name without any quoting.
var word = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

func configure(on role.Target) (settings, error) {
	var s settings
	if err := role.Decode(on.Attribs, &s); err != nil {
		return s, fmt.Errorf("k8s-master: %w", err)
	}
	s.Address = on.Address
	if err := s.check(); err != nil {
		return s, err
	}
	members := on.PeersOf("etcd")
	if s.EtcdServers = etcdServers(members, on.Node, s.EtcdPort); on.DryRun {
		s.EtcdServers = planned(s.EtcdServers, members, on.Node, s.EtcdPort)
	}
	if len(s.EtcdServers) == 0 {
		return s, crowbar.Errorf(crowbar.Unavailable, "k8s-master on %s: no member of etcd serves; look at the etcd node-roles of deployment %s", on.Node, on.Deployment)
	}
	var err error
	s.AccountPub, err = publicHalves(s.AccountKey)
	return s, err
}

func (s settings) check() error {
	bad := func(attrib, value, want string) error {
		return crowbar.Errorf(crowbar.Invalid, "k8s-master: attrib %s is %q: want %s", attrib, value, want)
	}
	for attrib, value := range map[string]string{"kubernetes-cluster-name": s.Cluster, "kubernetes-pool-name": s.Pool, "kubernetes-cluster-domain": s.Domain} {
		if !word.MatchString(value) {
			return bad(attrib, value, "letters, digits, dots and dashes")
		}
	}
	for attrib, value := range map[string]string{"kubernetes-pod-cidr": s.Pods, "kubernetes-service-cidr": s.Services} {
		if _, err := netip.ParsePrefix(value); err != nil {
			return bad(attrib, value, "a network such as 10.244.0.0/16")
		}
	}
	for attrib, value := range map[string]string{"kubernetes-service-ip": s.ServiceIP, "address of the node": s.Address} {
		if _, err := netip.ParseAddr(value); err != nil {
			return bad(attrib, value, "an IP address")
		}
	}
	for attrib, value := range map[string]int{"kubernetes-api-port": s.Port, "etcd-client-port": s.EtcdPort} {
		if value < 1 || value > 65535 {
			return bad(attrib, strconv.Itoa(value), "a TCP port")
		}
	}
	if keys := encryptionKeys(s.EncryptionKey); len(keys) == 0 || slices.ContainsFunc(keys, func(k atRest) bool { return !k.right() }) {
		return bad("k8s-master-encryption-key", "(secret)", "32 bytes in base64, or lines of NAME:BASE64")
	}
	return s.checkLeaves(bad)
}

func (s settings) checkLeaves(bad func(attrib, value, want string) error) error {
	for attrib, l := range map[string]kube.Leaf{
		"k8s-master-server-leaf": s.Server, "k8s-master-etcd-leaf": s.Etcd, "k8s-master-kubelet-leaf": s.Kubelet,
		"k8s-master-front-proxy-leaf": s.FrontProxy, "k8s-master-controller-manager-leaf": s.ControlManager,
		"k8s-master-scheduler-leaf": s.Scheduler, "k8s-master-admin-leaf": s.Admin,
	} {
		if !l.Complete() {
			return bad(attrib, "(incomplete)", "cert, key and ca")
		}
	}
	if s.CA == "" || s.FrontProxyCA == "" {
		return bad("kubernetes-ca or front-proxy-ca", "", "a certificate of an authority")
	}
	return nil
}

// etcdServers is the node's own member of etcd where it has one that serves, and else all that serve, in an order that does
// not change with the order of the peers. A member that has not joined yet, or leaves, is not in it.
//
// With members of other nodes as well, an API server would hang with each of them that vanishes for as long as its client
// takes to notice, most of a minute. With its own alone it answers or is seen not to be ready, and the pool has others;
// and members come and go without a restart of other nodes' API servers.
func etcdServers(peers []role.Peer, node string, port int) []string {
	var own, all []string
	for _, p := range peers {
		if !p.Settled && p.State != crowbar.Active {
			continue
		}
		url := "https://" + net.JoinHostPort(p.Address, strconv.Itoa(port))
		if p.Node == node {
			own = append(own, url)
		}
		all = append(all, url)
	}
	if len(own) > 0 {
		return own
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// planned is what etcdServers will be once the members that are yet to join have: those of this node come before it.
func planned(now []string, members []role.Peer, node string, port int) []string {
	to := slices.Clone(members)
	for i := range to {
		to[i].Settled = to[i].Settled || len(now) == 0 || to[i].Node == node
	}
	return etcdServers(to, node, port)
}

// publicHalf is the PEM of a private key's public key: what a verifier of tokens needs.
func publicHalf(private string) (string, error) {
	wrong := crowbar.Errorf(crowbar.Invalid, "k8s-master: attrib k8s-master-service-account-key is not a PEM private key (ECDSA): unset it, and the host makes one")
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		return "", wrong
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return "", wrong
		}
		ec, ok := any.(*ecdsa.PrivateKey)
		if !ok {
			return "", wrong
		}
		key = ec
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", fmt.Errorf("k8s-master: public half of the service account key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
