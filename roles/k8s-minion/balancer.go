package k8sminion

import (
	"encoding/json"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// balancing is the file that kubeclamp-node lb reads.
type balancing struct {
	Listen      string   `json:"listen"`
	Pool        string   `json:"pool"`
	Port        int      `json:"port"`
	NameServers []string `json:"name_servers"`
	CAFile      string   `json:"ca_file"`
	Seeds       []string `json:"seeds"`
	StateFile   string   `json:"state_file"`
}

// balancerConfig restarts nothing: the balancer follows its file, and keeps the connections that it carries.
func balancerConfig(s settings) linux.File {
	b, err := json.MarshalIndent(balancing{
		Listen: s.balancer(), Pool: s.Pool, Port: s.Port, NameServers: s.NameServers, CAFile: dir + "/ca.crt",
		Seeds: s.Masters, StateFile: "/var/lib/kubeclamp-lb/last.json",
	}, "", "  ")
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return linux.File{Path: etc + "/lb.json", Content: string(b) + "\n"}
}

const balancerUnit = `[Unit]
Description=Node-local balancer of the Kubernetes API
Documentation=https://github.com/kubeclamp/kubeclamp
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
TimeoutStartSec=30
ExecStart=` + bin + `kubeclamp-lb lb -config ` + etc + `/lb.json
Restart=always
RestartSec=1
DynamicUser=yes
StateDirectory=kubeclamp-lb
CapabilityBoundingSet=
` + linux.Confined + `
[Install]
WantedBy=multi-user.target
`
