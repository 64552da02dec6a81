//go:build packages

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// steps are what an operator does on a node, in order. Each must end well, or it says what it wanted.
var steps = []struct{ what, script string }{
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

// live walks through the steps on nodes of both releases.
func live(t *testing.T, before, after string) {
	program := filepath.Join(t.TempDir(), "kubeclamp")
	run(t, "../..", []string{"CGO_ENABLED=0"}, "go", "build", "-o", program, "./cmd/kubeclamp")
	dir := filepath.Join(t.TempDir(), "lab")
	lab := func(verb string, args ...string) *exec.Cmd {
		return exec.Command(program, append([]string{"lab", verb, "--dir", dir}, args...)...)
	}
	images := os.Getenv("KUBECLAMP_CACHE")
	if images == "" {
		images = filepath.Join(os.Getenv("HOME"), ".cache", "kubeclamp")
	}
	up := lab("up", "--nodes-only", "--name", "kcpkg", "--network", "100.64.7.0/24", "--image-cache", filepath.Join(images, "images"), "d12:bookworm", "d13:trixie")
	t.Cleanup(func() {
		if out, err := lab("down").CombinedOutput(); err != nil {
			t.Errorf("lab down: %v\n%s", err, out)
		}
	})
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("lab up: %v\n%s", err, out)
	}
	for _, node := range []string{"d12", "d13"} {
		t.Run(node, func(t *testing.T) {
			for where, from := range map[string]string{"old": before, "new": after} {
				tar := exec.Command("sh", "-c", "tar cf - *.deb")
				tar.Dir = from
				pipe, err := tar.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				put := lab("ssh", node, "mkdir -p /root/"+where+" && tar xf - -C /root/"+where)
				put.Stdin = pipe
				if err := tar.Start(); err != nil {
					t.Fatal(err)
				}
				if out, err := put.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if err := tar.Wait(); err != nil {
					t.Fatal(err)
				}
			}
			for _, step := range steps {
				sh := lab("ssh", node, "bash -s")
				sh.Stdin = strings.NewReader("set -e\nexport DEBIAN_FRONTEND=noninteractive\n" + strict(step.script))
				if out, err := sh.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", step.what, err, out)
				}
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
