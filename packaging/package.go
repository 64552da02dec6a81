package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/deb"
	"github.com/goreleaser/nfpm/v2/rpm"
)

const (
	maintainer = "kubeclamp authors <kubeclamp@users.noreply.github.com>"
	homepage   = "https://github.com/kubeclamp/kubeclamp"
)

// packages makes every package for an architecture, in both formats, and a bill of materials beside each.
func (b *build) packages(arch string) ([]string, error) {
	dir, err := b.programsFor(arch)
	if err != nil {
		return nil, err
	}
	var made []string
	for _, p := range packages {
		var files []string
		for _, name := range p.programs {
			files = append(files, filepath.Join(dir, name))
		}
		bom, err := b.bom(p.name, files)
		if err != nil {
			return nil, err
		}
		for _, to := range []nfpm.Packager{deb.Default, rpm.DefaultRPM} {
			file, err := b.pack(p, arch, to, bom)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			made = append(made, file)
		}
		file := filepath.Join(b.out, fmt.Sprintf("%s_%s_%s.cdx.json", p.name, b.version, arch))
		if err := os.WriteFile(file, bom, 0o644); err != nil {
			return nil, err
		}
		made = append(made, file)
	}
	return made, nil
}

// pack makes one package.
func (b *build) pack(p pkg, arch string, to nfpm.Packager, bom []byte) (string, error) {
	_, isRPM := to.(*rpm.RPM)
	s := &shelf{b: b, name: p.name, arch: arch, deb: !isRPM}
	p.contents(s)
	s.papers(p, bom)
	info := &nfpm.Info{Name: p.name, Arch: arch, Platform: "linux", Version: b.version, VersionSchema: "none", Section: p.section, Priority: "optional",
		Maintainer: maintainer, Vendor: "kubeclamp", Homepage: homepage, License: "Apache-2.0", Description: p.summary + "\n" + p.text, MTime: b.time, DisableGlobbing: true}
	info.Contents, info.Recommends = s.all, p.recommends
	info.Depends = s.depends(p)
	info.Deb.Compression, info.RPM.Compression = "gzip", "gzip" // which every release can open, and takes seconds
	info.RPM.BuildHost, info.RPM.Summary, info.RPM.Group, info.RPM.Packager = "localhost", p.summary, "Applications/System", maintainer
	if isRPM {
		info.Release = "1"
		info.RPM.Summary = strings.ToUpper(p.summary[:1]) + p.summary[1:]
		info.Description = p.text
	}
	if p.scripts {
		info.Scripts = s.scripts()
	}
	if s.err != nil {
		return "", s.err
	}
	if err := nfpm.PrepareForPackager(info, map[bool]string{true: "rpm", false: "deb"}[isRPM]); err != nil {
		return "", err
	}
	file := filepath.Join(b.out, to.ConventionalFileName(info))
	out, err := os.Create(file)
	if err != nil {
		return "", err
	}
	defer out.Close()
	if err := to.Package(info, out); err != nil {
		return "", err
	}
	return file, out.Close()
}

// papers are what each package says of itself: its licence, what it is made of, and, for Debian, the last change.
func (s *shelf) papers(p pkg, bom []byte) {
	doc := "/usr/share/doc/" + p.name + "/"
	s.text(doc+"sbom.cdx.json", bom)
	if !s.deb {
		s.source("LICENSE", "/usr/share/licenses/"+p.name+"/LICENSE")
		s.folders()
		return
	}
	s.shipped("copyright", doc+"copyright")
	s.squeezed(doc+"changelog", fmt.Appendf(nil, "%s (%s) unstable; urgency=medium\n\n  * Built from the source of this version; its git log says what has changed.\n\n -- %s  %s\n",
		p.name, s.b.version, maintainer, s.b.time.Format("Mon, 02 Jan 2006 15:04:05 -0700")))
	var overrides strings.Builder
	// Go programs are made without a C library, so that they run anywhere; roles look at dpkg's locks and at what is half installed.
	for _, tag := range []string{"statically-linked-binary", "hardening-no-pie", "uses-dpkg-database-directly"} {
		for _, c := range s.all {
			if filepath.Dir(c.Source) == filepath.Join(s.b.stage, s.arch) && (tag != "uses-dpkg-database-directly" || strings.HasSuffix(c.Destination, "-role")) {
				fmt.Fprintf(&overrides, "%s: %s [%s]\n", p.name, tag, strings.TrimPrefix(c.Destination, "/"))
			}
		}
	}
	s.text("/usr/share/lintian/overrides/"+p.name, []byte(overrides.String()))
}

// depends are the packages that this one needs, as the format writes it: "name (= 1)" or "name = 1-1".
func (s *shelf) depends(p pkg) []string {
	needs := p.needs
	if s.deb {
		needs = append(needs[:len(needs):len(needs)], p.needsDeb...)
	}
	var out []string
	for _, n := range needs {
		if strings.Contains(n, "%s") {
			version := s.b.version
			if !s.deb {
				version += "-1"
				n = strings.NewReplacer("(", "", ")", "").Replace(n)
			}
			n = fmt.Sprintf(n, version)
		}
		out = append(out, n)
	}
	return out
}
