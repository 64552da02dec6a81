// Package backup keeps copies of clusters in a folder of the daemon: made whole or not at all, looked through, listed, dropped
// when there are too many. It does not know how a copy of etcd is taken, nor what is in one.
package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The files of a backup, each in the folder that has its name.
const (
	EtcdFile = "etcd.db" // in etcd's own form
	manifest = "manifest.json"
	part     = ".part" // ends the name of a folder that is not whole
)

// Why a backup was made, where it was not before a step.
const (
	Asked     = "asked"
	Scheduled = "scheduled"
)

// Config is what backups stand on.
type Config struct {
	Dir  string // made with mode 0700
	View func() *crowbar.Snapshot
	// Take has the etcd of a node-role give a copy of itself; the answer has node, version and address of the member.
	Take func(ctx context.Context, etcd crowbar.ID, to io.Writer) (crowbar.Data, error)
	// State writes the daemon's own state to a file, which must not be there, of this name.
	State     func(ctx context.Context, file string) error
	StateFile string
	// Rehearse reads a copy of etcd from the disk, restores it into a member of its own, and asks that what it has.
	Rehearse func(ctx context.Context, file string) (revision int64, keys int, err error)
	SealKeys func() []string
	Program  string
	Every    time.Duration // of scheduled ones; 0 = there are none
	Keep     int           // of a deployment, scheduled ones and ones before steps each; those that were asked for stay; 0 = 7
	Log      *slog.Logger
}

// Backups is the folder.
type Backups struct {
	Config
	mu sync.Mutex // one is made at a time
}

// Open sweeps what a daemon that was killed has left.
func Open(c Config) (*Backups, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Keep = cmp.Or(c.Keep, 7)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	cut, err := filepath.Glob(filepath.Join(c.Dir, "*"+part))
	for _, dir := range cut {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return &Backups{Config: c}, err
}

// Create makes a backup of a deployment from the first of its etcd members that gives one.
func (b *Backups) Create(ctx context.Context, deployment crowbar.ID, why string) (crowbar.Backup, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.View()
	dep := s.Deployment(deployment)
	if dep == nil {
		return crowbar.Backup{}, crowbar.Errorf(crowbar.NotFound, "back up: there is no deployment %s", deployment)
	}
	now := time.Now().UTC()
	made := crowbar.Backup{Name: dep.Name + "-" + now.Format("20060102T150405.000Z"), Deployment: dep.Name, Why: why, Made: now, Program: b.Program, Schema: crowbar.Schema}
	dir := filepath.Join(b.Dir, made.Name)
	if err := os.Mkdir(dir+part, 0o700); err != nil {
		return made, err
	}
	defer os.RemoveAll(dir + part)
	if err := b.fill(ctx, s, dep, dir+part, &made); err != nil {
		return made, fmt.Errorf("back up deployment %s: %w", dep.Name, err)
	}
	if err := errors.Join(b.note(dir+part, made), os.Rename(dir+part, dir), flush(b.Dir)); err != nil {
		return made, fmt.Errorf("back up deployment %s: %w", dep.Name, err)
	}
	b.Log.Info("backup", "name", made.Name, "why", why, "revision", made.Revision, "bytes", made.Bytes())
	return made, b.prune(dep.Name, why)
}

// fill puts the copies into the folder: etcd's first, so that every key that opens something in it is in the state.
func (b *Backups) fill(ctx context.Context, s *crowbar.Snapshot, dep *crowbar.Deployment, dir string, made *crowbar.Backup) error {
	members := members(s, dep.ID)
	if len(members) == 0 {
		return crowbar.Errorf(crowbar.Conflict, "no etcd that gives backups has been applied in it: there is nothing to back up")
	}
	file := filepath.Join(dir, EtcdFile)
	var refused []error
	for _, m := range members {
		got, err := b.take(ctx, m, file)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		made.Node, _ = got["node"].(string)
		made.Etcd, _ = got["version"].(string)
		break
	}
	if made.Node == "" {
		return errors.Join(refused...)
	}
	var err error
	if made.Revision, made.Keys, err = b.Rehearse(ctx, file); err != nil {
		return err
	}
	made.Verified = time.Now().UTC()
	if err := b.State(ctx, filepath.Join(dir, b.StateFile)); err != nil {
		return fmt.Errorf("the daemon's own state: %w", err)
	}
	made.SealKeys = b.SealKeys()
	for _, name := range []string{EtcdFile, b.StateFile} {
		f, err := sum(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		made.Files = append(made.Files, f)
	}
	return nil
}

func (b *Backups) take(ctx context.Context, etcd crowbar.ID, file string) (crowbar.Data, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	got, err := b.Take(ctx, etcd, f)
	if err == nil {
		err = f.Sync()
	}
	return got, errors.Join(err, f.Close())
}

// members is the applied node-roles of etcd in a deployment, those that serve first.
func members(s *crowbar.Snapshot, deployment crowbar.ID) []crowbar.ID {
	r := s.RoleNamed("etcd")
	if r == nil || r.Jig == "script" { // scripts of a foreign barclamp give no backup
		return nil
	}
	var well, rest []crowbar.ID
	for _, nr := range s.NodeRolesOf(deployment, r.ID) {
		switch n := s.Node(nr.Node); {
		case nr.RunCount == 0 || n == nil || !n.Alive:
		case nr.State == crowbar.Active:
			well = append(well, nr.ID)
		default:
			rest = append(rest, nr.ID)
		}
	}
	return append(well, rest...)
}

// note writes a backup's own description, whole or not at all.
func (b *Backups) note(dir string, made crowbar.Backup) error {
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, manifest+part), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return errors.Join(os.Rename(f.Name(), filepath.Join(dir, manifest)), flush(dir))
}

// prune drops the oldest of those that nobody asked for, and that are too many.
func (b *Backups) prune(deployment, why string) error {
	if why == Asked {
		return nil
	}
	all, err := b.List()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(o crowbar.Backup) bool {
		return o.Deployment != deployment || o.Why == Asked || (o.Why == Scheduled) != (why == Scheduled)
	})
	for ; len(all) > b.Keep; all = all[1:] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(b.Dir, all[0].Name)))
	}
	return err
}

