package k8smaster

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
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
		t.Run(name, func(t *testing.T) { golden(t, name, s) })
	}
}

func golden(t *testing.T, name string, s settings) {
	var b strings.Builder
	w := desired(s)
	for _, f := range w.Files {
		fmt.Fprintf(&b, "=== %s %o %s restarts %v\n%s", f.Path, f.Mode, f.Owner, f.Restart, f.Content)
	}
	for _, u := range w.Units {
		fmt.Fprintf(&b, "=== %s\n%s", u.Name, u.Content)
	}
	file := "testdata/" + name + ".golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != b.String() {
		t.Errorf("%s differs (%v); run with -update and look at the diff", file, err)
	}
}

func TestSecretsAreForTheirOwnersAlone(t *testing.T) {
	for _, f := range desired(settings{}).Files {
		if f.Secret != (f.Mode == 0o600) || strings.HasSuffix(f.Path, ".key") && !f.Secret || strings.HasSuffix(f.Path, ".conf") && !f.Secret {
			t.Errorf("%s: mode %o, secret %v", f.Path, f.Mode, f.Secret)
		}
	}
}
