//go:build compat

// Package compat runs script roles, and the native package of the shipped roles, on real nodes, with our own daemon as the OpenCrowbar
// or Digital Rebar server that was there already. It needs root; 'make compat' runs it.
package compat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// world is a lab of nodes without a cluster.
type world struct {
	t   *testing.T
	dir string
	bin string
	lab *lab.Lab
	inv lab.Inventory

	tree string // of the package
}

// newWorld makes nodes, by name and release, in a lab of a name and network of its own.
func newWorld(t *testing.T, name, network string, specs ...lab.NodeSpec) *world {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: filepath.Join(root, ".lab-"+name), bin: filepath.Join(root, "bin")}
	prefix := netip.MustParsePrefix(network)
	w.lab, err = lab.Open(lab.Config{Dir: w.dir, Images: filepath.Join(cache(t), "images"), Name: name, Network: prefix, Packages: []string{"jq"},
		Self: []string{filepath.Join(w.bin, "kubeclamp"), "lab", "inside"}, Progress: func(p lab.Progress) {}})
	if err != nil {
		t.Fatal(err)
	}
	down := func() {
		if err := w.lab.Down(context.Background(), false); err != nil {
			t.Error(err)
		}
	}
	down()
	if os.Getenv("KUBECLAMP_KEEP") == "" {
		t.Cleanup(down)
	}
	w.must(w.lab.Up(t.Context(), specs...))
	w.inv, err = w.lab.Inventory()
	w.must(err)
	return w
}

func cache(t *testing.T) string {
	dir := os.Getenv("KUBECLAMP_CACHE")
	if dir == "" {
		t.Fatal("KUBECLAMP_CACHE is not set: run this test with 'make compat', which builds the artifacts first")
	}
	return dir
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// ssh runs a script on a node, as root.
func (w *world) ssh(node, script string) (string, error) {
	line, err := w.lab.SSH(node, script)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(w.t.Context(), line[0], line[1:]...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("on %s: %w: %s", node, err, out)
	}
	return string(out), err
}

// daemon starts kubeclampd as a server that has nothing of ours but these barclamps.
func (w *world) daemon(compat string, barclamps ...string) *client.Client {
	w.t.Helper()
	data := filepath.Join(w.t.TempDir(), "data")
	log, err := os.Create(filepath.Join(w.dir, "daemon.log"))
	w.must(err)
	args := []string{"--data-dir", data, "--listen", "127.0.0.1:0", "--role-plugin", "", "--plugin-dir", "", "--compat", compat, "--ssh-key", w.inv.Key, "--artifact-cache", filepath.Join(data, "none")}
	for _, b := range barclamps {
		args = append(args, "--barclamp", b)
	}
	cmd := exec.Command(filepath.Join(w.bin, "kubeclampd"), args...)
	cmd.Stdout, cmd.Stderr = log, log
	w.must(cmd.Start())
	w.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); log.Close() })
	w.must(role.Await(w.t.Context(), "kubeclampd to be ready", time.Minute, func(context.Context) (bool, error) {
		b, err := os.ReadFile(log.Name())
		return err == nil && strings.Contains(string(b), "msg=ready"), errors.Join(err, errors.New(string(b)))
	}))
	b, err := os.ReadFile(filepath.Join(data, "admin.json"))
	w.must(err)
	var conf client.Config
	w.must(json.Unmarshal(b, &conf))
	c, err := client.New(conf)
	w.must(err)
	return c
}

// share serves a folder on the nodes' network, as such a server's provisioner does.
func (w *world) share(dir string) (url string) {
	w.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(w.inv.Admin.String(), "0"))
	w.must(err)
	s := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(l) }()
	w.t.Cleanup(func() { _ = s.Close() })
	return "http://" + l.Addr().String()
}
