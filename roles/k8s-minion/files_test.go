package k8sminion

import (
	"flag"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	leaf := func(n string) kube.Leaf {
		return kube.Leaf{Cert: n + " cert\n", Key: n + " key\n", CA: n + " ca\n"}
	}
	s := settings{Cluster: "kubernetes", Pool: "pool.test", Port: 6443, Pods: "10.244.0.0/16", DNSIP: "10.96.0.10", Domain: "cluster.local", CA: "ca\n", DNSPort: 53,
		LBPort: 6444, ProxyMode: "iptables", MaxPods: 110, Eviction: map[string]string{"nodefs.available": "10%", "memory.available": "100Mi"}, Kubelet: leaf("kubelet"), Server: leaf("server"), Proxy: leaf("proxy"), Admin: leaf("admin"),
		Node: "n1", Address: "198.18.0.11", Masters: []string{"198.18.0.21:6443", "198.18.0.22:6443"}, NameServers: []string{"198.18.0.21:53"}}
	nft := s
	nft.ProxyMode = "nftables"
	for name, c := range map[string]struct {
		s settings
		h host
	}{
		"server":    {s, host{Cgroup: 2, Resolver: "/run/systemd/resolve/resolv.conf", OOM: true, Conntrack: true, ConntrackT: true}},
		"container": {nft, host{Cgroup: 1}},
	} {
		t.Run(name, func(t *testing.T) { roletest.Golden(t, *update, name, desired(c.s, c.h)) })
	}
}

func TestHostIsReadNotAssumed(t *testing.T) {
	have := linux.Facts{Cgroup: 2, Probe: map[string]string{"bounds": "000001ffffffffff\n", "resolver": "\n"}, Sysctls: map[string]linux.SysctlFact{tableSize: {Writable: false}, tableTimes: {Writable: true}}}
	if got, want := hostOf(have), (host{Cgroup: 2, OOM: true, ConntrackT: true}); got != want {
		t.Errorf("got %+v", got)
	}
	have.Probe["bounds"] = "000001fffcffffff"
	if hostOf(have).OOM {
		t.Error("a node without CAP_SYS_RESOURCE may lower its score")
	}
}

func TestImagesOf(t *testing.T) {
	have := linux.Facts{Probe: map[string]string{"images": "kubeclamp.internal/pause:1 abc\ndocker.io/library/x:1 -\n"}}
	if got := imagesOf(have); got["kubeclamp.internal/pause:1"] != "abc" || got["docker.io/library/x:1"] != "-" {
		t.Errorf("got %v", got)
	}
}
