package etcd

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// config is what the attribs and the node say.
type config struct {
	Release    string          `json:"etcd-version"` // "" = the catalogue's default
	ClientPort int             `json:"etcd-client-port"`
	PeerPort   int             `json:"etcd-peer-port"`
	DataDir    string          `json:"etcd-data-dir"`
	Token      string          `json:"etcd-cluster-token"`
	Restore    string          `json:"etcd-restore"` // name of a backup
	Server     etcdclient.Leaf `json:"etcd-server-leaf"`
	Peer       etcdclient.Leaf `json:"etcd-peer-leaf"`
	Admin      etcdclient.Leaf `json:"etcd-admin-leaf"`

	Name    string `json:"-"`
	Address string `json:"-"`
}

// plainPath is a path that means the same in a shell, an environment file and a unit.
var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+){2,}$`)

// plainName is the name of a backup.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func configure(on role.Target) (config, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return c, err
	}
	c.Name, c.Address = on.Node, on.Address
	switch {
	case net.ParseIP(c.Address) == nil:
		return c, crowbar.Errorf(crowbar.Invalid, "node %s: address %q is not an IP: set the node's address", c.Name, c.Address)
	case !plainPath.MatchString(c.DataDir) || path.Clean(c.DataDir) != c.DataDir:
		return c, crowbar.Errorf(crowbar.Invalid, "etcd-data-dir %q: want a clean absolute path at least two levels deep, of letters, digits, '.', '_' and '-'", c.DataDir)
	case c.ClientPort < 1 || c.ClientPort > 65535 || c.PeerPort < 1 || c.PeerPort > 65535 || c.ClientPort == c.PeerPort:
		return c, crowbar.Errorf(crowbar.Invalid, "etcd-client-port %d and etcd-peer-port %d: want two different ports", c.ClientPort, c.PeerPort)
	case c.Restore != "" && !plainName.MatchString(c.Restore):
		return c, crowbar.Errorf(crowbar.Invalid, "etcd-restore %q: want the name of a backup, as `kubeclamp backup list` shows it", c.Restore)
	case c.Server.Key == "" || c.Peer.Key == "" || c.Admin.Key == "":
		return c, crowbar.Errorf(crowbar.Invalid, "etcd has no certificates: the role cluster-pki must be in the deployment")
	}
	return c, nil
}

// clientURL is where clients find this member.
func (c config) clientURL() string { return etcdclient.Endpoint(c.Address, c.ClientPort) }

// peerURL is where the other members find this one; it is what a member is known by.
func (c config) peerURL() string { return etcdclient.Endpoint(c.Address, c.PeerPort) }

func (c config) localURL() string { return etcdclient.Endpoint("127.0.0.1", c.ClientPort) }

// environment is etcd's lasting configuration. Without the bootstrap file beside it etcd joins nothing and founds nothing:
// a member whose data is gone stays down rather than beginning an empty cluster.
func (c config) environment() string {
	lines := [][2]string{
		{"NAME", c.Name},
		{"DATA_DIR", c.DataDir},
		{"LISTEN_CLIENT_URLS", c.clientURL() + "," + c.localURL()},
		{"ADVERTISE_CLIENT_URLS", c.clientURL()},
		{"LISTEN_PEER_URLS", c.peerURL()},
		{"INITIAL_ADVERTISE_PEER_URLS", c.peerURL()},
		{"INITIAL_CLUSTER_STATE", "existing"},
		{"STRICT_RECONFIG_CHECK", "true"},
		{"CLIENT_CERT_AUTH", "true"},
		{"TRUSTED_CA_FILE", pkiDir + "/ca.crt"},
		{"CERT_FILE", pkiDir + "/server.crt"},
		{"KEY_FILE", pkiDir + "/server.key"},
		{"PEER_CLIENT_CERT_AUTH", "true"},
		{"PEER_TRUSTED_CA_FILE", pkiDir + "/ca.crt"},
		{"PEER_CERT_FILE", pkiDir + "/peer.crt"},
		{"PEER_KEY_FILE", pkiDir + "/peer.key"},
		{"TLS_MIN_VERSION", "TLS1.2"},
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "ETCD_%s=%s\n", l[0], l[1])
	}
	return b.String()
}

// bootstrap is what matters at a member's first start alone; the file is gone once the member is in.
func (c config) bootstrap(state string, members []member) string {
	return fmt.Sprintf("ETCD_INITIAL_CLUSTER_STATE=%s\nETCD_INITIAL_CLUSTER_TOKEN=%s\nETCD_INITIAL_CLUSTER=%s\n",
		state, c.Token, c.initialCluster(members))
}

func (c config) initialCluster(members []member) string {
	var out []string
	for _, m := range members {
		name := m.Name
		if m.has(c.peerURL()) {
			name = c.Name
		}
		if name == "" {
			name = m.hex()
		}
		for _, u := range m.PeerURLs {
			out = append(out, name+"="+u)
		}
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}

// member is one member of the cluster, as etcd lists it.
type member struct {
	ID         uint64   `json:"ID"`
	Name       string   `json:"name"` // "" = never started
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

func (m member) hex() string { return strconv.FormatUint(m.ID, 16) }

func (m member) has(peerURL string) bool {
	for _, u := range m.PeerURLs {
		if u == peerURL {
			return true
		}
	}
	return false
}

// label is how people know the member.
func (m member) label() string {
	if m.Name != "" {
		return m.Name
	}
	return strings.Join(m.PeerURLs, " ")
}

// own finds the member of a peer URL.
func own(members []member, peerURL string) (member, bool) {
	for _, m := range members {
		if m.has(peerURL) {
			return m, true
		}
	}
	return member{}, false
}
