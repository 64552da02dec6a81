//go:build packages

package packages

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// step is something that an operator does on a node. It must end well, or it says what it wanted.
type step struct{ what, script string }

// steps are a life by Debian packages, in order.
var steps = []step{
	{"install", `dpkg -i /root/old/*.deb
systemctl is-active kubeclampd; systemctl is-enabled kubeclampd
test "$(ps -o user:20= -p "$(systemctl show -p MainPID --value kubeclampd)")" = kubeclamp
test "$(stat -c %U:%a /var/lib/kubeclamp)" = kubeclamp:700
dpkg -L kubeclamp | grep -q /usr/share/man/man1/kubeclamp.1.gz
bash -c '. /usr/share/bash-completion/completions/kubeclamp'`},
	{"it is hardened, as this node's own systemd sees it", `systemd-analyze security --threshold=` + highest + ` kubeclampd.service >/dev/null`},
	{"root uses it", `kubeclamp deployments create '{"name": "kept"}'
echo 'parallel: 7' >> /etc/kubeclamp/kubeclampd.yaml
systemctl restart kubeclampd
kubeclamp deployments show kept | grep -q kept`},
	{"a wrong file is told by its line", `cp /etc/kubeclamp/kubeclampd.yaml /root/right
echo 'no-such: 1' >> /etc/kubeclamp/kubeclampd.yaml
! systemctl restart kubeclampd
journalctl --sync
journalctl -u kubeclampd --no-pager | grep -q 'kubeclampd.yaml:[0-9]*: there is no "no-such"'
systemctl stop kubeclampd; cp /root/right /etc/kubeclamp/kubeclampd.yaml; systemctl reset-failed kubeclampd; systemctl start kubeclampd`},
	{"upgrade", `before=$(systemctl show -p MainPID --value kubeclampd)
dpkg -i --force-confold /root/new/*.deb
test "$(dpkg-query -W -f '${Version}' kubeclampd)" = 9.0.0
systemctl is-active kubeclampd
test "$(systemctl show -p MainPID --value kubeclampd)" != "$before"
grep -q 'parallel: 7' /etc/kubeclamp/kubeclampd.yaml
kubeclamp deployments show kept | grep -q kept`},
	{"one that was disabled stays so", `systemctl disable --now kubeclampd
dpkg -i /root/new/*.deb
! systemctl is-enabled kubeclampd
systemctl enable --now kubeclampd`},
	{"remove", `dpkg -r kubeclampd kubeclamp kubeclamp-node
! systemctl is-active kubeclampd
test -e /var/lib/kubeclamp/admin.json
test -e /etc/kubeclamp/kubeclampd.yaml
test -z "$(pgrep -f kubeclamp-role || true)"`},
	{"what was removed comes back with its state", `dpkg -i /root/new/*.deb
systemctl is-active kubeclampd
kubeclamp deployments show kept | grep -q kept`},
	{"purge", `dpkg -P kubeclampd kubeclamp kubeclamp-node
! systemctl is-active kubeclampd
! getent passwd kubeclamp
! getent group kubeclamp
left=$(find / -xdev -name '*kubeclamp*' -not -path '/root/*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' -not -path '/tmp/systemd-private-*')
test -z "$left" || { echo "left: $left"; exit 1; }
test -z "$(systemctl list-units --all --no-legend 'kubeclamp*')"`},
}

