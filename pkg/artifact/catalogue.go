package artifact

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

//go:embed catalogue.json
var builtinJSON []byte

//go:embed catalogue
var builtinFiles embed.FS

// Catalogue is every component, those that others are made from first. One may be there in several versions: the first that
// is not on demand is its default.
type Catalogue struct {
	Components []*Component `json:"components"`

	files fs.FS // FAMILY/gomod, FAMILY/gosum, FAMILY/files/**.txt, images/PROGRAM/main.go
}

// Component is a set of files that come together. Exactly one of Build, Own and Image says how they are made here.
type Component struct {
	Name     string `json:"component"`
	Version  string `json:"version"`
	OnDemand bool   `json:"on_demand,omitempty"` // is made only when it is asked for by its version
	CPU      int    `json:"cpu_seconds"`         // of a build from nothing, measured; what progress is reckoned from
	Files    []File `json:"files"`
	Build    *Build `json:"build,omitempty"`
	Own      string `json:"own,omitempty"` // package of this module
	Image    *Image `json:"image,omitempty"`
}

// File is one file of a component; its name is the last part of the artifact's name.
type File struct {
	Name  string           `json:"name"`
	Fetch map[string]Fetch `json:"fetch,omitempty"` // architecture -> upstream
}

// Fetch is an upstream URL; {version} and {arch} in it are replaced. SHA256 is of what the URL gives. Where that is a
// .tar.gz, Member is the file in it.
type Fetch struct {
	URL    string `json:"url"`
	SHA256 string `json:"sha256"`
	Member string `json:"member,omitempty"`
}

// Build is a build of published Go modules: the flags of the go command, in a folder with the family's go.mod and go.sum.
type Build struct {
	Family    string            `json:"family"`
	CGO       []string          `json:"cgo,omitempty"`       // architectures that need a C compiler
	Libraries map[string]string `json:"libraries,omitempty"` // C libraries: name in pkg-config -> Debian package
	Tags      string            `json:"tags,omitempty"`
	LDFlags   string            `json:"ldflags,omitempty"`
	GCFlags   string            `json:"gcflags,omitempty"`
	Steps     []Step            `json:"steps"`
}

// Step is one run of go build. Out is the name of the file; without it each package gives a file of its own name.
type Step struct {
	Out      string   `json:"out,omitempty"`
	Packages []string `json:"packages"`
}

// Image is an OCI image of one static binary: a program of ours below catalogue/images, or another artifact.
type Image struct {
	Tag     string `json:"tag"`
	Program string `json:"program,omitempty"`
	From    string `json:"from,omitempty"`
	Path    string `json:"path"` // of the binary in the image; its entry point
	User    string `json:"user"` // UID:GID
}

// Builtin is the catalogue that this program was built with.
func Builtin() (*Catalogue, error) {
	files, err := fs.Sub(builtinFiles, "catalogue")
	if err != nil {
		return nil, err
	}
	return Parse("catalogue.json", builtinJSON, files)
}

// Parse reads a catalogue. files holds what its builds need: FAMILY/gomod, FAMILY/gosum, more files of the module under
// FAMILY/files with .txt appended to their names, and images/PROGRAM/main.go.
func Parse(name string, data []byte, files fs.FS) (*Catalogue, error) {
	c := &Catalogue{files: files}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", name, err)
	}
	if err := c.check(); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", name, err)
	}
	return c, nil
}

// With is the catalogue with a site's own components. One that is on demand replaces that of the same name, files and version;
// any other one the default of the same name and files. Where there is none, it is appended.
func (c *Catalogue) With(name string, data []byte) (*Catalogue, error) {
	over, err := Parse(name, data, c.files)
	if err != nil {
		return nil, err
	}
	out := &Catalogue{Components: slices.Clone(c.Components), files: c.files}
	for _, o := range over.Components {
		if i := slices.IndexFunc(out.Components, func(x *Component) bool { return o.replaces(x) }); i >= 0 {
			out.Components[i] = o
		} else {
			out.Components = append(out.Components, o)
		}
	}
	return out, out.check()
}

