package k8smaster

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// command is an ExecStart of a program and its flags, one a line. Values hold no character that systemd would read.
func command(program string, flags ...string) string {
	return bin + program + " \\\n  " + strings.Join(flags, " \\\n  ")
}

// sandbox is what all three share: no root, no capability, and a file system that they cannot write.
const sandbox = `User=` + user + `
Restart=always
RestartSec=2
UMask=0077
` + linux.Confined

func apiserverUnit(s settings) string {
	caps := "CapabilityBoundingSet="
	if s.Port < 1024 {
		caps = "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nAmbientCapabilities=CAP_NET_BIND_SERVICE"
	}
	// It hangs where etcd is gone before it is told to stop: hence the limit.
	return fmt.Sprintf(`[Unit]
Description=Kubernetes API server
Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/
Wants=network-online.target
After=network-online.target etcd.service
StartLimitIntervalSec=0

[Service]
Type=notify
TimeoutStartSec=180
TimeoutStopSec=45
%s
%sReadWritePaths=%s
ExecStart=%s

[Install]
WantedBy=multi-user.target
`, caps, sandbox, logs, command("kube-apiserver", apiserverFlags(s)...))
}

func apiserverFlags(s settings) []string {
	return []string{
		"--advertise-address=" + s.Address,
		"--secure-port=" + strconv.Itoa(s.Port),
		"--etcd-servers=" + strings.Join(s.EtcdServers, ","),
		"--etcd-cafile=" + pki + "/etcd-ca.crt",
		"--etcd-certfile=" + pki + "/apiserver-etcd-client.crt",
		"--etcd-keyfile=" + pki + "/apiserver-etcd-client.key",
		"--etcd-readycheck-timeout=1s", // the node's own member: balancers are to leave this server within seconds where it hangs
		"--tls-cert-file=" + pki + "/apiserver.crt",
		"--tls-private-key-file=" + pki + "/apiserver.key",
		"--tls-min-version=VersionTLS12",
		"--client-ca-file=" + pki + "/ca.crt",
		"--authentication-config=" + etc + "/authentication.yaml",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--encryption-provider-config=" + etc + "/encryption.yaml",
		"--audit-policy-file=" + etc + "/audit-policy.yaml",
		"--audit-log-path=" + logs + "/audit.log",
		"--audit-log-maxage=30",
		"--audit-log-maxbackup=5",
		"--audit-log-maxsize=50",
		"--service-account-issuer=https://kubernetes.default.svc." + s.Domain,
		"--service-account-key-file=" + pki + "/sa.pub",
		"--service-account-signing-key-file=" + pki + "/sa.key",
		"--service-cluster-ip-range=" + s.Services,
		"--kubelet-certificate-authority=" + pki + "/ca.crt",
		"--kubelet-client-certificate=" + pki + "/apiserver-kubelet-client.crt",
		"--kubelet-client-key=" + pki + "/apiserver-kubelet-client.key",
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + pki + "/front-proxy-ca.crt",
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki + "/front-proxy-client.crt",
		"--proxy-client-key-file=" + pki + "/front-proxy-client.key",
		"--endpoint-reconciler-type=lease",
		"--shutdown-delay-duration=5s",
		"--shutdown-watch-termination-grace-period=5s", // without it an API server that stops waits a minute for its watches
		"--goaway-chance=0.001",
		"--profiling=false",
	}
}

func managerUnit(s settings) string {
	return local("Kubernetes controller manager", "kube-controller-manager", "StateDirectory=kube-controller-manager\n",
		"--secure-port=10257",
		"--cluster-name="+s.Cluster,
		"--allocate-node-cidrs=false",
		"--cluster-cidr="+s.Pods,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+pki+"/sa.key",
		"--root-ca-file="+pki+"/ca.crt",
		"--flex-volume-plugin-dir="+state+"/volumeplugins",
	)
}

func schedulerUnit(settings) string {
	return local("Kubernetes scheduler", "kube-scheduler", "", "--secure-port=10259")
}

// local is a unit of a program beside the API server, whose health and metrics are served on loopback alone.
func local(title, program, more string, flags ...string) string {
	conf := etc + "/" + strings.TrimPrefix(program, "kube-") + ".conf"
	shared := []string{
		"--kubeconfig=" + conf,
		"--authentication-kubeconfig=" + conf,
		"--authorization-kubeconfig=" + conf,
		"--bind-address=127.0.0.1",
		"--tls-cert-file=" + pki + "/apiserver.crt",
		"--tls-private-key-file=" + pki + "/apiserver.key",
		"--tls-min-version=VersionTLS12",
		"--client-ca-file=" + pki + "/ca.crt",
		"--requestheader-client-ca-file=" + pki + "/front-proxy-ca.crt",
		"--leader-elect=true",
		"--profiling=false",
	}
	return fmt.Sprintf(`[Unit]
Description=%s
Documentation=https://kubernetes.io/docs/reference/command-line-tools-reference/%s/
Wants=network-online.target
After=network-online.target kube-apiserver.service
StartLimitIntervalSec=0

[Service]
TimeoutStopSec=20
CapabilityBoundingSet=
%s%sExecStart=%s

[Install]
WantedBy=multi-user.target
`, title, program, sandbox, more, command(program, append(shared, flags...)...))
}