// rpmSteps are the same life by RPM packages. The nodes are Debian's, so that nothing is asked of what Debian's packages are called
// (--nodeps); RPM itself, its order of scriptlets and its record of files are the real ones.
var rpmSteps = []step{
	{"install by rpm", `rpm -i --nodeps /root/old/*.rpm
getent passwd kubeclamp
systemctl enable --now kubeclampd 2>/dev/null; systemctl is-active kubeclampd
test "$(ps -o user:20= -p "$(systemctl show -p MainPID --value kubeclampd)")" = kubeclamp
kubeclamp deployments create '{"name": "kept"}'
echo 'parallel: 7' >> /etc/kubeclamp/kubeclampd.yaml
test "$(rpm -V --nodeps kubeclamp kubeclampd kubeclamp-node | grep -v ' c /etc/kubeclamp/kubeclampd.yaml' | wc -l)" = 0`},
	{"upgrade by rpm", `before=$(systemctl show -p MainPID --value kubeclampd)
rpm -U --nodeps /root/new/*.rpm
rpm -q kubeclampd | grep -q 9.0.0
test "$(rpm -q kubeclampd | wc -l)" = 1
systemctl is-active kubeclampd; systemctl is-enabled kubeclampd
test "$(systemctl show -p MainPID --value kubeclampd)" != "$before"
grep -q 'parallel: 7' /etc/kubeclamp/kubeclampd.yaml
kubeclamp deployments show kept | grep -q kept`},
	{"one that was disabled stays so, by rpm", `systemctl disable --now kubeclampd
rpm -U --nodeps --force /root/new/*.rpm
! systemctl is-enabled kubeclampd
! systemctl is-active kubeclampd
systemctl enable --now kubeclampd`},
	{"remove by rpm", `rpm -e --nodeps kubeclamp kubeclampd kubeclamp-node
! systemctl is-active kubeclampd
! systemctl is-enabled kubeclampd
test -z "$(pgrep -f kubeclamp-role || true)"
test -e /var/lib/kubeclamp/admin.json
test -e /etc/kubeclamp/kubeclampd.yaml.rpmsave
left=$(find /usr /opt /etc -xdev -name '*kubeclamp*' -not -path '/etc/kubeclamp*')
test -z "$left" || { echo "left: $left"; exit 1; }
test -z "$(systemctl list-units --all --no-legend 'kubeclamp*')"`},
}

// live walks through the steps on nodes of both releases.
func live(t *testing.T, clone, before, after, trees string) {
	program := filepath.Join(t.TempDir(), "kubeclamp")
	run(t, clone, []string{"CGO_ENABLED=0"}, "go", "build", "-o", program, "./cmd/kubeclamp")
	l, err := lab.Open(lab.Config{Dir: filepath.Join(t.TempDir(), "lab"), Images: filepath.Join(cache(), "images"), Name: "kcpkg", Network: netip.MustParsePrefix("100.64.7.0/24"),
		Packages: []string{"rpm"}, Self: []string{program, "lab", "inside"}, Progress: func(lab.Progress) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background(), true); err != nil {
			t.Error(err)
		}
	})
	if err := l.Up(t.Context(), lab.NodeSpec{Name: "d12", Suite: "bookworm"}, lab.NodeSpec{Name: "d13", Suite: "trixie"}); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"d12", "d13"} {
		t.Run(node, func(t *testing.T) {
			on := func(stdin io.Reader, script string) error {
				line, err := l.SSH(node, script)
				if err != nil {
					return err
				}
				cmd := exec.CommandContext(t.Context(), line[0], line[1:]...)
				cmd.Stdin = stdin
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%w\n%s", err, out)
				}
				return nil
			}
			for where, from := range map[string]string{"old": before, "new": after, "trees": trees} {
				all := run(t, from, nil, "sh", "-c", "tar cf - --exclude '*.json' *")
				if err := on(strings.NewReader(all), "mkdir -p /root/"+where+" && tar xf - -C /root/"+where); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range slices.Concat(steps, rpmSteps, treeSteps) {
				began := time.Now()
				if err := on(strings.NewReader("set -e\nexport DEBIAN_FRONTEND=noninteractive\n"+strict(s.script)), "bash -s"); err != nil {
					t.Fatalf("%s: %v", s.what, err)
				}
				t.Logf("%s: %s", s.what, time.Since(began).Round(100*time.Millisecond))
			}
		})
	}
}

// strict has each line end the script when it fails, also one that begins with "!", which 'set -e' lets pass.
func strict(script string) string {
	lines := strings.Split(script, "\n")
	for i, l := range lines {
		if rest, not := strings.CutPrefix(l, "! "); not {
			lines[i] = "if " + rest + "; then echo 'this should not hold: " + strings.ReplaceAll(rest, "'", "") + "'; exit 1; fi"
		}
	}
	return strings.Join(lines, "\n") + "\n"
}
