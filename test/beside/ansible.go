package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kubeclamp/kubeclamp/pkg/lab"
	"github.com/kubeclamp/kubeclamp/test/beside/work"
)

// ansible is Ansible, tuned as its documentation says: as many forks as nodes, pipelining, connections that persist, no
// gathering of facts, no search for an interpreter, output of what changes alone.
type ansible struct{ dir, strategy string }

func newAnsible(ctx context.Context, dir, strategy string, inv lab.Inventory, knownHosts string) (*ansible, error) {
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		cmd := exec.CommandContext(ctx, "apt-get", "-q", "install", "-y", "--no-install-recommends", "ansible-core")
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("install ansible-core: %w: %s", err, out)
		}
	}
	a := &ansible{dir, strategy}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var hosts strings.Builder
	hosts.WriteString("[nodes]\n")
	for _, n := range inv.Nodes {
		fmt.Fprintf(&hosts, "%s ansible_host=%s\n", n.Name, n.Address)
	}
	config := fmt.Sprintf(`[defaults]
inventory = %[1]s/hosts
remote_user = %[2]s
private_key_file = %[3]s
forks = %[4]d
strategy = %[5]s
gathering = explicit
interpreter_python = /usr/bin/python3
stdout_callback = default
display_ok_hosts = false
display_skipped_hosts = false
retry_files_enabled = false
internal_poll_interval = 0.001
deprecation_warnings = false

[ssh_connection]
pipelining = true
ssh_args = -F none -o ControlMaster=auto -o ControlPersist=60s -o PreferredAuthentications=publickey -o IdentitiesOnly=yes -o UserKnownHostsFile=%[6]s -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes
control_path_dir = %[1]s/cp
`, dir, inv.User, inv.Key, len(inv.Nodes), strategy, knownHosts)
	return a, errors.Join(
		os.WriteFile(filepath.Join(dir, "hosts"), []byte(hosts.String()), 0o600),
		os.WriteFile(filepath.Join(dir, "ansible.cfg"), []byte(config), 0o600),
		os.WriteFile(filepath.Join(dir, "play.yml"), []byte(playbook()), 0o600))
}

// playbook has one task for what is alike, with its things as a loop: this costs Ansible less than a task each.
func playbook() string {
	var b strings.Builder
	b.WriteString("- hosts: nodes\n  gather_facts: false\n  tasks:\n")
	for n := 1; n <= work.Roles; n++ {
		p := work.Of("ansible", n)
		task(&b, p.Dirs, `file: { path: "{{ item }}", state: directory, mode: "0755" }`)
		task(&b, p.Files, `copy: { dest: "{{ item.Path }}", content: "{{ item.Content }}", mode: "0644" }`)
		task(&b, p.Lines, fmt.Sprintf(`lineinfile: { path: %q, line: "{{ item }}", create: true, mode: "0644" }`, p.Shared))
		task(&b, p.Units, `copy: { dest: "{{ item.Path }}", content: "{{ item.Content }}", mode: "0644" }`)
		fmt.Fprintf(&b, "      register: units_%d\n", n)
		var names []string
		for _, u := range p.Units {
			names = append(names, path.Base(u.Path))
		}
		task(&b, names, fmt.Sprintf(`systemd: { name: "{{ item }}", state: started, enabled: true, daemon_reload: "{{ units_%d.changed }}" }`, n))
		task(&b, p.Commands, `command: { argv: [/bin/sh, -c, "{{ item.Text }}"], creates: "{{ item.Creates }}" }`)
	}
	return b.String()
}

// task does the same to each of some things. Their JSON is YAML as well.
func task[T any](b *strings.Builder, things []T, what string) {
	list, err := json.Marshal(things)
	if err != nil {
		panic(err) // strings always marshal
	}
	fmt.Fprintf(b, "    - ansible.builtin.%s\n      loop: %s\n", what, list)
}

// run runs the playbook; changed says whether it reports a change anywhere.
func (a *ansible) run(ctx context.Context) (changed bool, cmd *exec.Cmd, err error) {
	cmd = exec.CommandContext(ctx, "ansible-playbook", "play.yml")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // and its forks
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "ANSIBLE_CONFIG="+filepath.Join(a.dir, "ansible.cfg"), "ANSIBLE_LOCAL_TEMP="+filepath.Join(a.dir, "tmp"), "LC_ALL=C.UTF-8", "NO_COLOR=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return false, cmd, fmt.Errorf("ansible-playbook: %w: %s", err, last(string(out), 3000))
	}
	return strings.Contains(string(out), "changed: ["), cmd, nil
}

// close ends the connections that persist.
func (a *ansible) close() {
	sockets, _ := filepath.Glob(filepath.Join(a.dir, "cp", "*"))
	for _, s := range sockets {
		_ = exec.Command("ssh", "-F", "none", "-o", "ControlPath="+s, "-O", "exit", "x").Run()
	}
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }
