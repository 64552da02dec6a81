//go:build robustness

package three

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The network: one bridge for nodes and API, one for etcd; this process stands on both, and is all nodes.
const (
	lan   = "10.66.0." // this process is .1, daemon i is .(20+i)
	db    = "10.67.0." // this process is .1, member i is .(10+i), daemon i is .(20+i)
	field = "10.68."   // the nodes
)

func ip(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command("ip", argv...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

func buildNetwork(t *testing.T) {
	ip(t, "link", "set", "lo", "up")
	for name, addr := range map[string]string{"lan": lan, "db": db} {
		ip(t, "link", "add", name, "type", "bridge")
		ip(t, "addr", "add", addr+"1/24", "dev", name)
		ip(t, "link", "set", name, "up")
	}
	ip(t, "route", "add", "local", field+"0.0/16", "dev", "lo")
}

// place is a network namespace with its links; what runs in it can be cut off.
type place struct {
	t    *testing.T
	name string
	pid  string
	on   []string // bridges
}

func newPlace(t *testing.T, name, number string, bridges ...string) *place {
	t.Helper()
	hold := exec.Command("/proc/self/exe")
	hold.Env = append(os.Environ(), "ROBUSTNESS_HOLD=1")
	hold.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hold.Process.Kill(); _ = hold.Wait() })
	p := &place{t, name, strconv.Itoa(hold.Process.Pid), bridges}
	p.ip("link", "set", "lo", "up")
	for _, b := range bridges {
		end := p.port(b)
		ip(t, "link", "add", end, "type", "veth", "peer", "name", b, "netns", p.pid)
		ip(t, "link", "set", end, "master", b, "up")
		p.ip("addr", "add", map[string]string{"lan": lan, "db": db}[b]+number+"/24", "dev", b)
		p.ip("link", "set", b, "up")
		if b == "lan" {
			p.ip("route", "add", "default", "via", lan+"1")
		}
	}
	return p
}

func (p *place) port(bridge string) string { return p.name + bridge }

func (p *place) ip(argv ...string) {
	p.t.Helper()
	if out, err := p.in("ip", argv...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: ip %v: %v: %s", p.name, argv, err, out)
	}
}

// in is a command inside.
func (p *place) in(name string, argv ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"-t", p.pid, "-n", name}, argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// cut takes the place off bridges: what it sends is lost without a word, and nothing comes.
func (p *place) cut(bridges ...string) {
	for _, b := range bridges {
		ip(p.t, "link", "set", p.port(b), "nomaster")
	}
}

func (p *place) heal() {
	for _, b := range p.on {
		ip(p.t, "link", "set", p.port(b), "master", b)
	}
}

func nodeAddress(i int) string { return fmt.Sprintf("%s%d.%d", field, 1+i/200, 1+i%200) }
