package docker

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

const answers = "docker=29.8.0\ncontainerd=v2.4.2\n"

func attribs(more crowbar.Data) crowbar.Data {
	d := crowbar.Data{"docker-source": "catalogue", "docker-data-root": "/var/lib/docker", "docker-registry-mirrors": []any{}, "docker-sandbox-image": "kubeclamp.internal/pause:1"}
	for k, v := range more {
		d[k] = v
	}
	return d
}

func node(more crowbar.Data) roletest.Make {
	return func(n *roletest.Node) role.Target {
		n.Probe["versions"] = answers
		n.Brings["docker.io"] = []string{"docker.service", "docker.socket"}
		n.Brings["containerd"] = []string{"containerd.service"}
		n.Handle = func(*roletest.Node, jig.Cmd) jig.Exit { return jig.Exit{Stdout: []byte(answers)} }
		return n.Target(attribs(more))
	}
}

func TestSuite(t *testing.T) {
	for name, more := range map[string]crowbar.Data{
		"catalogue":    nil,
		"distribution": {"docker-source": "distribution"},
		"mirrors":      {"docker-registry-mirrors": []any{"https://mirror.example"}},
	} {
		t.Run(name, func(t *testing.T) { roletest.Suite(t, node(more), New()) })
	}
}

func TestWall(t *testing.T) {
	n := roletest.NewNode()
	on := node(nil)(n)
	want := crowbar.Data{"docker-engine-version": "29.8.0", "containerd-version": "v2.4.2"}
	for range 2 {
		res := roletest.Apply(t, New(), on)
		if res.Wall["docker-engine-version"] != want["docker-engine-version"] || res.Wall["containerd-version"] != want["containerd-version"] {
			t.Fatalf("wall %v, want %v", res.Wall, want)
		}
	}
}

func TestRestartsOnlyWhatChanged(t *testing.T) {
	n := roletest.NewNode()
	roletest.Apply(t, New(), node(nil)(n))
	d, c := n.Units["docker.service"], n.Units["containerd.service"]
	roletest.Apply(t, New(), node(crowbar.Data{"docker-data-root": "/srv/docker"})(n))
	if d.Starts != 2 || c.Starts != 1 {
		t.Fatalf("data root changed: Docker started %d times, containerd %d; want 2 and 1", d.Starts, c.Starts)
	}
	roletest.Apply(t, New(), node(crowbar.Data{"docker-data-root": "/srv/docker", "docker-sandbox-image": "x/y:1"})(n))
	if d.Starts != 2 || c.Starts != 2 {
		t.Fatalf("sandbox image changed: Docker started %d times, containerd %d; want 2 and 2", d.Starts, c.Starts)
	}
	roletest.Apply(t, New(), node(crowbar.Data{"docker-data-root": "/srv/docker", "docker-sandbox-image": "x/y:1", "docker-source": "distribution"})(n))
	if d.Starts != 3 || c.Starts != 3 || n.Files["/usr/local/bin/dockerd"] != nil {
		t.Fatalf("other source: Docker started %d times, containerd %d; want 3 and 3, and the catalogue's binary gone", d.Starts, c.Starts)
	}
}

func TestCgroupDriver(t *testing.T) {
	c, err := decode(attribs(nil))
	if err != nil {
		t.Fatal(err)
	}
	for cgroup, want := range map[int]string{1: "cgroupfs", 2: "systemd"} {
		var d struct {
			Opts []string `json:"exec-opts"`
		}
		if err := json.Unmarshal([]byte(dockerConfig(c, cgroup)), &d); err != nil {
			t.Fatal(err)
		}
		line := "SystemdCgroup = " + map[int]string{1: "false", 2: "true"}[cgroup]
		if d.Opts[0] != "native.cgroupdriver="+want || !strings.Contains(containerdConfig(c, cgroup), line) {
			t.Errorf("cgroup v%d: %v", cgroup, d.Opts)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, more := range map[string]crowbar.Data{
		"source":    {"docker-source": "apt"},
		"data root": {"docker-data-root": "docker"},
		"mirror":    {"docker-registry-mirrors": []any{"mirror.example"}},
		"sandbox":   {"docker-sandbox-image": ""},
		"type":      {"docker-registry-mirrors": "x"},
	} {
		if _, err := decode(attribs(more)); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	if v, err := parse(answers); err != nil || v != (version{"29.8.0", "v2.4.2"}) {
		t.Errorf("%v %v", v, err)
	}
	for _, bad := range []string{"", "docker=Cannot connect to the daemon\ncontainerd=v2\n", "docker=29\ncontainerd=error: ctr: not found\n"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q is taken for an answer", bad)
		}
	}
}