// List is all backups, oldest first.
func (b *Backups) List() ([]crowbar.Backup, error) {
	entries, err := os.ReadDir(b.Dir)
	if err != nil {
		return nil, err
	}
	out := []crowbar.Backup{}
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), part) {
			continue
		}
		one, err := Read(filepath.Join(b.Dir, e.Name()))
		if err != nil {
			one = crowbar.Backup{Name: e.Name(), Problem: err.Error()}
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(x, y crowbar.Backup) int { return x.Made.Compare(y.Made) })
	return out, nil
}

// Read is what a folder says of itself; its files are not looked at.
func Read(dir string) (crowbar.Backup, error) {
	var one crowbar.Backup
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return one, crowbar.Errorf(crowbar.NotFound, "%s is no backup: it has no %s", dir, manifest)
	}
	if err != nil {
		return one, err
	}
	if err := json.Unmarshal(text, &one); err != nil {
		return one, crowbar.Errorf(crowbar.Invalid, "%s: %w", filepath.Join(dir, manifest), err)
	}
	one.Name = filepath.Base(dir)
	return one, nil
}

// find is one backup by its name, and its folder.
func (b *Backups) find(name string) (crowbar.Backup, string, error) {
	dir := filepath.Join(b.Dir, name)
	if name == "" || filepath.Base(name) != name || strings.HasPrefix(name, ".") || strings.HasSuffix(name, part) {
		return crowbar.Backup{}, "", crowbar.Errorf(crowbar.Invalid, "%q is no name of a backup: see 'kubeclamp backup list'", name)
	}
	one, err := Read(dir)
	if crowbar.KindOf(err) == crowbar.NotFound {
		err = crowbar.Errorf(crowbar.NotFound, "there is no backup %q: see 'kubeclamp backup list'", name)
	}
	return one, dir, err
}

// Delete drops a backup.
func (b *Backups) Delete(name string) error {
	_, dir, err := b.find(name)
	if err != nil && crowbar.KindOf(err) != crowbar.Invalid || dir == "" {
		return err
	}
	return errors.Join(os.RemoveAll(dir), flush(b.Dir))
}
