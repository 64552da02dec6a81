package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	labName = "kcfail"
	space   = "kubeclamp-failover" // namespace of the probes' leases
	admin   = "/etc/kubernetes/admin.conf"
)

var (
	masters = []string{"n1", "n2", "n3"}
	others  = []string{"n4", "n5"} // here the probes run
)

// site is the cluster, driven by the programs that a user has.
type site struct{ dir, network string }

func (s site) cli(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "bin/kubeclamp", args...)
	cmd.Env = append(os.Environ(), "KUBECLAMP_CONFIG="+filepath.Join(s.dir, "daemon", "admin.json"), "NO_COLOR=1")
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubeclamp %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// labArgs is a verb of the CLI's lab on this one.
func (s site) labArgs(verb string, args ...string) []string {
	return append([]string{"lab", verb, "--dir", s.dir, "--name", labName, "--network", s.network}, args...)
}

func (s site) lab(ctx context.Context, verb string, args ...string) (string, error) {
	return s.cli(ctx, nil, s.labArgs(verb, args...)...)
}

func (s site) ssh(ctx context.Context, node, script string) (string, error) {
	return s.lab(ctx, "ssh", node, script)
}

// put has a script on a node read this.
func (s site) put(ctx context.Context, node string, what io.Reader, script string) error {
	_, err := s.cli(ctx, what, s.labArgs("ssh", node, script)...)
	return err
}

func (s site) up(ctx context.Context, cache string) error {
	fmt.Fprintln(os.Stderr, "make a cluster of five nodes, three of them masters")
	_, err := s.lab(ctx, "up", "--count", "5", "--masters", "3", "--artifact-cache", filepath.Join(cache, "artifacts"), "--image-cache", filepath.Join(cache, "images"))
	return err
}

func (s site) down(ctx context.Context) error {
	if _, err := s.lab(ctx, "down"); err != nil {
		return err
	}
	return os.RemoveAll(s.dir)
}

// probe is the program on one node.
type probe struct {
	node string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *json.Decoder
}

func (p *probe) stop() {
	_ = p.in.Close() // it ends with its input
	_ = p.cmd.Wait()
}

// probes puts the probe on each node that is no master, and starts it.
func (s site) probes(ctx context.Context) ([]*probe, error) {
	program := filepath.Join(s.dir, "probe")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./test/failover/probe").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the probe: %w\n%s", err, out)
	}
	conf, err := s.cli(ctx, nil, "kubeconfig")
	if err != nil {
		return nil, err
	}
	pool, err := s.pool(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.ssh(ctx, masters[0], "kubectl --kubeconfig "+admin+" create namespace "+space+" --dry-run=client -o yaml | kubectl --kubeconfig "+admin+" apply -f -"); err != nil {
		return nil, err
	}
	var all []*probe
	for _, n := range others {
		body, err := os.Open(program)
		if err != nil {
			return nil, err
		}
		err = s.put(ctx, n, body, "cat > /root/probe.new && chmod 700 /root/probe.new && mv /root/probe.new /root/probe")
		body.Close()
		if err != nil {
			return nil, err
		}
		if err := s.put(ctx, n, strings.NewReader(conf), "umask 077; cat > /root/kubeconfig"); err != nil {
			return nil, err
		}
		p, err := s.startProbe(ctx, n, pool)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// pool is the pool's name and a name server that no loss of a master takes away.
func (s site) pool(ctx context.Context) ([2]string, error) {
	text, err := s.ssh(ctx, others[0], "cat /etc/kubernetes/lb.json")
	if err != nil {
		return [2]string{}, err
	}
	var conf struct {
		Pool        string
		NameServers []string `json:"name_servers"`
	}
	if err := json.Unmarshal([]byte(text), &conf); err != nil {
		return [2]string{}, err
	}
	address, err := s.ssh(ctx, others[len(others)-1], "hostname -I")
	if err != nil {
		return [2]string{}, err
	}
	for _, ns := range conf.NameServers {
		for _, own := range strings.Fields(address) {
			if strings.HasPrefix(ns, own+":") {
				return [2]string{conf.Pool, ns}, nil
			}
		}
	}
	return [2]string{}, fmt.Errorf("none of the name servers %v is on %s", conf.NameServers, others[len(others)-1])
}

func (s site) startProbe(ctx context.Context, node string, pool [2]string) (*probe, error) {
	script := fmt.Sprintf("exec /root/probe -kubeconfig /root/kubeconfig -pool %s -name-server %s -namespace %s -lease %s", pool[0], pool[1], space, node)
	cmd := exec.CommandContext(ctx, "bin/kubeclamp", s.labArgs("ssh", node, script)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr, cmd.WaitDelay = os.Stderr, 5*time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &probe{node: node, cmd: cmd, in: in, out: json.NewDecoder(out)}, nil
}
