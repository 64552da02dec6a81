package k8smaster

import (
	"net"
	"strconv"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	etc   = "/etc/kubernetes"
	pki   = etc + "/pki"
	logs  = "/var/log/kubernetes"
	bin   = "/usr/local/bin/"
	user  = "kube"
	state = "/var/lib/kube-controller-manager"

	apiserver = "kube-apiserver.service"
	manager   = "kube-controller-manager.service"
	scheduler = "kube-scheduler.service"
)

// desired is all that the node should have.
func desired(s settings) linux.State {
	return linux.State{
		Users: []linux.User{{Name: user, Home: "/nonexistent"}},
		Dirs: []linux.Dir{
			{Path: etc, Mode: 0o755},
			{Path: pki, Mode: 0o755},
			{Path: logs, Mode: 0o750, Owner: user},
		},
		Files: append(certificates(s), configs(s)...),
		Binaries: []linux.Binary{
			{Artifact: role.At("kubernetes/kube-apiserver", s.Version), Path: bin + "kube-apiserver", Restart: []string{apiserver}},
			{Artifact: role.At("kubernetes/kube-controller-manager", s.Follow), Path: bin + "kube-controller-manager", Restart: []string{manager}},
			{Artifact: role.At("kubernetes/kube-scheduler", s.Follow), Path: bin + "kube-scheduler", Restart: []string{scheduler}},
			{Artifact: role.At("kubernetes/kubectl", s.Version), Path: bin + "kubectl"},
		},
		Units: []linux.Unit{
			{Name: apiserver, Content: apiserverUnit(s), Limit: 3 * time.Minute},
			{Name: manager, Content: managerUnit(s)},
			{Name: scheduler, Content: schedulerUnit(s)},
		},
	}
}

// certificates is the folder pki. The API server reads its own certificates again by itself: the serving pair and that of the
// aggregation layer when the files change, the one for etcd at each handshake, the one for kubelets every five minutes. But when
// it starts it also makes one to speak to itself, which ends after three years, and which it does not renew: so it starts again
// with each serving pair. Authorities and keys are read once.
func certificates(s settings) []linux.File {
	public := func(name, content string, restart ...string) linux.File {
		return linux.File{Path: pki + "/" + name, Mode: 0o644, Owner: user, Content: content, Restart: restart}
	}
	secret := func(name, content string, restart ...string) linux.File {
		return linux.File{Path: pki + "/" + name, Mode: 0o600, Owner: user, Content: content, Secret: true, Restart: restart}
	}
	return []linux.File{
		public("ca.crt", s.CA, apiserver, manager, scheduler),
		public("apiserver.crt", s.Server.Cert, apiserver),
		secret("apiserver.key", s.Server.Key),
		public("etcd-ca.crt", s.Etcd.CA, apiserver),
		public("apiserver-etcd-client.crt", s.Etcd.Cert),
		secret("apiserver-etcd-client.key", s.Etcd.Key),
		public("apiserver-kubelet-client.crt", s.Kubelet.Cert),
		secret("apiserver-kubelet-client.key", s.Kubelet.Key),
		public("front-proxy-ca.crt", s.FrontProxyCA, apiserver),
		public("front-proxy-client.crt", s.FrontProxy.Cert),
		secret("front-proxy-client.key", s.FrontProxy.Key),
		public("sa.pub", s.AccountPub, apiserver),
		secret("sa.key", signingKey(s.AccountKey), apiserver, manager),
	}
}

func configs(s settings) []linux.File {
	server := "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))
	config := func(file, who, owner string, l kube.Leaf, restart ...string) linux.File {
		c := kube.Config{Cluster: s.Cluster, User: who, Server: server, Embed: kube.Leaf{Cert: l.Cert, Key: l.Key, CA: s.CA}}
		return linux.File{Path: etc + "/" + file, Mode: 0o600, Owner: owner, Content: c.String(), Secret: true, Restart: restart}
	}
	return []linux.File{
		{Path: etc + "/authentication.yaml", Content: authentication, Restart: []string{apiserver}},
		{Path: etc + "/audit-policy.yaml", Content: auditPolicy, Restart: []string{apiserver}},
		{Path: etc + "/encryption.yaml", Mode: 0o600, Owner: user, Secret: true, Content: encryptionConfig(encryptionKeys(s.EncryptionKey)), Restart: []string{apiserver}},
		config("controller-manager.conf", "system:kube-controller-manager", user, s.ControlManager, manager),
		config("scheduler.conf", "system:kube-scheduler", user, s.Scheduler, scheduler),
		config("admin.conf", "kubernetes-admin", "", s.Admin),
	}
}

// Without a certificate or token one may ask for health, and for nothing else.
const authentication = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /livez
  - path: /readyz
  - path: /healthz
`

// Who did what to what, once the answer is known; the components' own polling is left out.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/livez*", "/readyz*", "/healthz*", "/version", "/openapi*"]
- level: None
  verbs: [get, list, watch]
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy"]
- level: None
  verbs: [get, list, watch]
  userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]
- level: None
  resources:
  - group: coordination.k8s.io
    resources: [leases]
- level: None
  resources:
  - group: ""
    resources: [events]
  - group: events.k8s.io
    resources: [events]
- level: Metadata
`