func (x *Component) replaces(old *Component) bool {
	return x.Name == old.Name && sameFiles(x, old) && x.OnDemand == old.OnDemand && (!x.OnDemand || x.Version == old.Version)
}

func sameFiles(a, b *Component) bool {
	return slices.EqualFunc(a.Files, b.Files, func(x, y File) bool { return x.Name == y.Name })
}

// check gives every fault at once.
func (c *Catalogue) check() error {
	var errs []error
	say := func(x *Component, format string, a ...any) {
		errs = append(errs, fmt.Errorf("component %q: "+format, append([]any{x.Name}, a...)...))
	}
	seen := map[string]bool{}
	for _, x := range c.Components {
		if !plain(x.Name) || !plain(x.Version) || len(x.Files) == 0 {
			say(x, "needs a name, a version and files, without slashes")
		}
		fetched := true
		for _, f := range x.Files {
			full := x.Name + "/" + f.Name
			version := full + "@" + x.Version
			if !plain(f.Name) || seen[version] || !x.OnDemand && seen[full] {
				say(x, "file %q: the name is empty, has a slash, or is there twice in one version, or by default", f.Name)
			}
			seen[version] = true
			seen[full] = seen[full] || !x.OnDemand
			fetched = fetched && len(f.Fetch) > 0
			for arch, u := range f.Fetch {
				if u.URL == "" || !isSum(u.SHA256) {
					say(x, "file %q for %s: an upstream needs url and sha256 (64 hex digits); take it from the publisher's signed list", f.Name, arch)
				}
			}
		}
		ways := 0
		for _, is := range []bool{x.Build != nil, x.Own != "", x.Image != nil} {
			if is {
				ways++
			}
		}
		if ways > 1 || ways == 0 && !fetched {
			say(x, "needs one of build, own, image, or a fetch for each file")
		}
		if x.Image != nil && x.Image.From != "" && !seen[x.Image.From] {
			say(x, "image is made from %q, which must come earlier in the catalogue", x.Image.From)
		}
	}
	return errors.Join(errs...)
}

// file finds "component/file", or "component/file@version".
func (c *Catalogue) file(name string) (*Component, File, error) {
	full, version, _ := strings.Cut(name, "@")
	comp, base, _ := strings.Cut(full, "/")
	var there []*Component
	for _, x := range c.Components {
		for _, f := range x.Files {
			if x.Name != comp || f.Name != base {
				continue
			}
			if x.is(version) {
				return x, f, nil
			}
			there = append(there, x)
		}
	}
	if len(there) > 0 {
		return nil, File{}, unknownVersion(full, version, there)
	}
	return nil, File{}, crowbar.Errorf(crowbar.NotFound, "artifact %q is not in the catalogue: it has %s", name, strings.Join(c.Names(), ", "))
}

// is says that a version is asked for which x has; "" asks for the default.
func (x *Component) is(version string) bool {
	return version == "" && !x.OnDemand || version == x.Version
}

func unknownVersion(what, version string, there []*Component) error {
	var have []string
	for _, x := range there {
		text := x.Version
		if !x.OnDemand {
			text += " (the default)"
		}
		have = append(have, text)
	}
	if version == "" {
		return crowbar.Errorf(crowbar.NotFound, "the catalogue has no version of %s that is its default: say which of %s", what, strings.Join(have, ", "))
	}
	return crowbar.Errorf(crowbar.NotFound, "version %s of %s is not in the catalogue, which has %s: choose one of these, or add it to a catalogue of the site's own (kubeclampd --catalogue)",
		version, what, strings.Join(have, ", "))
}

