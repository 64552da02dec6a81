package artifact

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestWholeCatalogue builds what is shipped, with real module downloads, and asks each program for its version. It takes as
// long as that takes, so it runs only when a cache folder is named:
//
//	KUBECLAMP_ARTIFACT_CACHE=/var/cache/kubeclamp go test -run TestWholeCatalogue -timeout 60m -v ./pkg/artifact
//
// KUBECLAMP_ARTIFACT_ARCH may name another architecture, KUBECLAMP_ARTIFACTS some components or artifacts, separated by blanks.
func TestWholeCatalogue(t *testing.T) {
	dir := os.Getenv("KUBECLAMP_ARTIFACT_CACHE")
	if dir == "" {
		t.Skip("KUBECLAMP_ARTIFACT_CACHE is not set")
	}
	a, err := Open(Config{CacheDir: dir, MirrorDir: os.Getenv("KUBECLAMP_ARTIFACT_MIRROR")})
	if err != nil {
		t.Fatal(err)
	}
	arch := os.Getenv("KUBECLAMP_ARTIFACT_ARCH")
	names := strings.Fields(os.Getenv("KUBECLAMP_ARTIFACTS"))
	if err := a.Ensure(context.Background(), arch, Progress(os.Stderr, false), names...); err != nil {
		t.Fatal(err)
	}
	items, err := a.List(arch)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if len(names) == 0 && !it.OnDemand && !it.Ready {
			t.Errorf("%s is not in the cache", it.Name)
		}
		t.Logf("%-38s %-12s %10d %v", it.Name, it.Version, it.Size, it.Ready)
	}
	versions := map[string][]string{ // what to ask, and what must be in the answer
		"etcd/etcd":                          {"--version", "etcd Version: 3.7.3"},
		"etcd/etcdctl":                       {"version", "etcdctl version: 3.7.3"},
		"runc/runc":                          {"--version", "runc version 1.5.2"},
		"cni/bridge":                         {"--version", "v1.9.1"},
		"containerd/containerd":              {"--version", "v2.4.2"},
		"containerd/ctr":                     {"--version", "v2.4.2"},
		"moby/dockerd":                       {"--version", "29.8.1-dev"},
		"dockercli/docker":                   {"--version", "29.9.3"},
		"flannel/flanneld":                   {"--version", "v0.28.10"},
		"coredns/coredns":                    {"--version", "CoreDNS-1.15.0"},
		"kubernetes/kube-apiserver":          {"--version", "Kubernetes v1.37.2"},
		"kubernetes/kube-controller-manager": {"--version", "Kubernetes v1.37.2"},
		"kubernetes/kube-scheduler":          {"--version", "Kubernetes v1.37.2"},
		"kubernetes/kubelet":                 {"--version", "Kubernetes v1.37.2"},
		"kubernetes/kube-proxy":              {"--version", "Kubernetes v1.37.2"},
		"kubernetes/kubectl":                 {"version --client", "Client Version: v1.37.2"},
	}
	byDefault := map[string]string{}
	for _, it := range items {
		ask, ok := versions[it.Name]
		if !ok || !it.Ready || it.Arch != runtime.GOARCH {
			continue
		}
		if it.OnDemand { // the map tells of the default
			def := byDefault[it.Name]
			ask = []string{ask[0], strings.ReplaceAll(ask[1], strings.TrimPrefix(def, "v"), strings.TrimPrefix(it.Version, "v"))}
		} else {
			byDefault[it.Name] = it.Version
		}
		out, _ := exec.Command(it.Path, strings.Fields(ask[0])...).CombinedOutput()
		if !strings.Contains(string(out), ask[1]) {
			t.Errorf("%s %s: no %q in %q", filepath.Base(it.Path), ask[0], ask[1], out)
		}
	}
}
