package docker

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// driver is the cgroup driver that Docker, containerd and the kubelet have to agree on: systemd's where there is one tree
// for all (version 2), plain files on version 1.
func driver(cgroup int) string {
	if cgroup == 2 {
		return "systemd"
	}
	return "cgroupfs"
}

func dockerConfig(c config, cgroup int) string {
	d := map[string]any{
		"data-root":      c.DataRoot,
		"storage-driver": "overlay2",
		"live-restore":   true,
		"containerd":     "/run/containerd/containerd.sock",
		"group":          "docker",
		"exec-opts":      []string{"native.cgroupdriver=" + driver(cgroup)},
		"log-driver":     "json-file",
		"log-opts":       map[string]string{"max-size": "20m", "max-file": "5"},
	}
	if len(c.Mirrors) > 0 {
		d["registry-mirrors"] = c.Mirrors
	}
	if c.Source == "catalogue" {
		d["ip-forward-no-drop"] = true // Docker 28 and later; pods' packets are forwarded too
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // strings and bools
	}
	return string(b) + "\n"
}

// containerdConfig is in version 3 for the catalogue's containerd (2.x) and in version 2 for the distribution's (1.6 on).
// What lies in conf.d is merged over it.
func containerdConfig(c config, cgroup int) string {
	systemd := fmt.Sprint(driver(cgroup) == "systemd")
	if c.Source == "distribution" {
		return fmt.Sprintf(containerd2, toml(c.Sandbox), systemd)
	}
	return fmt.Sprintf(containerd3, toml(c.Sandbox), systemd)
}

// toml quotes a string: JSON's quoting is a subset of TOML's.
func toml(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string
	}
	return string(b)
}

const containerdHead = `root = "/var/lib/containerd"
state = "/run/containerd"
imports = ["/etc/containerd/conf.d/*.toml"]

[grpc]
  address = "/run/containerd/containerd.sock"

`

const containerd3 = "version = 3\n" + containerdHead + `[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %s

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = %s

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
`

const containerd2 = "version = 2\n" + containerdHead + `[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %s

[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = %s

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
`

// mirrorFile makes containerd ask the mirrors first for Docker Hub's images, as Docker does by its own setting.
func mirrorFile(c config) linux.File {
	f := linux.File{Path: "/etc/containerd/certs.d/docker.io/hosts.toml", Absent: len(c.Mirrors) == 0}
	if f.Absent {
		return f
	}
	var b strings.Builder
	b.WriteString("server = \"https://registry-1.docker.io\"\n")
	for _, m := range c.Mirrors {
		fmt.Fprintf(&b, "\n[host.%s]\n  capabilities = [\"pull\", \"resolve\"]\n", toml(m))
	}
	f.Content = b.String()
	return f
}

// Both units leave containers alone when they stop (KillMode=process) and set no limits: the system's defaults for hard
// limits are high enough, and an engine raises its soft ones itself.
const containerdUnit = `[Unit]
Description=containerd
Documentation=https://containerd.io
After=network.target local-fs.target

[Service]
Type=notify
ExecStart=containerd --config /etc/containerd/config.toml
Delegate=yes
KillMode=process
Restart=always
RestartSec=2
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`

// dockerUnit takes DOCKER_NETWORK_OPTIONS from a drop-in of the overlay network. It wants containerd, and does not require
// it: a restart of containerd must not restart Docker.
const dockerUnit = `[Unit]
Description=Docker Engine
Documentation=https://docs.docker.com
After=network-online.target containerd.service
Wants=network-online.target containerd.service

[Service]
Type=notify
Environment=DOCKER_NETWORK_OPTIONS=
ExecStart=dockerd --host unix:///run/docker.sock $DOCKER_NETWORK_OPTIONS
ExecReload=/bin/kill -s HUP $MAINPID
TimeoutStartSec=0
Delegate=yes
KillMode=process
Restart=always
RestartSec=2
TasksMax=infinity

[Install]
WantedBy=multi-user.target
`
