// Package roles is the table of the roles that are shipped. It does not know what any of them does.
package roles

import (
	"maps"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	clusterpki "github.com/kubeclamp/kubeclamp/roles/cluster-pki"
	dnsclient "github.com/kubeclamp/kubeclamp/roles/dns-client"
	dnspool "github.com/kubeclamp/kubeclamp/roles/dns-pool"
	"github.com/kubeclamp/kubeclamp/roles/docker"
	"github.com/kubeclamp/kubeclamp/roles/etcd"
	"github.com/kubeclamp/kubeclamp/roles/flannel"
	k8saddons "github.com/kubeclamp/kubeclamp/roles/k8s-addons"
	k8sconfig "github.com/kubeclamp/kubeclamp/roles/k8s-config"
	k8smaster "github.com/kubeclamp/kubeclamp/roles/k8s-master"
	k8sminion "github.com/kubeclamp/kubeclamp/roles/k8s-minion"
	k8sready "github.com/kubeclamp/kubeclamp/roles/k8s-ready"
	nodeprep "github.com/kubeclamp/kubeclamp/roles/node-prep"
	"github.com/kubeclamp/kubeclamp/roles/proxy"
	proxyserver "github.com/kubeclamp/kubeclamp/roles/proxy-server"
)

var table = map[string]func() role.Role{
	"cluster-pki":  clusterpki.New,
	"dns-client":   dnsclient.New,
	"dns-pool":     dnspool.New,
	"docker":       docker.New,
	"etcd":         etcd.New,
	"flannel":      flannel.New,
	"k8s-addons":   k8saddons.New,
	"k8s-config":   k8sconfig.New,
	"k8s-master":   k8smaster.New,
	"k8s-minion":   k8sminion.New,
	"k8s-ready":    k8sready.New,
	"node-prep":    nodeprep.New,
	"proxy":        proxy.New,
	"proxy-server": proxyserver.New,
}

// New makes the role of that name; false if none is shipped under it.
func New(name string) (role.Role, bool) {
	make, ok := table[name]
	if !ok {
		return nil, false
	}
	return make(), true
}

// Names is every shipped role, in order.
func Names() []string { return slices.Sorted(maps.Keys(table)) }
