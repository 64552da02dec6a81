package k8sminion

import (
	"context"
	"fmt"
	"path"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// image is one that no registry has: it comes as a tar from the catalogue.
type image struct{ Artifact, Name string }

var images = []image{
	{"images/pause", "kubeclamp.internal/pause:1"},
	{"images/coredns", "kubeclamp.internal/coredns:1.15.0"},
	{"images/testserver", "kubeclamp.internal/testserver:1"},
}

const imageDir = "/var/lib/kubeclamp/images"

func (i image) tar() string { return imageDir + "/" + path.Base(i.Artifact) + ".tar" }

// load imports a tar, drops it, and only then notes on the image where it came from: a run that dies before is run again.
// The kubelet's garbage collector leaves a pinned image alone; without a registry it could not be had again.
const load = `set -e
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ctr -n k8s.io images import "$1" >/dev/null
rm -f -- "$1"
ctr -n k8s.io images label "$2" io.cri-containerd.pinned=pinned "kubeclamp.io/tar=$3" >/dev/null`

// provide imports what is missing or of another tar.
func provide(ctx context.Context, on role.Target, have map[string]string) ([]role.Change, error) {
	var out []role.Change
	for _, i := range images {
		a, err := on.Artifacts.Stat(ctx, i.Artifact)
		if err != nil {
			return out, fmt.Errorf("image %s: %w", i.Name, err)
		}
		if have[i.Name] == a.SHA256 {
			continue
		}
		out = append(out, role.Change{What: "image", Name: i.Name, Do: "import"})
		if on.DryRun {
			continue
		}
		on.Logf("import image %s", i.Name)
		if len(out) == 1 {
			if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"mkdir", "-p", imageDir}}); err != nil {
				return out, fmt.Errorf("folder for images on node %s: %w", on.Node, err)
			}
		}
		if err := on.Artifacts.Put(ctx, i.Artifact, i.tar(), 0o600); err != nil {
			return out, fmt.Errorf("image %s: %w", i.Name, err)
		}
		if _, err := jig.Run(ctx, on.Conn, jig.Script(load, i.tar(), i.Name, a.SHA256)); err != nil {
			return out, fmt.Errorf("import image %s on node %s (is containerd up?): %w", i.Name, on.Node, err)
		}
	}
	return out, nil
}
