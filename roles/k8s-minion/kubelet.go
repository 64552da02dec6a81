package k8sminion

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

func kubeletConfig(s settings, h host) string {
	driver, fail := "systemd", ""
	if h.Cgroup == 1 { // the kubelet would refuse to start, and cgroup v1 is the node's own choice
		driver, fail = "cgroupfs", "failCgroupV1: false\n"
	}
	oom := ""
	if !h.OOM { // it may not lower its score: keep the one that it has
		oom = "oomScoreAdj: 0\n"
	}
	evict := ""
	for i, signal := range slices.Sorted(maps.Keys(s.Eviction)) {
		if i == 0 {
			evict = "evictionHard:\n"
		}
		evict += fmt.Sprintf("  %s: %q\n", signal, s.Eviction[signal])
	}
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: %s
%s%sport: 10250
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
healthzPort: 10248
tlsCertFile: %[4]s/kubelet-server.crt
tlsPrivateKeyFile: %[4]s/kubelet-server.key
tlsMinVersion: VersionTLS12
rotateCertificates: false
serverTLSBootstrap: false
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
    cacheTTL: 30s
  x509:
    clientCAFile: %[4]s/ca.crt
authorization:
  mode: Webhook
  webhook:
    cacheAuthorizedTTL: 1m0s
    cacheUnauthorizedTTL: 10s
clusterDNS:
- %q
clusterDomain: %q
resolvConf: %q
maxPods: %d
volumePluginDir: /var/lib/kubelet/volumeplugins
protectKernelDefaults: false
failSwapOn: true
enableProfilingHandler: false
eventRecordQPS: 20
%s`, driver, fail, oom, dir, s.DNSIP, s.Domain, h.Resolver, s.MaxPods, evict)
}

func proxyConfig(s settings, h host) string {
	oom := ""
	if !h.OOM {
		oom = "oomScoreAdj: 0\n"
	}
	// Zero leaves a setting as it is: in a network namespace of its own the table's size belongs to the machine.
	conntrack := ""
	if !h.Conntrack {
		conntrack += "  maxPerCore: 0\n  min: 0\n"
	}
	if !h.ConntrackT {
		conntrack += "  tcpEstablishedTimeout: 0s\n  tcpCloseWaitTimeout: 0s\n"
	}
	if conntrack != "" {
		conntrack = "conntrack:\n" + conntrack
	}
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection:
  kubeconfig: %s/kube-proxy.conf
mode: %s
clusterCIDR: %q
hostnameOverride: %q
metricsBindAddress: 127.0.0.1:10249
healthzBindAddress: %s
enableProfiling: false
%s%s`, dir, s.ProxyMode, s.Pods, s.Node, strconv.Quote(s.hostPort(10256)), oom, conntrack)
}

func kubeletUnit(s settings) string {
	return fmt.Sprintf(`[Unit]
Description=Kubernetes node agent
Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/
Wants=network-online.target containerd.service
After=network-online.target containerd.service kubeclamp-lb.service
StartLimitIntervalSec=0

[Service]
ExecStart=%skubelet \
  --config=%[2]s/kubelet.yaml \
  --kubeconfig=%[2]s/kubelet.conf \
  --hostname-override=%[3]s \
  --node-ip=%[4]s
Restart=always
RestartSec=2
TimeoutStopSec=30
UMask=0077

[Install]
WantedBy=multi-user.target
`, bin, dir, s.Node, s.Address)
}

const proxyUnit = `[Unit]
Description=Kubernetes Service proxy
Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kube-proxy/
Wants=network-online.target
After=network-online.target kubeclamp-lb.service
StartLimitIntervalSec=0

[Service]
ExecStart=` + bin + `kube-proxy --config=` + dir + `/kube-proxy.yaml
Restart=always
RestartSec=2
TimeoutStopSec=20
UMask=0077
NoNewPrivileges=yes
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
`