// Versions is the versions of a component, its default first; an error says that there is no such component.
func (c *Catalogue) Versions(component string) ([]string, error) {
	var out []string
	for _, x := range c.Components {
		switch {
		case x.Name != component || slices.Contains(out, x.Version):
		case x.OnDemand:
			out = append(out, x.Version)
		default:
			out = slices.Insert(out, 0, x.Version)
		}
	}
	if len(out) == 0 {
		return nil, crowbar.Errorf(crowbar.NotFound, "the catalogue has no component %q", component)
	}
	return out, nil
}

// Names is every artifact, "component/file".
func (c *Catalogue) Names() []string {
	var out []string
	for _, x := range c.Components {
		for _, f := range x.Files {
			if full := x.Name + "/" + f.Name; !slices.Contains(out, full) {
				out = append(out, full)
			}
		}
	}
	return out
}

// pick is the components that hold the named artifacts or are named themselves, each with @version or in their default, with
// those that they are made from, in the catalogue's order. No name means all but those on demand.
func (c *Catalogue) pick(names []string) ([]*Component, error) {
	want := map[*Component]bool{}
	for _, x := range c.Components {
		want[x] = len(names) == 0 && !x.OnDemand
	}
	for _, n := range names {
		if err := c.choose(n, want); err != nil {
			return nil, err
		}
	}
	var out []*Component
	for _, x := range slices.Backward(c.Components) {
		if !want[x] {
			continue
		}
		if x.Image != nil && x.Image.From != "" {
			from, _, err := c.file(x.Image.From)
			if err != nil {
				return nil, err
			}
			want[from] = true
		}
		out = append(out, x)
	}
	slices.Reverse(out)
	return out, nil
}

// choose notes what a name asks for.
func (c *Catalogue) choose(name string, want map[*Component]bool) error {
	if comp, version, _ := strings.Cut(name, "@"); !strings.Contains(comp, "/") {
		var there []*Component
		found := false
		for _, x := range c.Components {
			if x.Name != comp {
				continue
			}
			there = append(there, x)
			want[x] = want[x] || x.is(version)
			found = found || x.is(version)
		}
		if found {
			return nil
		}
		if len(there) > 0 {
			return unknownVersion(comp, version, there)
		}
	}
	x, _, err := c.file(name)
	if err == nil {
		want[x] = true
	}
	return err
}

// title is what a human calls it: images are many components of one name.
func (x *Component) title() string {
	if x.Image != nil {
		return x.Name + "/" + x.Files[0].Name
	}
	return x.Name
}

// needs says whether x is made from a file of y.
func (x *Component) needs(y *Component) bool {
	return x.Image != nil && slices.ContainsFunc(y.Files, func(f File) bool { return y.Name+"/"+f.Name == x.Image.From })
}

// hash tells build descriptions apart: what went into a file besides its version.
func (a *Cache) hash(c *Component, arch string) (string, error) {
	h := sha256.New()
	add := func(parts ...any) error { return json.NewEncoder(h).Encode(parts) }
	if c.Own != "" {
		return a.ownHash(c, arch)
	}
	if c.Image != nil {
		add("image", imageFormat, c.Image)
		if c.Image.From != "" {
			from, _, err := a.cat.file(c.Image.From)
			if err != nil {
				return "", err
			}
			below, err := a.hash(from, arch)
			if err != nil {
				return "", err
			}
			add(from.Version, below)
		}
	}
	root := ""
	switch {
	case c.Build != nil:
		root = c.Build.Family
		add("build", c.Build)
	case c.Image != nil && c.Image.Program != "":
		root = path.Join("images", c.Image.Program)
	default:
		add("fetch", c.Files)
		return hex.EncodeToString(h.Sum(nil)[:6]), nil
	}
	err := fs.WalkDir(a.cat.files, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, "_test.go") {
			return err
		}
		b, err := fs.ReadFile(a.cat.files, p)
		if err != nil {
			return err
		}
		return add(p, string(b))
	})
	return hex.EncodeToString(h.Sum(nil)[:6]), err
}

func plain(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/@\\ \n")
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && strings.ToLower(s) == s
}
