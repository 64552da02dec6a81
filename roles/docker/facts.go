package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

type version struct{ docker, containerd string }

const versionScript = `
echo "docker=$(docker version --format '{{.Server.Version}}' 2>&1)"
echo "containerd=$(ctr version 2>&1 | awk '/^Server:/ { s = 1 } s && $1 == "Version:" { print $2; exit } !s { last = $0 } END { if (!s) print "error: " last }')"
`

// versions reads what both engines say of themselves, in the same Exec as all the rest.
func versions() linux.Probe { return linux.Probe{Name: "versions", Script: versionScript} }

func ask(ctx context.Context, on role.Target) (version, error) {
	out, err := jig.Run(ctx, on.Conn, jig.Look("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"+versionScript))
	if err != nil {
		return version{}, err
	}
	return parse(out)
}

// parse wants two versions; anything else is what the client had to say.
func parse(out string) (version, error) {
	var v version
	for _, l := range strings.Split(out, "\n") {
		k, val, _ := strings.Cut(l, "=")
		if val = strings.TrimSpace(val); val == "" {
			continue
		}
		switch k {
		case "docker":
			v.docker = val
		case "containerd":
			v.containerd = val
		}
	}
	if v.docker == "" || strings.ContainsAny(v.docker, " /") {
		return v, fmt.Errorf("the Docker engine does not answer `docker version`: %s", v.docker)
	}
	if v.containerd == "" || strings.ContainsAny(v.containerd, " /") {
		return v, fmt.Errorf("containerd does not answer `ctr version`: %s", v.containerd)
	}
	return v, nil
}

// end kills every container of both engines, and their shims: units stop without taking them along.
func end(ctx context.Context, on role.Target) error {
	_, err := jig.Run(ctx, on.Conn, jig.Script(`
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
systemctl stop docker.service docker.socket 2>/dev/null
if systemctl -q is-active containerd.service && command -v ctr >/dev/null; then
	for ns in $(ctr namespaces ls -q 2>/dev/null); do
		for t in $(ctr -n "$ns" tasks ls -q 2>/dev/null); do ctr -n "$ns" tasks rm -f "$t" >/dev/null 2>&1; done
		for c in $(ctr -n "$ns" containers ls -q 2>/dev/null); do ctr -n "$ns" containers rm "$c" >/dev/null 2>&1; done
	done
fi
systemctl kill -s KILL containerd.service 2>/dev/null
systemctl stop containerd.service 2>/dev/null
systemctl reset-failed containerd.service docker.service 2>/dev/null
ip link delete docker0 2>/dev/null
exit 0
`))
	if err != nil {
		return fmt.Errorf("end the containers on node %s: %w", on.Node, err)
	}
	return nil
}
