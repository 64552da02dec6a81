package etcd

import (
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	unit      = "etcd.service"
	etcDir    = "/etc/etcd"
	pkiDir    = etcDir + "/pki"
	envFile   = etcDir + "/etcd.env"
	firstFile = etcDir + "/bootstrap.env" // first start only
	idFile    = etcDir + "/member.id"     // member whose data is in the data folder
	server    = "/usr/local/bin/etcd"
	ctl       = "/usr/local/bin/etcdctl"
)

const unitText = `[Unit]
Description=etcd member of the Kubernetes cluster
Documentation=https://etcd.io/docs
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
User=etcd
Group=etcd
EnvironmentFile=` + envFile + `
EnvironmentFile=-` + firstFile + `
ExecStart=` + server + `
Restart=always
RestartSec=2
TimeoutStartSec=5min
NoNewPrivileges=yes
ProtectSystem=full
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
`

// state is what the node must have. Before the member has a seat in the cluster (seated false) the unit is not touched:
// etcd is started only with a bootstrap file beside its configuration.
func state(c config, seated bool) linux.State {
	restart := []string{unit}
	s := linux.State{
		Users: []linux.User{{Name: "etcd", Home: c.DataDir}},
		Dirs: []linux.Dir{
			{Path: etcDir, Mode: 0o755},
			{Path: pkiDir, Mode: 0o700, Owner: "etcd"},
			{Path: c.DataDir, Mode: 0o700, Owner: "etcd"},
		},
		Files: []linux.File{
			{Path: envFile, Mode: 0o644, Content: c.environment(), Restart: restart},
			// Leaves are read again by etcd at each handshake; its authority is read once.
			{Path: pkiDir + "/ca.crt", Mode: 0o644, Owner: "etcd", Content: c.Server.CA, Restart: restart},
			{Path: pkiDir + "/server.crt", Mode: 0o644, Owner: "etcd", Content: c.Server.Cert},
			{Path: pkiDir + "/server.key", Mode: 0o600, Owner: "etcd", Content: c.Server.Key, Secret: true},
			{Path: pkiDir + "/peer.crt", Mode: 0o644, Owner: "etcd", Content: c.Peer.Cert},
			{Path: pkiDir + "/peer.key", Mode: 0o600, Owner: "etcd", Content: c.Peer.Key, Secret: true},
			{Path: pkiDir + "/admin.crt", Mode: 0o644, Content: c.Admin.Cert},
			{Path: pkiDir + "/admin.key", Mode: 0o600, Content: c.Admin.Key, Secret: true},
		},
		Binaries: []linux.Binary{
			{Artifact: role.At("etcd/etcd", c.Release), Path: server, Restart: restart},
			{Artifact: role.At("etcd/etcdctl", c.Release), Path: ctl},
		},
		Units: []linux.Unit{{Name: unit, Content: unitText}},
	}
	if seated {
		return s
	}
	s.Units = nil
	for i := range s.Files {
		s.Files[i].Restart = nil
	}
	for i := range s.Binaries {
		s.Binaries[i].Restart = nil
	}
	return s
}
