package proxy

import (
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	aptFile     = "/etc/apt/apt.conf.d/90kubeclamp-proxy"
	profileFile = "/etc/profile.d/kubeclamp-proxy.sh"
	environment = "/etc/environment"
	dnfFile     = "/etc/dnf/dnf.conf"
	yumFile     = "/etc/yum.conf"
)

func dropIn(unit string) string { return "/etc/systemd/system/" + unit + ".d/10-http-proxy.conf" }

var engines = []string{"containerd.service", "docker.service"}

// sketch names every file that state may.
var sketch = func() linux.State {
	s := linux.State{Files: []linux.File{{Path: aptFile}, {Path: profileFile}, {Path: environment}, {Path: dnfFile}, {Path: yumFile}}}
	for _, u := range engines {
		s.Files = append(s.Files, linux.File{Path: dropIn(u), Restart: []string{u}})
	}
	return s
}()

// state is every file with the proxy in it, or without.
func state(s settings, have linux.Facts) linux.State {
	var w linux.State
	none := s.url == ""
	w.Files = append(w.Files, linux.File{Path: aptFile, Content: apt(s), Absent: none || have.Packager != "apt"})
	w.Files = append(w.Files, linux.File{Path: profileFile, Content: profile(s), Absent: none})
	w.Files = append(w.Files, shared(have, environment, linux.Block(have.Probe["environment"], "proxy", env(s)))...)
	switch have.Packager {
	case "dnf":
		w.Files = append(w.Files, shared(have, dnfFile, mainSection(have.Probe["dnf"], s.url))...)
	case "yum":
		w.Files = append(w.Files, shared(have, yumFile, mainSection(have.Probe["yum"], s.url))...)
	}
	for _, u := range engines {
		w.Files = append(w.Files, linux.File{Path: dropIn(u), Content: unitEnv(s), Absent: none, Restart: []string{u}})
	}
	return w
}

// shared is a file of the distribution with our lines in it or taken out; its mode and owner stay.
func shared(have linux.Facts, path, content string) []linux.File {
	p := have.Paths[path]
	if p.Kind == "" && content == "" {
		return nil
	}
	return []linux.File{{Path: path, Content: content, Mode: p.Mode, Owner: p.Owner}}
}

func apt(s settings) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Acquire::http::Proxy %q;\nAcquire::https::Proxy %q;\n", s.url, s.url)
	for _, d := range s.direct { // apt knows hosts alone, no networks and no domains
		if !strings.ContainsAny(d, "/:") && !strings.HasPrefix(d, ".") && !strings.HasPrefix(d, "*") {
			fmt.Fprintf(&b, "Acquire::http::Proxy::%s \"DIRECT\";\nAcquire::https::Proxy::%s \"DIRECT\";\n", d, d)
		}
	}
	return b.String()
}

// env is the variables in both spellings: some programs read the one, some the other.
func env(s settings) string {
	if s.url == "" {
		return ""
	}
	no := strings.Join(s.direct, ",")
	return fmt.Sprintf("http_proxy=%[1]s\nhttps_proxy=%[1]s\nno_proxy=%[2]s\nHTTP_PROXY=%[1]s\nHTTPS_PROXY=%[1]s\nNO_PROXY=%[2]s\n", s.url, no)
}

func profile(s settings) string {
	var b strings.Builder
	for _, l := range strings.Split(strings.TrimSpace(env(s)), "\n") {
		k, v, _ := strings.Cut(l, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", k, v)
	}
	return b.String()
}

func unitEnv(s settings) string {
	esc := func(v string) string { return strings.ReplaceAll(v, "%", "%%") }
	return fmt.Sprintf("[Service]\nEnvironment=\"HTTP_PROXY=%[1]s\" \"HTTPS_PROXY=%[1]s\" \"NO_PROXY=%[2]s\"\n", esc(s.url), esc(strings.Join(s.direct, ",")))
}

// mainSection puts our block right below [main], where dnf and yum look for it.
func mainSection(content, url string) string {
	clean := linux.Block(content, "proxy", "")
	if url == "" {
		return clean
	}
	block := linux.Block("", "proxy", "proxy="+url)
	head, tail, ok := strings.Cut(clean, "[main]\n")
	if !ok {
		return clean + "[main]\n" + block
	}
	return head + "[main]\n" + block + tail
}
