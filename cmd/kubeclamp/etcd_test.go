package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/backup"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// fakeEtcd is the members of etcd as their nodes tell of them. The later a node's name sorts, the more its member has.
type fakeEtcd struct {
	r     *rehearsal
	mu    sync.Mutex
	lost  bool     // the quorum is
	acted []string // "ACTION NODE" of what changes something
}

// lose takes the quorum away. The same again, with words, wants that just those actions have been done.
func (f *fakeEtcd) lose(ts *testscript.TestScript, _ bool, want []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(want) > 0 && strings.Join(want, ", ") != strings.Join(f.acted, ", ") {
		ts.Fatalf("done was %q", f.acted)
	}
	f.lost = true
}

func (f *fakeEtcd) act(_ context.Context, id crowbar.ID, action string, _ crowbar.Data) (crowbar.Data, error) {
	s := f.r.engine.View()
	node := s.Node(s.NodeRole(id).Node).Short()
	f.r.mu.Lock()
	dark := f.r.dark[node]
	f.r.mu.Unlock()
	if dark {
		return nil, crowbar.Errorf(crowbar.Unavailable, "connect to %s: no route to host", node)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if action != "look" {
		f.acted = append(f.acted, action+" "+node)
		f.lost = f.lost && action != "revive"
	}
	return crowbar.Data{"node": node, "running": true, "quorum": !f.lost, "data": true, "version": "3.7.3", "revision": 100, "term": 2, "index": 100 + int(node[1])}, nil
}

// with gives an API this etcd, and backups that cannot be made.
func (f *fakeEtcd) with(dir string) (func(*api.Config), error) {
	b, err := backup.Open(backup.Config{Dir: filepath.Join(dir, "backups"), View: func() *crowbar.Snapshot { return f.r.engine.View() }, Take: func(context.Context, crowbar.ID, io.Writer) (crowbar.Data, error) {
		return nil, errors.New("nobody gives a copy here")
	}})
	return func(c *api.Config) { c.Act, c.Backups = f.act, b }, err
}
