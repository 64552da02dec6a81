package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// state is what the runs share; one run at a time holds it.
type state struct {
	dir  string
	lock *os.File
	pki  *pki.PKI

	HostKeys map[string]string                      `json:"host_keys"` // address -> key
	Peers    []crowbar.Peer                         `json:"peers"`     // every node-role applied so far
	Secrets  []*crowbar.Secret                      `json:"secrets"`
	Hashes   map[string]map[string]crowbar.Artifact `json:"hashes,omitempty"` // artifact file -> size and mtime -> what it is
}

const deployment crowbar.ID = 1

func openState(dir string) (*state, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		fmt.Fprintf(os.Stderr, "live: waiting for another run that holds %s (use -state for a cluster of your own)\n", dir)
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
			return nil, err
		}
	}
	st := &state{dir: dir, lock: lock, HostKeys: map[string]string{}, Hashes: map[string]map[string]crowbar.Artifact{}}
	text, err := os.ReadFile(st.path())
	if err == nil {
		err = json.Unmarshal(text, st)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ring, err := pki.OpenRing(filepath.Join(dir, "sealing.key"), true)
	if err != nil {
		return nil, err
	}
	st.pki = pki.Over(ring)
	return st, nil
}

func (s *state) path() string { return filepath.Join(s.dir, "state.json") }

func (s *state) close() { s.lock.Close() }

func (s *state) save() error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	tmp := s.path() + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, s.path())
}

// snapshot is just enough state for package pki: a deployment and its secrets.
func (s *state) snapshot() *crowbar.Snapshot {
	changes := []crowbar.Change{{Put: &crowbar.Deployment{ID: deployment, Name: "live"}}}
	for _, sec := range s.Secrets {
		changes = append(changes, crowbar.Change{Put: sec})
	}
	return crowbar.NewSnapshot().Apply(1, changes...)
}

func (s *state) compute(w crowbar.Computed) (any, error) {
	w.Deployment = deployment
	v, changes, err := s.pki.Value(s.snapshot(), w)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		sec, ok := c.Put.(*crowbar.Secret)
		if !ok {
			continue
		}
		s.Secrets = slices.DeleteFunc(s.Secrets, func(o *crowbar.Secret) bool { return o.ID == sec.ID || o.Name == sec.Name })
		s.Secrets = append(s.Secrets, sec)
	}
	return v, s.save()
}

func (s *state) peer(role, node string) *crowbar.Peer {
	for i := range s.Peers {
		if s.Peers[i].Role == role && s.Peers[i].Node == node {
			return &s.Peers[i]
		}
	}
	return nil
}

func (s *state) applied(name, node string, on role.Target, wall crowbar.Data) error {
	_ = s.drop(name, node)
	s.Peers = append(s.Peers, crowbar.Peer{Role: name, Node: node, Address: on.Address, State: crowbar.Active, Settled: true, First: on.First, Alive: true, Wall: wall})
	slices.SortFunc(s.Peers, func(a, b crowbar.Peer) int {
		return cmp.Or(strings.Compare(a.Role, b.Role), strings.Compare(a.Node, b.Node))
	})
	return s.save()
}

func (s *state) forget(name, node string) error {
	s.drop(name, node)
	return s.save()
}

func (s *state) drop(name, node string) bool {
	n := len(s.Peers)
	s.Peers = slices.DeleteFunc(s.Peers, func(p crowbar.Peer) bool { return p.Role == name && p.Node == node })
	return len(s.Peers) < n
}
