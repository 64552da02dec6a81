package flannel

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	unit      = "flanneld.service"
	etcDir    = "/etc/flannel"
	pkiDir    = etcDir + "/pki"
	netFile   = etcDir + "/network.json" // the network config that this node was given
	script    = etcDir + "/lease.sh"
	dockerEnv = etcDir + "/docker.env"
	dropIn    = "/etc/systemd/system/docker.service.d/20-flannel.conf"
	leaseFile = "/run/flannel/subnet.env"
	conflist  = "/etc/cni/net.d/10-kubeclamp.conflist"
	daemon    = "/usr/local/bin/flanneld"
	cniDir    = "/opt/cni/bin"
)

//go:embed lease.sh
var leaseScript string

// dropInText gives Docker its half of the subnet. The file of the last lease stays over a boot, so that Docker can start
// before flannel; the script restarts it if the lease is another by then.
const dropInText = `[Unit]
After=` + unit + `

[Service]
EnvironmentFile=-` + dockerEnv + `
ExecStartPre=-` + script + ` docker-starts
ExecStartPost=-` + script + ` docker-started
`

func (c config) unitText(address string) string {
	args := []string{
		"--etcd-endpoints=" + strings.Join(c.Endpoints, ","),
		"--etcd-prefix=" + c.Prefix,
		"--etcd-cafile=" + pkiDir + "/ca.crt",
		"--etcd-certfile=" + pkiDir + "/client.crt",
		"--etcd-keyfile=" + pkiDir + "/client.key",
		"--iface=" + address,
		"--public-ip=" + address,
		"--subnet-file=" + leaseFile,
		"--ip-masq",
	}
	return fmt.Sprintf(`[Unit]
Description=flannel, the overlay network of the Kubernetes cluster
Documentation=https://github.com/flannel-io/flannel
After=network-online.target etcd.service
Wants=network-online.target
Before=kubelet.service

[Service]
Type=notify
RuntimeDirectory=flannel
RuntimeDirectoryPreserve=yes
ExecStart=%s \
  %s
ExecStartPost=%s apply
Restart=always
RestartSec=2
TimeoutStartSec=2min

[Install]
WantedBy=multi-user.target
`, daemon, strings.Join(args, " \\\n  "), script)
}

// state is what the node must have. The address is the one that carries the overlay.
func state(c config, address string) linux.State {
	restart := []string{unit}
	s := linux.State{
		Packages: []linux.Package{{Deb: "iptables", RPM: "iptables-nft"}, {Deb: "iproute2", RPM: "iproute"}},
		Dirs:     []linux.Dir{{Path: etcDir, Mode: 0o755}, {Path: pkiDir, Mode: 0o700}, {Path: cniDir, Mode: 0o755}},
		Files: []linux.File{
			{Path: netFile, Content: c.network() + "\n", Restart: restart},
			{Path: pkiDir + "/ca.crt", Content: c.Leaf.CA, Restart: restart},
			{Path: pkiDir + "/client.crt", Content: c.Leaf.Cert, Restart: restart},
			{Path: pkiDir + "/client.key", Mode: 0o600, Content: c.Leaf.Key, Secret: true, Restart: restart},
			{Path: script, Mode: 0o755, Content: leaseScript, Restart: restart},
			{Path: dropIn, Content: dropInText},
		},
		Binaries: []linux.Binary{{Artifact: role.At("flannel/flanneld", c.Version), Path: daemon, Restart: restart}},
		Units:    []linux.Unit{{Name: unit, Content: c.unitText(address), Limit: 2 * time.Minute}},
	}
	if m := backends[c.Backend].Module; m != "" {
		s.Modules = []string{m}
	}
	for _, p := range []string{"bridge", "host-local", "loopback", "portmap"} {
		s.Binaries = append(s.Binaries, linux.Binary{Artifact: "cni/" + p, Path: cniDir + "/" + p})
	}
	return s
}
