package main

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
)

//go:embed files
var shipped embed.FS

// pkg is one package: what it is, and what is in it.
type pkg struct {
	name, section, summary, text string
	programs                     []string // in /usr/lib/kubeclamp where not said otherwise
	needs, needsDeb              []string // packages, %s = this version
	recommends                   []string
	scripts                      bool // it has a unit and a user
	contents                     func(s *shelf)
}

var packages = []pkg{
	{name: "kubeclamp", section: "admin", summary: "command line of kubeclamp, which makes and keeps Kubernetes clusters",
		text:     "kubeclamp drives a kubeclampd daemon: it declares clusters, assigns roles to\nnodes, says what would be done and why something waits, and watches.",
		programs: []string{"kubeclamp"},
		contents: func(s *shelf) {
			s.program("kubeclamp", "/usr/bin/kubeclamp")
			s.pages("man1")
			s.file("completion.bash", "/usr/share/bash-completion/completions/kubeclamp", 0o644)
			s.file("completion.zsh", "/usr/share/zsh/vendor-completions/_kubeclamp", 0o644)
			s.file("completion.fish", "/usr/share/fish/vendor_completions.d/kubeclamp.fish", 0o644)
			s.source("docs/own-servers.md", "/usr/share/doc/kubeclamp/own-servers.md")
			s.source("docs/cli.md", "/usr/share/doc/kubeclamp/cli.md")
		}},
	{name: "kubeclampd", section: "admin", summary: "host daemon of kubeclamp, which makes and keeps Kubernetes clusters",
		text:     "kubeclampd keeps the state of clusters, anneals their role graph node by node\nover ssh, and answers OpenCrowbar's API, web pages and the DNS of the API\nservers' pool. The roles are plugins of its own, in this package.",
		programs: []string{"kubeclampd", "kubeclamp-role"},
		needs:    []string{"kubeclamp-node (= %s)", "systemd", "ca-certificates"}, needsDeb: []string{"init-system-helpers (>= 1.54~)", "passwd"}, recommends: []string{"kubeclamp"}, scripts: true,
		contents: func(s *shelf) {
			s.program("kubeclampd", "/usr/lib/kubeclamp/kubeclampd")
			s.link("../lib/kubeclamp/kubeclampd", "/usr/bin/kubeclampd")
			s.program("kubeclamp-role", "/usr/lib/kubeclamp/kubeclamp-role")
			s.folder("/usr/lib/kubeclamp/plugins")
			s.source("barclamp.yaml", "/usr/share/kubeclamp/barclamp.yaml")
			s.shipped("kubeclampd.service", "/usr/lib/systemd/system/kubeclampd.service")
			s.shipped("sysusers.conf", "/usr/lib/sysusers.d/kubeclamp.conf")
			s.config("kubeclampd.yaml", "/etc/kubeclamp/kubeclampd.yaml")
			s.pages("man8")
		}},
	{name: "kubeclamp-node", section: "admin", summary: "balancer and name server on the nodes of a kubeclamp cluster",
		text:     "kubeclamp-node balances the API servers on each node's own port, and answers\nDNS for their pool. kubeclampd takes it from here and puts it on nodes.",
		programs: []string{"kubeclamp-node"},
		contents: func(s *shelf) {
			s.program("kubeclamp-node", "/usr/lib/kubeclamp/kubeclamp-node")
			s.link("../lib/kubeclamp/kubeclamp-node", "/usr/bin/kubeclamp-node")
			s.page("files/kubeclamp-node.8")
		}},
}

// shelf is what is put into one package.
type shelf struct {
	b    *build
	name string
	arch string
	deb  bool
	all  files.Contents
	err  error
}

func (s *shelf) add(c *files.Content) {
	if c.FileInfo == nil {
		c.FileInfo = &files.ContentFileInfo{Mode: 0o644}
	}
	c.FileInfo.Owner, c.FileInfo.Group, c.FileInfo.MTime = "root", "root", s.b.time
	switch at := c.Destination; {
	case s.deb || c.Type != "":
	case strings.HasPrefix(at, "/usr/share/doc/"), strings.HasPrefix(at, "/usr/share/man/"):
		c.Type = files.TypeRPMDoc
	case strings.HasPrefix(at, "/usr/share/licenses/"):
		c.Type = files.TypeRPMLicense
	}
	s.all = append(s.all, c)
}

