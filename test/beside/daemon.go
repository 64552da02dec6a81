package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
	"github.com/kubeclamp/kubeclamp/test/beside/work"
)

// kubeclamp is a daemon with its own data and the roles of the comparison, and the command line that asks it.
type kubeclamp struct {
	dir    string
	daemon *exec.Cmd
	ended  chan struct{}
}

// deployment is what the nodes are in.
const deployment = "beside"

func barclamp() string {
	var b strings.Builder
	b.WriteString("barclamp: { name: beside, version: \"1.0\" }\njigs:\n  - { name: ssh, class: SSH }\nroles:\n")
	for n := 1; n <= work.Roles; n++ {
		fmt.Fprintf(&b, "  - name: beside-%d\n    jig: ssh\n    flags: [implicit]\n", n)
		if n > 1 {
			fmt.Fprintf(&b, "    requires: [beside-%d]\n", n-1)
		}
	}
	return b.String()
}

func cluster(inv lab.Inventory) string {
	var b strings.Builder
	fmt.Fprintf(&b, "deployment: %s\nnodes:\n", deployment)
	for _, n := range inv.Nodes {
		fmt.Fprintf(&b, "  - name: %s\n    address: %s\n    ssh: { user: %s, host_key: %q }\n    roles: [beside-%d]\n", n.Name, n.Address, inv.User, n.HostKey, work.Roles)
	}
	return b.String()
}

// newKubeclamp builds the roles, and starts the daemon.
func newKubeclamp(ctx context.Context, dir string, inv lab.Inventory) (*kubeclamp, error) {
	k := &kubeclamp{dir: dir, ended: make(chan struct{})}
	plugins := filepath.Join(dir, "plugins")
	if err := os.MkdirAll(plugins, 0o700); err != nil {
		return nil, err
	}
	first := filepath.Join(plugins, "kubeclamp-role-beside-1")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", first, "./test/beside/role").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the roles (run from the top of the source tree): %w: %s", err, out)
	}
	for n := 2; n <= work.Roles; n++ {
		if err := os.Link(first, filepath.Join(plugins, fmt.Sprintf("kubeclamp-role-beside-%d", n))); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "barclamp.yaml"), []byte(barclamp()), 0o600), os.WriteFile(filepath.Join(dir, "cluster.yaml"), []byte(cluster(inv)), 0o600)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "daemon.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	k.daemon = exec.Command("bin/kubeclampd", "--data-dir", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--barclamp", filepath.Join(dir, "barclamp.yaml"),
		"--plugin-dir", plugins, "--artifact-cache", filepath.Join(dir, "artifacts"), "--ssh-key", inv.Key)
	k.daemon.Stdout, k.daemon.Stderr = log, log
	k.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.daemon.Start(); err != nil {
		return nil, fmt.Errorf("start kubeclampd: %w: 'make build' makes it", err)
	}
	go func() { _ = k.daemon.Wait(); close(k.ended) }()
	return k, k.ready(ctx)
}

// ready waits until the daemon answers.
func (k *kubeclamp) ready(ctx context.Context) error {
	for {
		if _, err := k.cli(ctx, "deployments", "list"); err == nil {
			return nil
		}
		select {
		case <-k.ended:
			text, _ := os.ReadFile(filepath.Join(k.dir, "daemon.log"))
			return fmt.Errorf("kubeclampd ended: %s", last(string(text), 3000))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// cli is the command line, as an operator has it.
func (k *kubeclamp) cli(ctx context.Context, words ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, "bin/kubeclamp", append([]string{"--config", filepath.Join(k.dir, "data", "admin.json")}, words...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return cmd, fmt.Errorf("kubeclamp %s: %w: %s", strings.Join(words, " "), err, last(string(out), 3000))
	}
	return cmd, nil
}

// steps reads the newest run log of every node-role: how many commands the nodes were given, and how many roles were called.
func (k *kubeclamp) steps() (commands, calls int, err error) {
	logs, err := filepath.Glob(filepath.Join(k.dir, "data", "runs", "*", "*.log"))
	if err != nil || len(logs) == 0 {
		return 0, 0, errors.Join(err, errors.New("there are no run logs"))
	}
	for _, path := range newest(logs) {
		content, err := os.ReadFile(path)
		if err != nil {
			return 0, 0, err
		}
		text := string(content)
		commands += strings.Count(text, "s exec ") + strings.Count(text, "s looked for ") + strings.Count(text, "s put ")
		if !strings.Contains(text, "s all is as at attempt ") {
			calls++
		}
	}
	return commands, calls, nil
}

// newest is the log of each node-role's last attempt: a name is NODE-ROLE-ATTEMPT.log.
func newest(logs []string) map[string]string {
	out := map[string]string{}
	for _, path := range logs {
		of, _, _ := strings.Cut(filepath.Base(path), "-")
		if best := out[of]; len(path) > len(best) || len(path) == len(best) && path > best {
			out[of] = path
		}
	}
	return out
}

func (k *kubeclamp) close() {
	if k.daemon == nil || k.daemon.Process == nil {
		return
	}
	_ = k.daemon.Process.Signal(syscall.SIGTERM)
	select {
	case <-k.ended:
	case <-time.After(20 * time.Second):
		_ = k.daemon.Process.Kill()
		<-k.ended
	}
}
