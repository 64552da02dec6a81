package k8sminion

import (
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	etc = "/etc/kubernetes"
	dir = etc + "/minion" // apart from a master's files on the same node
	bin = "/usr/local/bin/"

	kubelet  = "kubelet.service"
	proxy    = "kube-proxy.service"
	balancer = "kubeclamp-lb.service"
)

// desired is all that the node should have. The API balancer comes first: the others dial it.
func desired(s settings, h host) linux.State {
	return linux.State{
		Packages: packages(s),
		Dirs:     []linux.Dir{{Path: etc, Mode: 0o755}, {Path: dir, Mode: 0o755}},
		Files:    files(s, h),
		Modules:  []string{"nf_conntrack"},
		Binaries: []linux.Binary{
			// Under a name of its own: a name server on the same node has the same program, and may stay when this role goes.
			{Artifact: "kubeclamp/kubeclamp-node", Path: bin + "kubeclamp-lb", Restart: []string{balancer}},
			{Artifact: role.At("kubernetes/kubelet", s.Version), Path: bin + "kubelet", Restart: []string{kubelet}},
			{Artifact: role.At("kubernetes/kube-proxy", s.Version), Path: bin + "kube-proxy", Restart: []string{proxy}},
		},
		Units: []linux.Unit{
			{Name: balancer, Content: balancerUnit},
			{Name: kubelet, Content: kubeletUnit(s)},
			{Name: proxy, Content: proxyUnit},
		},
		Absent: tars(),
	}
}

// sketch names all that desired may name, and the settings that are only looked at.
func sketch(s settings) linux.State {
	w := desired(s, host{})
	w.Sysctls = []linux.Sysctl{{Key: tableSize}, {Key: tableTimes}}
	return w
}

func packages(s settings) []linux.Package {
	p := []linux.Package{{Deb: "conntrack", RPM: "conntrack-tools"}, {Deb: "socat", RPM: "socat"}, {Deb: "ethtool", RPM: "ethtool"}, {Deb: "iptables", RPM: "iptables-nft"}}
	if s.ProxyMode == "nftables" {
		p = append(p, linux.Package{Deb: "nftables", RPM: "nftables"})
	}
	return p
}

func tars() []string {
	var out []string
	for _, i := range images {
		out = append(out, i.tar())
	}
	return out
}

func files(s settings, h host) []linux.File {
	config := func(file, who string, l kube.Leaf, unit string) linux.File {
		c := kube.Config{Cluster: s.Cluster, User: who, Server: "https://" + s.balancer(), Name: s.Pool, Embed: kube.Leaf{Cert: l.Cert, Key: l.Key, CA: s.CA}}
		return linux.File{Path: dir + "/" + file, Mode: 0o600, Content: c.String(), Secret: true, Restart: []string{unit}}
	}
	return []linux.File{
		{Path: dir + "/ca.crt", Content: s.CA, Restart: []string{kubelet}},
		balancerConfig(s),
		{Path: dir + "/kubelet-server.crt", Content: s.Server.Cert, Restart: []string{kubelet}},
		{Path: dir + "/kubelet-server.key", Mode: 0o600, Content: s.Server.Key, Secret: true, Restart: []string{kubelet}},
		config("kubelet.conf", "system:node:"+s.Node, s.Kubelet, kubelet),
		{Path: dir + "/kubelet.yaml", Content: kubeletConfig(s, h), Restart: []string{kubelet}},
		config("kube-proxy.conf", "system:kube-proxy", s.Proxy, proxy),
		{Path: dir + "/kube-proxy.yaml", Content: proxyConfig(s, h), Restart: []string{proxy}},
	}
}
