package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// proof prints all that the work has made under a prefix, with the prefix left out.
const proof = `set -eu
cd "/srv/$1"
find . -printf '%P %y %m\n' | sort
find . -type f | sort | xargs sha256sum
for u in /etc/systemd/system/"$1"-*.service; do
  n=${u##*/}
  echo "${n#"$1"-} $(stat -c %a "$u") $(sha256sum <"$u") $(systemctl is-active "$n") $(systemctl is-enabled "$n")"
done`

// alike says where the two tools have not made the same on a node.
func alike(ctx context.Context, inv lab.Inventory, known string) error {
	var bad []error
	for _, n := range inv.Nodes {
		var made [2]string
		for i, prefix := range []string{"kubeclamp", "ansible"} {
			cmd := exec.CommandContext(ctx, "ssh", "-F", "none", "-i", inv.Key, "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+known,
				"-o", "GlobalKnownHostsFile=/dev/null", "-o", "BatchMode=yes", inv.User+"@"+n.Address.String(), "sh", "-s", "--", prefix)
			cmd.Stdin = strings.NewReader(proof)
			out, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("look at what %s has made on %s: %w: %s", prefix, n.Name, err, last(string(out), 3000))
			}
			made[i] = string(out)
		}
		if made[0] != made[1] {
			bad = append(bad, fmt.Errorf("node %s: the two have not made the same:\nkubeclamp:\n%s\nAnsible:\n%s", n.Name, made[0], made[1]))
		}
	}
	return errors.Join(bad...)
}