func (s *shelf) program(name, to string) {
	s.add(&files.Content{Source: filepath.Join(s.b.stage, s.arch, name), Destination: to, FileInfo: &files.ContentFileInfo{Mode: 0o755}})
}

func (s *shelf) link(to, at string) {
	s.add(&files.Content{Source: to, Destination: at, Type: files.TypeSymlink})
}

func (s *shelf) folder(at string) {
	s.add(&files.Content{Destination: at, Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o755}})
}

// folders adds those that are kubeclamp's alone: RPM leaves a folder behind that no package has.
func (s *shelf) folders() {
	seen := map[string]bool{}
	for _, c := range s.all {
		seen[c.Destination] = true
	}
	for _, c := range s.all[:len(s.all):len(s.all)] {
		if at := filepath.Dir(c.Destination); strings.Contains(filepath.Base(at), "kubeclamp") && !seen[at] {
			seen[at] = true
			s.folder(at)
		}
	}
}

// file is one of the stage's.
func (s *shelf) file(name, to string, mode fs.FileMode) {
	if strings.HasPrefix(to, "/usr/share/zsh/vendor-completions/") && !s.deb {
		to = strings.Replace(to, "vendor-completions", "site-functions", 1)
	}
	s.add(&files.Content{Source: filepath.Join(s.b.stage, name), Destination: to, FileInfo: &files.ContentFileInfo{Mode: mode}})
}

// source is a file of the source.
func (s *shelf) source(name, to string) {
	s.add(&files.Content{Source: filepath.Join(s.b.source, name), Destination: to})
}

// shipped is a file of this module's.
func (s *shelf) shipped(name, to string) {
	s.text(to, s.read("files/"+name))
}

func (s *shelf) config(name, to string) {
	s.shipped(name, to)
	s.all[len(s.all)-1].Type = files.TypeConfigNoReplace
}

func (s *shelf) read(name string) []byte {
	text, err := shipped.ReadFile(name)
	s.fail(err)
	return text
}

// text puts a text into a package.
func (s *shelf) text(to string, text []byte) {
	name := filepath.Join("made", s.name+"-"+s.arch, to)
	file := filepath.Join(s.b.stage, name)
	s.fail(os.MkdirAll(filepath.Dir(file), 0o755))
	s.fail(os.WriteFile(file, text, 0o644))
	s.file(name, to, 0o644)
}

// squeezed puts a text into a package, compressed.
func (s *shelf) squeezed(to string, text []byte) {
	small, err := squeeze(text)
	s.fail(err)
	s.text(to+".gz", small)
}

// pages are the manual pages of a folder of the stage, such as man8.
func (s *shelf) pages(section string) {
	all, err := filepath.Glob(filepath.Join(s.b.stage, section, "*."+section[3:]))
	s.fail(err)
	if len(all) == 0 {
		s.fail(fmt.Errorf("no manual pages of section %s were made", section[3:]))
	}
	for _, f := range all {
		text, err := os.ReadFile(f)
		s.fail(err)
		s.squeezed("/usr/share/man/"+section+"/"+filepath.Base(f), text)
	}
}

func (s *shelf) page(name string) {
	s.squeezed("/usr/share/man/man8/"+filepath.Base(name), s.read(name))
}

func (s *shelf) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// scripts writes the maintainer's scripts of a package for a format, and says where they are.
func (s *shelf) scripts() nfpm.Scripts {
	names := map[string]*string{}
	var out nfpm.Scripts
	if s.deb {
		names = map[string]*string{"kubeclampd.postinst": &out.PostInstall, "kubeclampd.prerm": &out.PreRemove, "kubeclampd.postrm": &out.PostRemove}
	} else {
		names = map[string]*string{"kubeclampd.rpm.post": &out.PostInstall, "kubeclampd.rpm.preun": &out.PreRemove, "kubeclampd.rpm.postun": &out.PostRemove}
	}
	for name, at := range names {
		*at = filepath.Join(s.b.stage, name)
		s.fail(os.WriteFile(*at, s.read("files/"+name), 0o644))
	}
	return out
}
