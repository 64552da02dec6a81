package docker

import (
	"net/url"
	"path"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type config struct {
	Source   string   `json:"docker-source"`
	Version  string   `json:"docker-version"`
	DataRoot string   `json:"docker-data-root"`
	Mirrors  []string `json:"docker-registry-mirrors"`
	Sandbox  string   `json:"docker-sandbox-image"`
}

func decode(d crowbar.Data) (config, error) {
	var c config
	if err := role.Decode(d, &c); err != nil {
		return c, err
	}
	if c.Source != "catalogue" && c.Source != "distribution" {
		return c, crowbar.Errorf(crowbar.Invalid, "docker-source is %q: want catalogue or distribution", c.Source)
	}
	if !path.IsAbs(c.DataRoot) || path.Clean(c.DataRoot) != c.DataRoot {
		return c, crowbar.Errorf(crowbar.Invalid, "docker-data-root is %q: want an absolute path", c.DataRoot)
	}
	if c.Sandbox == "" {
		return c, crowbar.Errorf(crowbar.Invalid, "docker-sandbox-image is empty: want the name of the image of pod sandboxes")
	}
	for _, m := range c.Mirrors {
		u, err := url.Parse(m)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return c, crowbar.Errorf(crowbar.Invalid, "docker-registry-mirrors: %q: want http://HOST or https://HOST", m)
		}
	}
	return c, nil
}

func (c config) fit(have linux.Facts) (linux.State, error) { return state(c, have.Cgroup), nil }

// state is all that the role wants of a node with this version of cgroups.
func state(c config, cgroup int) linux.State {
	s := linux.State{
		Packages: []linux.Package{{Deb: "iptables", RPM: "iptables-nft"}},
		Groups:   []string{"docker"},
		Dirs: []linux.Dir{
			{Path: "/etc/docker"}, {Path: "/etc/containerd"}, {Path: "/etc/containerd/conf.d"}, {Path: "/etc/containerd/certs.d"},
			{Path: "/etc/cni"}, {Path: "/etc/cni/net.d"}, {Path: "/opt/cni"}, {Path: "/opt/cni/bin"},
		},
		Files: []linux.File{
			{Path: "/etc/containerd/config.toml", Content: containerdConfig(c, cgroup), Restart: []string{"containerd.service"}},
			{Path: "/etc/docker/daemon.json", Content: dockerConfig(c, cgroup), Restart: []string{"docker.service"}},
			mirrorFile(c),
		},
		Units: []linux.Unit{
			{Name: "containerd.service", Content: containerdUnit},
			{Name: "docker.service", Content: dockerUnit},
		},
	}
	if c.Source == "distribution" {
		s.Packages = append(s.Packages, linux.Package{Deb: "containerd", RPM: "containerd", NoStart: true}, linux.Package{Deb: "docker.io", RPM: "moby-engine", NoStart: true})
		s.Units = append([]linux.Unit{{Name: "docker.socket", Disabled: true, Stopped: true}}, s.Units...)
		for _, b := range binaries(c) {
			s.Files = append(s.Files, linux.File{Path: b.Path, Absent: true, Restart: b.Restart})
		}
		return s
	}
	s.Binaries = binaries(c)
	return s
}

// binaries are the catalogue's. The shim, runc, the proxy and the clients are started anew for each use: nothing has to be
// restarted for them.
func binaries(c config) []linux.Binary {
	return []linux.Binary{
		{Artifact: "runc/runc", Path: "/usr/local/bin/runc"},
		{Artifact: "containerd/containerd-shim-runc-v2", Path: "/usr/local/bin/containerd-shim-runc-v2"},
		{Artifact: "containerd/ctr", Path: "/usr/local/bin/ctr"},
		{Artifact: "containerd/containerd", Path: "/usr/local/bin/containerd", Restart: []string{"containerd.service"}},
		{Artifact: role.At("moby/docker-proxy", c.Version), Path: "/usr/local/bin/docker-proxy"},
		{Artifact: "dockercli/docker", Path: "/usr/local/bin/docker"},
		{Artifact: role.At("moby/dockerd", c.Version), Path: "/usr/local/bin/dockerd", Restart: []string{"docker.service"}},
	}
}
