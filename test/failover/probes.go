package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

const space = "kubeclamp-failover" // namespace of the probes' leases

var (
	masters = []string{"n1", "n2", "n3"}
	others  = []string{"n4", "n5"} // here the probes run
)

// trial is a cluster whose masters are lost.
type trial struct{ site.Cluster }

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
func (s trial) probes(ctx context.Context) ([]*probe, error) {
	program := filepath.Join(s.Dir, "probe")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "./test/failover/probe").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the probe: %w\n%s", err, out)
	}
	conf, err := s.CLI(ctx, nil, "kubeconfig")
	if err != nil {
		return nil, err
	}
	pool, err := s.pool(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.SSH(ctx, masters[0], "kubectl --kubeconfig "+site.Admin+" create namespace "+space+" --dry-run=client -o yaml | kubectl --kubeconfig "+site.Admin+" apply -f -"); err != nil {
		return nil, err
	}
	var all []*probe
	for _, n := range others {
		body, err := os.Open(program)
		if err != nil {
			return nil, err
		}
		err = s.Put(ctx, n, body, "cat > /root/probe.new && chmod 700 /root/probe.new && mv /root/probe.new /root/probe")
		body.Close()
		if err != nil {
			return nil, err
		}
		if err := s.Put(ctx, n, strings.NewReader(conf), "umask 077; cat > /root/kubeconfig"); err != nil {
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
func (s trial) pool(ctx context.Context) ([2]string, error) {
	text, err := s.SSH(ctx, others[0], "cat /etc/kubernetes/lb.json")
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
	address, err := s.SSH(ctx, others[len(others)-1], "hostname -I")
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

func (s trial) startProbe(ctx context.Context, node string, pool [2]string) (*probe, error) {
	script := fmt.Sprintf("exec /root/probe -kubeconfig /root/kubeconfig -pool %s -name-server %s -namespace %s -lease %s", pool[0], pool[1], space, node)
	cmd := s.Command(ctx, s.LabArgs("ssh", node, script)...)
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
