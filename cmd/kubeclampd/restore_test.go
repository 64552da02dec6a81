package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Snapshots come by themselves and are kept by count; one of them brings back what was lost, on this host and on a new one.
func TestSnapshotsAndRestore(t *testing.T) {
	dir := dataDir(t)
	p := start(t, dir, "--snapshot-every", "500ms", "--snapshot-keep", "3")
	c := p.ready(t)
	if err := c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil); err != nil {
		t.Fatal(err)
	}
	all := func() []string { l, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*")); return l }
	made := time.Now().UTC().Format(snapshotName)
	eventually(t, "three newer snapshots are there, and no more", func() bool {
		l := all()
		return len(l) == 3 && filepath.Base(l[0]) > made
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t, time.Minute); code != 0 {
		t.Fatalf("it ended with %d: %s", code, p.said.String())
	}
	last := all()[len(all())-1]
	run := func(dir string, code int, says string, args ...string) {
		t.Helper()
		p := start(t, dir, args...)
		if got := p.wait(t, time.Minute); got != code || !strings.Contains(p.said.String(), says) {
			t.Errorf("%v ended with %d: %s", args, got, p.said.String())
		}
	}
	run(dir, 1, "--replace", "restore", last)
	run(dir, 1, "no whole snapshot", "restore", filepath.Join(dir, "admin.json"), "--replace")
	run(dir, 0, "the state before it is in", "restore", last, "--replace")
	other := dataDir(t)
	run(other, 1, "put the key file back", "restore", last)
	key, err := os.ReadFile(filepath.Join(dir, "key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(other, "key"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(other, 0, "holds the state of", "restore", last)
	for _, d := range []string{dir, other} {
		var n crowbar.Node
		if err := start(t, d).ready(t).Show(t.Context(), crowbar.KindNode, "n1", &n); err != nil || n.Address != "192.0.2.9" {
			t.Errorf("after the restore: %+v %v", n, err)
		}
	}
}
