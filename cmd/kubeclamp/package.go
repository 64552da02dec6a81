package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/artifact"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/native"
)

// packaging says what a native package is made of.
type packaging struct {
	server    string
	out       string
	barclamp  string
	programs  string // folder of kubeclamp-role, or kubeclamp-role-ARCH
	cache     string
	arches    []string
	artifacts string
	version   string // of a .deb or .rpm
}

// packageCommand writes our barclamp as one that an OpenCrowbar or Digital Rebar server imports unchanged.
func (a *app) packageCommand() *cobra.Command {
	var p packaging
	cmd := &cobra.Command{Use: "package --for opencrowbar|rebar -o DIR|FILE.tgz|FILE.deb|FILE.rpm", Short: "Write the shipped roles as a barclamp for an OpenCrowbar or Digital Rebar server", Args: cobra.NoArgs,
		Long: `Write the shipped roles as a barclamp that such a server imports unchanged: its document, and a folder of scripts for each role,
which its script jig runs on the nodes. As FILE.deb or FILE.rpm the tree is for ` + barclampPath + ` of the server's machine; the server is
still to be told of it, by 'kubeclamp barclamps install'. See docs/opencrowbar.md.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.write(cmd) }}
	f := cmd.Flags()
	f.StringVar(&p.server, "for", "", "opencrowbar or rebar")
	f.StringVarP(&p.out, "output", "o", "", "folder, .tgz, .deb or .rpm to write")
	f.StringVar(&p.barclamp, "barclamp", besideSelf("barclamp.yaml", "/usr/share/kubeclamp/barclamp.yaml"), "barclamp to write")
	f.StringVar(&p.programs, "programs", besideSelf(".", "/usr/bin"), "folder of kubeclamp-role (this machine's kind) or kubeclamp-role-ARCH")
	f.StringVar(&p.cache, "artifact-cache", defaultArtifacts(), "where 'kubeclampd artifacts' has put the binaries that nodes will fetch")
	f.StringSliceVar(&p.arches, "arch", []string{"amd64"}, "kinds of nodes (amd64, arm64)")
	f.StringVar(&p.artifacts, "artifacts", "", "folder to put the binaries and images into, for the server to share (kubeclamp-files-url); default: only their sums are taken")
	f.StringVar(&p.version, "version", "", "version of a .deb or .rpm (default: this program's)")
	return cmd
}

// besideSelf is a file of a source tree in whose bin/ this program is, else the installed one.
func besideSelf(name, installed string) string {
	if self, err := os.Executable(); err == nil {
		at := filepath.Join(filepath.Dir(filepath.Dir(self)), name)
		if name == "." {
			at = filepath.Dir(self)
		}
		if _, err := os.Stat(at); err == nil {
			return at
		}
	}
	return installed
}

func (p *packaging) write(cmd *cobra.Command) error {
	files, err := p.files(cmd)
	if err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(p.out, ".tgz") || strings.HasSuffix(p.out, ".tar.gz"):
		return writeWhole(p.out, func(w io.Writer) error { return writeArchive(w, files) })
	case strings.HasSuffix(p.out, ".deb") || strings.HasSuffix(p.out, ".rpm"):
		s, err := p.system(files)
		if err != nil {
			return err
		}
		return writeWhole(p.out, map[string]func(io.Writer) error{".deb": s.deb, ".rpm": s.rpm}[filepath.Ext(p.out)])
	}
	return writeTree(p.out, files)
}

// files is the whole tree of a package, in the order of its paths.
func (p *packaging) files(cmd *cobra.Command) ([]barclamp.NativeFile, error) {
	to := barclamp.Server(p.server)
	if to != barclamp.OpenCrowbar && to != barclamp.Rebar || p.out == "" {
		return nil, usage("say: kubeclamp barclamp package --for opencrowbar|rebar -o DIR|FILE.tgz|FILE.deb|FILE.rpm")
	}
	text, err := os.ReadFile(p.barclamp)
	if err != nil {
		return nil, err
	}
	c, err := barclamp.Parse(barclamp.File{Path: p.barclamp, Data: text})
	if err != nil {
		return nil, err
	}
	files, err := barclamp.Native(c, to)
	if err != nil {
		return nil, err
	}
	for _, arch := range p.arches {
		more, err := p.forArch(cmd, arch)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	slices.SortFunc(files, func(a, b barclamp.NativeFile) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// forArch is the program and the sums of artifacts for one kind of nodes.
func (p *packaging) forArch(cmd *cobra.Command, arch string) ([]barclamp.NativeFile, error) {
	dir := "script/roles/" + barclamp.FilesRole + "/"
	program := filepath.Join(p.programs, "kubeclamp-role-"+arch)
	if _, err := os.Stat(program); err != nil {
		program = filepath.Join(p.programs, "kubeclamp-role")
	}
	if err := artifact.Fits(program, arch); err != nil {
		return nil, err
	}
	role, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	packed, err := gzipped(role)
	if err != nil {
		return nil, err
	}
	known, err := p.known(cmd, arch)
	if err != nil {
		return nil, err
	}
	list, err := json.MarshalIndent(known, "", " ")
	return []barclamp.NativeFile{{Path: dir + "kubeclamp-role." + arch + ".gz", Mode: 0o644, Data: packed}, {Path: dir + "artifacts." + arch + ".json", Mode: 0o644, Data: append(list, '\n')}}, err
}

// known is the artifacts that roles put onto nodes, as they lie in the cache; with --artifacts they are copied to that folder.
func (p *packaging) known(cmd *cobra.Command, arch string) ([]native.Artifact, error) {
	cat, err := artifact.Builtin()
	if err != nil {
		return nil, err
	}
	cache, err := artifact.Open(artifact.Config{CacheDir: p.cache, Prebuilt: p.programs, Catalogue: cat})
	if err != nil {
		return nil, err
	}
	if p.artifacts != "" {
		if err := cache.Export(cmd.Context(), p.artifacts, arch, artifact.Progress(cmd.ErrOrStderr(), false)); err != nil {
			return nil, err
		}
	}
	if err := cache.Ensure(cmd.Context(), arch, nil, "kubeclamp"); err != nil { // the programs of ours among them
		return nil, err
	}
	items, err := cache.List(arch)
	if err != nil {
		return nil, err
	}
	var out []native.Artifact
	for _, i := range items {
		switch {
		case i.OnDemand:
		case !i.Ready:
			return nil, crowbar.Errorf(crowbar.NotFound, "%s for %s is not in %s: run 'kubeclampd artifacts --arch %s' first", i.Name, arch, p.cache, arch)
		default:
			component, file := path.Split(i.Name)
			out = append(out, native.Artifact{Artifact: i.Artifact, Path: path.Join(component, i.Version, arch, file)})
		}
	}
	return out, nil
}

// gzipped packs bytes, the same ones always in the same way.
func gzipped(b []byte) ([]byte, error) {
	var out strings.Builder
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = z.Write(b); err == nil {
		err = z.Close()
	}
	return []byte(out.String()), err
}

// writeTree writes files below a folder that is not there yet, or that a package was written to before.
func writeTree(dir string, files []barclamp.NativeFile) error {
	old, err := os.ReadDir(dir)
	if err == nil && len(old) > 0 {
		if _, err := os.Stat(filepath.Join(dir, "script", "roles", barclamp.FilesRole)); err != nil {
			return crowbar.Errorf(crowbar.Conflict, "%s has something else in it: name a new folder", dir)
		}
		if err := os.RemoveAll(filepath.Join(dir, "script")); err != nil {
			return err
		}
	}
	for _, f := range files {
		at := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, f.Data, f.Mode); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole writes a file, all of it or nothing.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	out, err := os.CreateTemp(filepath.Dir(name), ".package")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(out.Name())
		}
	}()
	for _, step := range []func() error{func() error { return write(out) }, func() error { return out.Chmod(0o644) }, out.Close, func() error { return os.Rename(out.Name(), name) }} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// writeArchive packs files, the same ones always to the same bytes.
func writeArchive(w io.Writer, files []barclamp.NativeFile) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: int64(f.Mode & fs.ModePerm), Size: int64(len(f.Data)), ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(f.Data); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}
