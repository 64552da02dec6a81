package artifact

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// toolset is the programs that a build runs, and what they are told by their environment.
type toolset struct {
	nice, goCmd string
	env         []string
}

// triples are Debian's names of architectures: of compilers, and of packages.
var triples = map[string][2]string{"amd64": {"x86_64-linux-gnu", "x86-64-linux-gnu"}, "arm64": {"aarch64-linux-gnu", "aarch64-linux-gnu"}}

// tools finds what a build needs, and says what to install where something is missing.
func (a *Cache) tools(c *Component, arch string, cgo bool) (t toolset, err error) {
	instead := fmt.Sprintf("or give a mirror folder that holds %s/%s/%s", c.Name, c.Version, arch)
	if t.goCmd = a.Go; t.goCmd == "" {
		if t.goCmd, err = exec.LookPath("go"); err != nil {
			return t, crowbar.Errorf(crowbar.Unavailable, "building %s needs the go command, which is not in PATH: install Go 1.26 or newer (https://go.dev/dl), %s", c.Name, instead)
		}
	}
	t.nice, _ = exec.LookPath("nice")
	if !cgo {
		return t, nil
	}
	cc, config, pkg, foreign := "gcc", "pkg-config", "gcc libc6-dev", ""
	if arch != runtime.GOARCH {
		names, ok := triples[arch]
		if !ok {
			return t, crowbar.Errorf(crowbar.Invalid, "no C compiler is known for %s: give a mirror folder that holds %s/%s/%s", arch, c.Name, c.Version, arch)
		}
		cc, config, pkg, foreign = names[0]+"-gcc", names[0]+"-pkg-config", "gcc-"+names[1], ":"+arch
		t.env = []string{"CC=" + cc, "PKG_CONFIG=" + config}
	} else if own := os.Getenv("CC"); own != "" {
		cc = own
	}
	if _, err := exec.LookPath(cc); err != nil {
		return t, crowbar.Errorf(crowbar.Unavailable, "building %s for %s needs a C compiler, %s is not in PATH: install it (Debian: apt-get install %s), %s", c.Name, arch, cc, pkg, instead)
	}
	if c.Build == nil {
		return t, nil
	}
	for _, lib := range slices.Sorted(maps.Keys(c.Build.Libraries)) {
		if err := exec.Command(config, "--exists", lib).Run(); err != nil {
			return t, crowbar.Errorf(crowbar.Unavailable, "building %s for %s needs the C library %s (%s: %v): install it (Debian: apt-get install pkg-config %s), %s",
				c.Name, arch, lib, config+" --exists "+lib, err, c.Build.Libraries[lib]+foreign, instead)
		}
	}
	return t, nil
}
