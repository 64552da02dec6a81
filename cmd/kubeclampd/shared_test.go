package main

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// externalEtcd is a one-member etcd that listens on this machine alone.
func externalEtcd(t *testing.T) string {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir, cfg.LogLevel, cfg.UnsafeNoFsync = t.TempDir(), "error", true
	any, _ := url.Parse("http://127.0.0.1:0")
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{*any}, []url.URL{*any}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	<-e.Server.ReadyNotify()
	return "http://" + e.Clients[0].Addr().String()
}

func list(t *testing.T, c *client.Client) []crowbar.Daemon {
	t.Helper()
	var all []crowbar.Daemon
	if err := c.List(t.Context(), crowbar.KindDaemon, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Two daemons on one etcd: one token and authority for both, each sees what the other does, and when the leader dies without
// a word the other one leads.
func TestTwoDaemons(t *testing.T) {
	etcd := externalEtcd(t)
	key := filepath.Join(t.TempDir(), "key")
	began := func(name string) (*process, *client.Client) {
		p := start(t, dataDir(t), "--etcd-endpoints", etcd, "--name", name, "--seal-key", key)
		return p, p.ready(t)
	}
	a, first := began("a")
	b, second := began("b")
	var conf [2]client.Config
	for i, p := range []*process{a, b} {
		text, err := os.ReadFile(filepath.Join(p.dir, "admin.json"))
		if err != nil || json.Unmarshal(text, &conf[i]) != nil {
			t.Fatal(err)
		}
	}
	if conf[0].Token != conf[1].Token || conf[0].CA != conf[1].CA || conf[0].Endpoint == conf[1].Endpoint {
		t.Error("token and authority differ, or the endpoint does not")
	}
	if err := first.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other one has the node", func() bool {
		return second.Show(t.Context(), crowbar.KindNode, "n1", &crowbar.Node{}) == nil
	})
	leads := func(name string) func(crowbar.Daemon) bool {
		return func(d crowbar.Daemon) bool { return d.Name == name && d.Leader && d.Endpoint != "" }
	}
	eventually(t, "two are there and the first leads", func() bool {
		all := list(t, second)
		return len(all) == 2 && slices.ContainsFunc(all, leads("a"))
	})
	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second is alone and leads", func() bool {
		all := list(t, second)
		return len(all) == 1 && leads("b")(all[0])
	})
	// A daemon that stood still for longer than its lease ends by itself and says why.
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(7 * time.Second) // the lease is 5 s: nothing can be awaited of a process that stands still
	if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := b.wait(t, time.Minute); code != 1 || !strings.Contains(b.said.String(), "registration") {
		t.Errorf("it ended with %d: %s", code, b.said.String())
	}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

// A wrong key, and a second daemon on the same folder, are refused before they can do harm.
func TestSharedRefusals(t *testing.T) {
	etcd := externalEtcd(t)
	p := start(t, dataDir(t), "--etcd-endpoints", etcd, "--name", "a")
	p.ready(t)
	for says, flags := range map[string][]string{
		"sealing key":           {"--etcd-endpoints", etcd, "--name", "b"},
		"in use by another":     {"--etcd-endpoints", etcd, "--name", "b", "--data-dir", p.dir},
		"without TLS":           {"--etcd-endpoints", "http://192.0.2.7:2379"},
		"go with --etcd-endpoi": {"--etcd-ca", "x"},
	} {
		second := start(t, dataDir(t), flags...)
		if code := second.wait(t, time.Minute); code != 1 || !strings.Contains(second.said.String(), says) {
			t.Errorf("%v ended with %d: %s", flags, code, second.said.String())
		}
	}
}
