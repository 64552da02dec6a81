package k8smaster

import (
	"flag"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestGolden(t *testing.T) {
	leaf := func(n string) kube.Leaf {
		return kube.Leaf{Cert: n + " cert\n", Key: n + " key\n", CA: n + " ca\n"}
	}
	s := settings{EtcdPort: 2379, Cluster: "kubernetes", Pool: "pool.test", Port: 6443, Pods: "10.244.0.0/16", Services: "10.96.0.0/16", ServiceIP: "10.96.0.1",
		Domain: "cluster.local", CA: "ca\n", FrontProxyCA: "front-proxy ca\n", AccountKey: "account key\n", AccountPub: "account pub\n", EncryptionKey: "secret",
		Server: leaf("server"), Etcd: leaf("etcd"), Kubelet: leaf("kubelet"), FrontProxy: leaf("front-proxy"), ControlManager: leaf("manager"),
		Scheduler: leaf("scheduler"), Admin: leaf("admin"), Address: "198.18.0.11", EtcdServers: []string{"https://198.18.0.11:2379", "https://198.18.0.12:2379"}}
	low := s
	low.Port = 443
	for name, s := range map[string]settings{"desired": s, "low_port": low} {
		t.Run(name, func(t *testing.T) { roletest.Golden(t, *update, name, desired(s)) })
	}
}

func TestSecretsAreForTheirOwnersAlone(t *testing.T) {
	for _, f := range desired(settings{}).Files {
		if f.Secret != (f.Mode == 0o600) || strings.HasSuffix(f.Path, ".key") && !f.Secret || strings.HasSuffix(f.Path, ".conf") && !f.Secret {
			t.Errorf("%s: mode %o, secret %v", f.Path, f.Mode, f.Secret)
		}
	}
}
