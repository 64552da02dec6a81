//go:build packages

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// trees makes packages of the barclamp's tree for both servers, two versions, in a folder: VERSION/SERVER.deb, .rpm.
func trees(t *testing.T, dir string) {
	t.Helper()
	write := func(server, version, to string) {
		t.Helper()
		run(t, "../..", nil, "bin/kubeclamp", "barclamps", "package", "--for", server, "--version", version, "-o", to, "--artifact-cache", filepath.Join(cache(), "artifacts"))
	}
	for _, version := range []string{"1.0", "2.0~rc1"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{"deb", "rpm"} {
			write("opencrowbar", version, filepath.Join(dir, version, "opencrowbar."+format))
		}
	}
	for _, format := range []string{"deb", "rpm"} {
		write("rebar", "1.0", filepath.Join(dir, "1.0", "rebar."+format))
		again := filepath.Join(t.TempDir(), "again."+format)
		write("opencrowbar", "1.0", again)
		if read(t, again) != read(t, filepath.Join(dir, "1.0", "opencrowbar."+format)) {
			t.Errorf("two %s packages of one tree differ", format)
		}
	}
	debs, _ := filepath.Glob(dir + "/*/*.deb")
	if out, err := exec.Command("lintian", append([]string{"--fail-on", "error,warning"}, debs...)...).CombinedOutput(); err != nil || len(debs) != 3 {
		t.Errorf("%d packages: %v\n%s", len(debs), err, out)
	}
	lintRPM(t, dir+"/*/*.rpm")
}

// treeSteps are the life of a barclamp's tree on the machine of an OpenCrowbar server.
var treeSteps = []step{
	{"a tree by dpkg", `cd /root/trees
dpkg -i 1.0/opencrowbar.deb
grep -q kubeclamp-files /opt/kubeclamp/barclamp/crowbar.yml
test -s /opt/kubeclamp/barclamp/script/roles/etcd/10-apply.sh
gunzip -c /opt/kubeclamp/barclamp/script/roles/kubeclamp-files/kubeclamp-role.amd64.gz > /tmp/role; chmod 755 /tmp/role
/tmp/role --names | grep -qx etcd
touch -d 2000-01-01 /opt/kubeclamp/barclamp/crowbar.yml
! dpkg -i 1.0/rebar.deb
dpkg -i 2.0~rc1/opencrowbar.deb
test "$(dpkg-query -W -f '${Version}' kubeclamp-barclamp-opencrowbar)" = 2.0~rc1
test "$(stat -c %Y /opt/kubeclamp/barclamp/crowbar.yml)" -gt 1000000000
test -z "$(dpkg -V kubeclamp-barclamp-opencrowbar | grep /opt/)"
dpkg -P kubeclamp-barclamp-opencrowbar
test ! -e /opt/kubeclamp`},
	{"a tree by rpm", `cd /root/trees
rpm -i --nodeps 1.0/opencrowbar.rpm
cmp <(/tmp/role --names) <(gunzip -c /opt/kubeclamp/barclamp/script/roles/kubeclamp-files/kubeclamp-role.amd64.gz > /tmp/role2; chmod 755 /tmp/role2; /tmp/role2 --names)
! rpm -i 1.0/rebar.rpm
rpm -U --nodeps 2.0~rc1/opencrowbar.rpm
test "$(rpm -q kubeclamp-barclamp-opencrowbar)" = kubeclamp-barclamp-opencrowbar-2.0~rc1-1.noarch
rpm -V --nodeps kubeclamp-barclamp-opencrowbar
rpm -e --nodeps kubeclamp-barclamp-opencrowbar
test ! -e /opt/kubeclamp; rm -f /tmp/role /tmp/role2`},
}
