package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/rpmpack"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// barclampPath is where a tree lies on the server's machine, unless somebody says otherwise.
const barclampPath = "/opt/kubeclamp/barclamp"

const (
	packager = "kubeclamp authors <kubeclamp@users.noreply.github.com>"
	homepage = "https://github.com/kubeclamp/kubeclamp"
)

// systemPackage is a native package as one of Debian's or RPM's: its tree below barclampPath. Nothing is run when it is installed:
// the server is told of it by its own barclamp_import, or by 'kubeclamp barclamps install'.
type systemPackage struct {
	name, other   string // other is the one for the other server, in whose place this one would be
	summary, text string
	version       string
	time          time.Time             // of all files
	files         []barclamp.NativeFile // paths from the root, without a slash; by path
}

// system makes one of a tree.
func (p *packaging) system(tree []barclamp.NativeFile) (*systemPackage, error) {
	when, err := sourceTime()
	if err != nil {
		return nil, err
	}
	other := map[string]string{"opencrowbar": "rebar", "rebar": "opencrowbar"}[p.server]
	s := &systemPackage{name: "kubeclamp-barclamp-" + p.server, other: "kubeclamp-barclamp-" + other, version: p.version, time: when,
		summary: "roles of kubeclamp as a barclamp for " + map[string]string{"opencrowbar": "OpenCrowbar", "rebar": "Digital Rebar"}[p.server],
		text: "The tree is imported by the server: barclamp_import " + barclampPath + ",\nor: kubeclamp barclamps install " + barclampPath + " --into URL.\n" +
			"Its roles are then assigned and run by that server."}
	if s.version == "" {
		s.version = packageVersion(ownVersion())
	}
	if strings.Trim(strings.ToLower(s.version), "abcdefghijklmnopqrstuvwxyz0123456789.+~") != "" || s.version[0] < '0' || s.version[0] > '9' {
		return nil, usage("--version %q: want one that begins with a digit, of letters, digits and . + ~", s.version)
	}
	for _, f := range tree {
		f.Path = path.Join(barclampPath[1:], f.Path)
		s.files = append(s.files, f)
	}
	return s, nil
}

// paper adds a file of the package's own.
func (s *systemPackage) paper(at, text string) {
	s.files = append(s.files, barclamp.NativeFile{Path: at, Mode: 0o644, Data: []byte(text)})
	slices.SortFunc(s.files, func(a, b barclamp.NativeFile) int { return strings.Compare(a.Path, b.Path) })
}

// sourceTime is SOURCE_DATE_EPOCH, else the time of the commit that this program was built of, else a fixed one: the same input
// gives the same bytes.
func sourceTime() (time.Time, error) {
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return time.Time{}, usage("SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch)
		}
		return time.Unix(seconds, 0).UTC(), nil
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if at, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return at.UTC(), nil
			}
		}
	}
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), nil
}

// packageVersion is a module's version as packages have it: v0.0.0-TIME-COMMIT is 0.0.0~TIME.COMMIT.
func packageVersion(module string) string {
	if module == "" || module == "(devel)" {
		return "0.0.0~devel"
	}
	head, rest, pre := strings.Cut(strings.TrimPrefix(module, "v"), "-")
	if pre {
		head += "~" + strings.ReplaceAll(rest, "-", ".")
	}
	return head
}

// folders are those that the files lie in, the outer ones first; own leaves out those that a system has.
func (s *systemPackage) folders(own bool) (out []string) {
	for _, f := range s.files {
		for at := path.Dir(f.Path); at != "."; at = path.Dir(at) {
			if !slices.Contains(out, at) && (!own || strings.Contains(at, "kubeclamp")) {
				out = append(out, at)
			}
		}
	}
	slices.Sort(out)
	return out
}

