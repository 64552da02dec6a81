package dnspool

import (
	"encoding/json"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	unitName = "kubeclamp-dns.service"
	binary   = "/usr/local/bin/kubeclamp-dns" // its own copy: the minion's balancer comes and goes by itself
	dir      = "/etc/kubeclamp-dns"
	jsonFile = dir + "/dns.json"
	caFile   = dir + "/ca.crt"
)

// naming is the file that kubeclamp-node dns reads, and reads again when it changes: no member costs a restart.
type naming struct {
	Listen   []string `json:"listen"`
	Upstream []string `json:"upstream"`
	Pools    []pooled `json:"pools"`
}

type pooled struct {
	Name    string `json:"name"`
	Port    int    `json:"port"`
	TTL     int    `json:"ttl"`
	CAFile  string `json:"ca_file"`
	Members []host `json:"members"`
	Servers []host `json:"servers"`
}

// state is the whole role on a node. Each server names itself alone as the zone's: what it says does not depend on which
// of the others came first.
func (c config) state() linux.State {
	text, err := json.MarshalIndent(naming{Listen: []string{c.listen()}, Upstream: c.Upstream, Pools: []pooled{
		{Name: c.Pool, Port: c.APIPort, TTL: c.TTL, CAFile: caFile, Members: c.members, Servers: []host{c.self}}}}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return linux.State{
		Dirs: []linux.Dir{{Path: dir}},
		Files: []linux.File{
			{Path: caFile, Content: c.CA},
			{Path: jsonFile, Content: string(text) + "\n"},
		},
		Binaries: []linux.Binary{{Artifact: "kubeclamp/kubeclamp-node", Path: binary, Restart: []string{unitName}}},
		Units:    []linux.Unit{{Name: unitName, Content: unit}},
	}
}

const unit = `[Unit]
Description=Name server of the Kubernetes API's shared name
Documentation=https://github.com/kubeclamp/kubeclamp
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=` + binary + ` dns -config ` + jsonFile + `
Restart=always
RestartSec=1
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
RestrictNamespaces=yes
MemoryDenyWriteExecute=yes
` + linux.Confined + `
[Install]
WantedBy=multi-user.target
`
