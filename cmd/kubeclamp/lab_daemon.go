package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// labDaemon is the daemon of a lab: its data, and how it is started and stopped.
type labDaemon struct {
	dir       string // of the lab
	artifacts string // cache of the catalogue
	key       string // ssh key of the nodes
	address   string // this machine's on the nodes' network; the pool's name is answered there
}

func (d labDaemon) data() string    { return filepath.Join(d.dir, "daemon") }
func (d labDaemon) pidFile() string { return filepath.Join(d.dir, "daemon.pid") }

// start starts kubeclampd in the background unless it runs, and waits until it answers.
func (d labDaemon) start(ctx context.Context) (*client.Client, error) {
	spawned := false
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last error
	for {
		c, err := d.client()
		if err == nil {
			var all []crowbar.Deployment
			if err = c.List(limit, crowbar.KindDeployment, &all); err == nil {
				return c, nil
			}
		}
		last = err
		// The one that was there at first may just have been on its way out.
		switch gone := d.pid() == 0; {
		case gone && spawned:
			return nil, fmt.Errorf("kubeclampd ended right after its start; its log is %s:\n%s", d.log(), tail(d.log(), 15))
		case gone:
			if err := d.spawn(); err != nil {
				return nil, err
			}
			spawned = true
		}
		select {
		case <-limit.Done():
			return nil, fmt.Errorf("waited a minute for kubeclampd to answer: %w; its log is %s", last, d.log())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (d labDaemon) log() string { return filepath.Join(d.dir, "daemon.log") }

func (d labDaemon) spawn() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.data(), 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(d.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(filepath.Dir(self), "kubeclampd"), "--data-dir", d.data(), "--listen", "127.0.0.1:3443",
		"--dns-listen", d.address+":53", "--ssh-key", d.key, "--artifact-cache", d.artifacts)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start kubeclampd: %w; 'make build' makes it", err)
	}
	if err := os.WriteFile(d.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // so that pid() sees it end
	return nil
}

// pid is the running daemon's, 0 if there is none; a pid that was reused by another program does not count.
func (d labDaemon) pid() int {
	b, err := os.ReadFile(d.pidFile())
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(args), d.data()) {
		return 0
	}
	return pid
}

// stop ends the daemon, kindly first.
func (d labDaemon) stop(ctx context.Context) error {
	pid := d.pid()
	if pid == 0 {
		return nil
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	limit, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for d.pid() != 0 {
		select {
		case <-limit.Done():
			return syscall.Kill(pid, syscall.SIGKILL)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// document is the cluster.yaml that the lab's cluster was made from.
func (d labDaemon) document() string { return filepath.Join(d.dir, "cluster.yaml") }

func (d labDaemon) client() (*client.Client, error) {
	b, err := os.ReadFile(d.admin())
	if err != nil {
		return nil, err
	}
	var conf client.Config
	if err := json.Unmarshal(b, &conf); err != nil {
		return nil, err
	}
	return client.New(conf)
}

// admin is the file with endpoint, token and ca that the daemon writes at its first start.
func (d labDaemon) admin() string { return filepath.Join(d.data(), "admin.json") }

func tail(file string, lines int) string {
	b, _ := os.ReadFile(file)
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// remember keeps what a later 'lab daemon' needs.
func (d labDaemon) remember() error {
	if err := os.MkdirAll(d.data(), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(map[string]string{"artifacts": d.artifacts, "key": d.key, "address": d.address})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, "daemon.json"), b, 0o600)
}

func rememberedDaemon(l *lab.Lab) (labDaemon, error) {
	d := labDaemon{dir: l.Dir()}
	b, err := os.ReadFile(filepath.Join(d.dir, "daemon.json"))
	if err != nil {
		return d, crowbar.Errorf(crowbar.NotFound, "there is no cluster in the lab of %s: 'kubeclamp lab up' makes one", d.dir)
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return d, err
	}
	d.artifacts, d.key, d.address = m["artifacts"], m["key"], m["address"]
	return d, nil
}