// deb writes it as a Debian package.
func (s *systemPackage) deb(w io.Writer) error {
	doc := path.Join("usr/share/doc", s.name)
	s.paper(doc+"/copyright", "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: kubeclamp\nSource: "+homepage+
		"\n\nFiles: *\nCopyright: 2026 the kubeclamp authors\nLicense: Apache-2.0\n On Debian systems the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.\n")
	last, err := gzipped(fmt.Appendf(nil, "%s (%s) unstable; urgency=medium\n\n  * Made by kubeclamp barclamps package.\n\n -- %s  %s\n", s.name, s.version, packager, s.time.Format(time.RFC1123Z)))
	if err != nil {
		return err
	}
	s.paper(doc+"/changelog.gz", string(last))
	// A folder of /opt is where such servers look for barclamps, and scripts are sourced by their runner.
	s.paper("usr/share/lintian/overrides/"+s.name, strings.ReplaceAll("NAME: dir-or-file-in-opt *\nNAME: executable-not-elf-or-script *\n", "NAME", s.name))
	size, sums := 0, ""
	for _, f := range s.files {
		size += len(f.Data)
		sums += fmt.Sprintf("%x  %s\n", md5.Sum(f.Data), f.Path)
	}
	control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: %s\nInstalled-Size: %d\nConflicts: %s\nSection: admin\nPriority: optional\nHomepage: %s\nDescription: %s\n %s\n",
		s.name, s.version, packager, size>>10+1, s.other, homepage, s.summary, strings.ReplaceAll(s.text, "\n", "\n "))
	meta := systemPackage{time: s.time, files: []barclamp.NativeFile{{Path: "control", Mode: 0o644, Data: []byte(control)}, {Path: "md5sums", Mode: 0o644, Data: []byte(sums)}}}
	if _, err := io.WriteString(w, "!<arch>\n"); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		from *systemPackage
	}{{"debian-binary", nil}, {"control.tar.gz", &meta}, {"data.tar.gz", s}} {
		b := []byte("2.0\n")
		if part.from != nil {
			if b, err = part.from.packed(); err != nil {
				return err
			}
		}
		end := ""
		if len(b)%2 == 1 {
			end = "\n"
		}
		if _, err := fmt.Fprintf(w, "%-16s%-12d%-6d%-6d%-8o%-10d`\n%s%s", part.name, s.time.Unix(), 0, 0, 0o100644, len(b), b, end); err != nil {
			return err
		}
	}
	return nil
}

// packed is the files and their folders as dpkg reads them.
func (s *systemPackage) packed() ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	all := []barclamp.NativeFile{{Path: "./", Mode: os.ModeDir | 0o755}}
	for _, at := range s.folders(false) {
		all = append(all, barclamp.NativeFile{Path: "./" + at + "/", Mode: os.ModeDir | 0o755})
	}
	for _, f := range s.files {
		f.Path = "./" + f.Path
		all = append(all, f)
	}
	for _, f := range all {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: int64(f.Mode.Perm()), Size: int64(len(f.Data)), ModTime: s.time, Uname: "root", Gname: "root", Format: tar.FormatGNU}
		if f.Mode.IsDir() {
			h.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}

// rpm writes it as an RPM package.
func (s *systemPackage) rpm(w io.Writer) error {
	r, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: s.name, Summary: strings.ToUpper(s.summary[:1]) + s.summary[1:], Description: s.text, Version: s.version, Release: "1", Arch: "noarch", OS: "linux", Vendor: "kubeclamp",
		URL: homepage, Packager: packager, Group: "Applications/System", Licence: "Apache-2.0", BuildHost: "localhost", Compressor: "gzip", Epoch: rpmpack.NoEpoch, BuildTime: s.time,
		Conflicts: rpmpack.Relations{{Name: s.other}}})
	if err != nil {
		return err
	}
	add := func(at string, mode uint, body []byte) {
		r.AddFile(rpmpack.RPMFile{Name: "/" + at, Body: body, Mode: mode, Owner: "root", Group: "root", MTime: uint32(s.time.Unix())})
	}
	for _, at := range s.folders(true) {
		add(at, 0o40755, nil)
	}
	for _, f := range s.files {
		if len(f.Data) > 1<<31 {
			return crowbar.Errorf(crowbar.Invalid, "%s has %d bytes: a file of an RPM package has 2 GiB at most", f.Path, len(f.Data))
		}
		add(f.Path, uint(f.Mode.Perm()), f.Data)
	}
	return r.Write(w)
}
