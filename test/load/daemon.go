package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const fleet = "fleet"

// daemon is a kubeclampd in a process of its own.
type daemon struct {
	cmd   *exec.Cmd
	log   string
	conf  client.Config
	admin *client.Client
}

// start runs a daemon on a new state, with a barclamp of roles that do nothing.
func start(ctx context.Context, o options, dir string) (*daemon, error) {
	if o.programs == "" {
		o.programs = dir
		if said, err := exec.CommandContext(ctx, "go", "build", "-o", dir+"/", "./cmd/kubeclampd", "./cmd/kubeclamp-role").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build the daemon: %w\n%s", err, said)
		}
	}
	file := filepath.Join(dir, "barclamp.yaml")
	if err := os.WriteFile(file, barclamp(o.roles), 0o600); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	d := &daemon{log: filepath.Join(dir, "log")}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(o.programs, "kubeclampd"), "--data-dir", data, "--listen", "127.0.0.1:0", "--role-plugin", filepath.Join(o.programs, "kubeclamp-role"),
		"--plugin-dir", "", "--barclamp", file, "--artifact-cache", filepath.Join(dir, "cache"), "--parallel", "128")
	d.cmd.Stderr = log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := d.ready(ctx, data); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// barclamp has a chain of implicit roles, and one that is bound.
func barclamp(roles int) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, "barclamp: { name: load }\ncrowbar: { layout: 2.0 }\njigs: [{ name: noop, class: Noop }]\nroles:")
	for i := range roles - 1 {
		fmt.Fprintf(&b, "  - { name: step%02d, jig: noop, flags: [implicit]", i)
		if i > 0 {
			fmt.Fprintf(&b, ", requires: [step%02d]", i-1)
		}
		fmt.Fprintf(&b, ", attribs: [{ name: load-%02d, map: load/%02d, default: value, schema: { type: str } }] }\n", i, i)
	}
	fmt.Fprintf(&b, "  - { name: worker, jig: noop, requires: [step%02d], peers: [] }\n", roles-2)
	return b.Bytes()
}

// ready waits until the daemon answers.
func (d *daemon) ready(ctx context.Context, data string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		said, err := os.ReadFile(d.log)
		if err != nil {
			return err
		}
		if strings.Contains(string(said), "msg=ready") {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the daemon is not ready; it said:\n%s", said)
		}
	}
	b, err := os.ReadFile(filepath.Join(data, "admin.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &d.conf); err != nil {
		return err
	}
	d.admin, err = client.New(d.conf)
	return err
}

// populate makes the fleet, and waits until everything on it is active.
func (d *daemon) populate(ctx context.Context, o options) (time.Duration, error) {
	began := time.Now()
	doc := crowbar.Cluster{Deployment: fleet}
	for i := range o.nodes {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: nodeName(i), Address: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), Jig: "noop", Roles: []string{"worker"}})
	}
	if err := d.admin.Apply(ctx, doc, false); err != nil {
		return 0, err
	}
	for {
		var now struct {
			State int `json:"state"`
		}
		if err := d.admin.Show(ctx, crowbar.KindDeployment, fleet, &now); err != nil {
			return 0, err
		}
		switch now.State {
		case -1:
			return 0, fmt.Errorf("a node-role is in error")
		case 2: // active
			return time.Since(began), nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func nodeName(i int) string { return fmt.Sprintf("n%05d.load.internal", i) }

func (d *daemon) stop() error {
	_ = d.cmd.Process.Signal(os.Interrupt)
	late := time.AfterFunc(30*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer late.Stop()
	if err := d.cmd.Wait(); err != nil {
		said, _ := os.ReadFile(d.log)
		return fmt.Errorf("the daemon ended badly: %w; it said:\n%s", err, said[max(0, len(said)-4000):])
	}
	return nil
}
