package lab

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		network, leg, first string
		max                 int
	}{
		{"198.18.0.0/16", HostAddress, "198.18.0.11", 1000},
		{"198.51.100.0/24", "198.51.100.254", "198.51.100.11", 243},
	} {
		p := netip.MustParsePrefix(c.network)
		if got := legAddr(p).String(); got != c.leg {
			t.Errorf("leg of %s: %s, want %s", p, got, c.leg)
		}
		if got := nodeAddr(p, 1).String(); got != c.first {
			t.Errorf("first node of %s: %s, want %s", p, got, c.first)
		}
		if got := maxNodes(p); got != c.max {
			t.Errorf("nodes in %s: %d, want %d", p, got, c.max)
		}
		if last := nodeAddr(p, maxNodes(p)); !p.Contains(last) || last == legAddr(p) {
			t.Errorf("last node of %s: %s", p, last)
		}
	}
	if a, b := nodeMAC(1), nodeMAC(257); a == b {
		t.Errorf("nodes 1 and 257 share the MAC %s", a)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, cfg := range map[string]Config{
		"no folder":      {},
		"a comma":        {Dir: dir + "/a,b"},
		"a long name":    {Dir: dir, Name: "muchtoolong"},
		"a small net":    {Dir: dir, Network: netip.MustParsePrefix("198.18.0.0/28")},
		"host bits":      {Dir: dir, Network: netip.MustParsePrefix("198.18.0.1/24")},
		"the other kind": {Dir: dir, Network: netip.MustParsePrefix("2001:db8::/64")},
	} {
		if _, err := Open(cfg); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenRemembers(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Config{Dir: dir, Name: "kcx", Network: netip.MustParsePrefix("198.51.100.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.save(record{Nodes: []nodeRecord{{NodeSpec: NodeSpec{Name: "n1"}, Index: 1}}}); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if again.cfg.Name != "kcx" || again.Leg().String() != "198.51.100.254" {
		t.Errorf("opened again: name %s, leg %s", again.cfg.Name, again.Leg())
	}
}

func TestMerge(t *testing.T) {
	rec := record{Nodes: []nodeRecord{{NodeSpec: NodeSpec{Name: "a", Suite: "trixie"}, Index: 2}}}
	if err := rec.merge([]NodeSpec{{Name: "b"}, {Name: "a", Suite: "trixie"}, {Name: "c", Suite: "trixie"}, {Name: "b"}}, 10); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, n := range rec.Nodes {
		got[n.Name+" "+n.Suite] = n.Index
	}
	if diff := cmp.Diff(map[string]int{"a trixie": 2, "b bookworm": 1, "c trixie": 3}, got); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		spec NodeSpec
		kind crowbar.ErrorKind
	}{
		"upper case":    {NodeSpec{Name: "N1"}, crowbar.Invalid},
		"a path":        {NodeSpec{Name: "../x"}, crowbar.Invalid},
		"unknown suite": {NodeSpec{Name: "x", Suite: "potato"}, crowbar.Invalid},
		"other suite":   {NodeSpec{Name: "a", Suite: "bookworm"}, crowbar.Conflict},
	} {
		if err := rec.merge([]NodeSpec{c.spec}, 10); crowbar.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := rec.merge([]NodeSpec{{Name: "d"}}, 3); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("full network: %v", err)
	}
}

func TestParseHierarchies(t *testing.T) {
	mounts := `30 24 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
`
	got := parseHierarchies("9:name=systemd:/x\n2:cpu,cpuacct:/kclab/n1\n1:perf_event:/\n0::/\n", mounts)
	want := []string{"/sys/fs/cgroup/cpu,cpuacct/kclab", "/sys/fs/cgroup/systemd/x/kclab", "/sys/fs/cgroup/unified/kclab"}
	var bases []string
	for _, h := range got {
		bases = append(bases, h.base("kclab", alone(got)))
	}
	if diff := cmp.Diff(want, bases); diff != "" {
		t.Error(diff)
	}
	pure := parseHierarchies("0::/user.slice/session-1.scope\n", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	if len(pure) != 1 || !alone(pure) || pure[0].base("kclab", true) != "/sys/fs/cgroup/kclab" {
		t.Errorf("version 2 alone: %+v", pure)
	}
}

func TestDiskMajors(t *testing.T) {
	got := diskMajors("major minor  #blocks  name\n\n 254        0  268435456 vda\n 254 1 1 vda1\n   7        0       1 loop0\n   8 0 1 sda\n")
	if diff := cmp.Diff([]int{254, 8}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseSources(t *testing.T) {
	s, err := parseSources("Debian|http://mirror.example/debian\nDebian-Security|http://mirror.example/security\nOther|http://other.example\n",
		"Acquire::http::Proxy \"http://p.example:1\";\nAcquire::http::Pipeline-Depth \"0\";\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.lines("trixie"), "\n"); !strings.Contains(got, "deb http://mirror.example/security trixie-security main") || strings.Contains(got, "other") {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{`Acquire::http::Proxy "http://p.example:1"`}, s.proxies); diff != "" {
		t.Error(diff)
	}
	if _, err := parseSources("Other|http://other.example\n", ""); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("no mirror: %v", err)
	}
}

func TestRecipe(t *testing.T) {
	config := map[string]bool{"OVERLAY_FS": true, "BRIDGE_NETFILTER": true}
	mods := builtinModules(config)
	if !strings.Contains(mods, "kernel/net/bridge/br_netfilter.ko\n") || strings.Contains(mods, "ip_vs") {
		t.Errorf("modules: %s", mods)
	}
	if a, b := recipeHash("trixie", "6.1", config), recipeHash("trixie", "6.1", config); a != b {
		t.Errorf("the same recipe has two hashes: %s %s", a, b)
	}
	if a, b := recipeHash("trixie", "6.1", config), recipeHash("trixie", "6.1", map[string]bool{}); a == b {
		t.Errorf("another kernel gives the same hash %s", a)
	}
}

func TestDropRules(t *testing.T) {
	got := dropRules(map[string][]string{nodeMAC(1): {nodeMAC(2), ""}})
	for _, want := range []string{"delete table bridge faults", "ether saddr 02:1a:b0:00:00:01 ether daddr 02:1a:b0:00:00:02 drop",
		"ether saddr 02:1a:b0:00:00:02 ether daddr 02:1a:b0:00:00:01 drop", "  ether daddr 02:1a:b0:00:00:01 drop"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	if empty := dropRules(nil); strings.Contains(empty, "ether") {
		t.Errorf("nothing to drop: %s", empty)
	}
}

func TestEnding(t *testing.T) {
	for _, c := range []struct {
		status syscall.WaitStatus
		again  bool
		bad    bool
	}{
		{status: syscall.WaitStatus(syscall.SIGHUP), again: true}, {status: 129 << 8, again: true}, {status: syscall.WaitStatus(syscall.SIGINT)},
		{status: 130 << 8}, {status: syscall.WaitStatus(syscall.SIGKILL)}, {status: 137 << 8}, {status: 1 << 8}, {status: 3 << 8, bad: true},
	} {
		text, again, err := ending(c.status)
		if again != c.again || (err != nil) != c.bad {
			t.Errorf("status %#x: %q again %v, %v", uint32(c.status), text, again, err)
		}
	}
}

func TestProcessIdentity(t *testing.T) {
	p, err := findProcess(os.Getpid())
	if err != nil || !p.alive() {
		t.Fatalf("own process: %+v, %v", p, err)
	}
	if other := (process{PID: p.PID, Start: "1"}); other.alive() {
		t.Error("a reused pid counts as alive")
	}
}

func TestWrapper(t *testing.T) {
	got, err := wrapperScript("/run/x/self", []string{"/somewhere/kubeclamp", "lab", "inside"})
	if err != nil || got != "#!/bin/sh\nexec /run/x/self lab inside runc \"$@\"\n" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := wrapperScript("/run/x/self", []string{"x", "a b; rm"}); err == nil {
		t.Error("a command line that a shell would read differently passes")
	}
}

func TestNextRunc(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	self := filepath.Join(one, "self")
	for _, f := range []string{self, filepath.Join(two, "runc")} {
		if err := os.WriteFile(f, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(self, filepath.Join(one, "runc")); err != nil {
		t.Fatal(err)
	}
	got, err := nextRunc(one+"::"+two, self)
	if err != nil || got != filepath.Join(two, "runc") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestParseRunc(t *testing.T) {
	for _, c := range []struct {
		args            string
		bundle, process string
		creates         bool
	}{
		{"--root /r --log /l create --bundle /b --pid-file /p id", "/b", "", true},
		{"--root /r exec --process=/x --detach id", ".", "/x", true},
		{"--root /r run -b /b id", "/b", "", true},
		{"--root /r state id", ".", "", false},
	} {
		b, p, creates := parseRunc(strings.Fields(c.args))
		if b != c.bundle || p != c.process || creates != c.creates {
			t.Errorf("%s: %q %q %v", c.args, b, p, creates)
		}
	}
}

func TestClampFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	before := `{"process":{"oomScoreAdj":-998,"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_TIME","CAP_NEW"],"inheritable":null},
		"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":1024},{"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":18446744073709551615}]},
		"linux":{"resources":{"memory":{"limit":9223372036854771712}}}}`
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	lim := limits{caps: 1, oom: 5, ceiling: map[string]uint64{"RLIMIT_NOFILE": 20000, "RLIMIT_CORE": 18446744073709551615}}
	pick := func(m map[string]any) map[string]any { return m["process"].(map[string]any) }
	if err := clampFile(path, lim, pick); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"oomScoreAdj":5`, `"bounding":["CAP_CHOWN","CAP_NEW"]`, `"hard":20000,"soft":1024`, `"hard":18446744073709551615`, `9223372036854771712`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	if err := clampFile(filepath.Join(t.TempDir(), "none"), lim, pick); err != nil {
		t.Errorf("a document that is not there is runc's own complaint: %v", err)
	}
}

func TestSysctls(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, inotify)
	value := func() string { b, _ := os.ReadFile(path); return strings.TrimSpace(string(b)) }
	set := func(v string) {
		if err := os.WriteFile(path, []byte(v), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	set("128\n")
	var rec record
	for _, c := range []struct {
		nodes int
		want  string
	}{{1, "1024"}, {2, "1024"}, {20, "1280"}} { // more nodes later: the first value is the one to go back to
		rec.Nodes = make([]nodeRecord, c.nodes)
		if err := raiseSysctls(&rec, root); err != nil || value() != c.want {
			t.Errorf("%d nodes: %s, %v; want %s", c.nodes, value(), err, c.want)
		}
	}
	if err := restoreSysctls(rec, root); err != nil || value() != "128" {
		t.Errorf("put back: %s, %v", value(), err)
	}
	set("4096")
	if err := restoreSysctls(rec, root); err != nil || value() != "4096" {
		t.Errorf("somebody else's value: %s, %v", value(), err)
	}
}

func TestImageFilesMaskWhatIsShared(t *testing.T) {
	files := imageFiles("6.1", nil)
	i := slices.IndexFunc(files, func(f imageFile) bool { return f.Path == "etc/systemd/system/systemd-timesyncd.service" })
	if i < 0 || files[i].Text != "/dev/null" {
		t.Error("a node would set the machine's clock")
	}
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.Path] {
			t.Errorf("%s is written twice", f.Path)
		}
		seen[f.Path] = true
	}
}

func TestInventoryYAML(t *testing.T) {
	inv := Inventory{User: "root", Key: "/l/key", Admin: netip.MustParseAddr(HostAddress), Nodes: []Node{{Name: "n1", Address: netip.MustParseAddr("198.18.0.11"), HostKey: "ssh-ed25519 AAAA"}}}
	want := "# admin host as the nodes see it: 198.18.255.254\n# ssh key: /l/key\nnodes:\n  - name: n1\n    address: 198.18.0.11\n    ssh: { user: root, host_key: \"ssh-ed25519 AAAA\" }\n"
	if diff := cmp.Diff(want, inv.YAML()); diff != "" {
		t.Error(diff)
	}
}
