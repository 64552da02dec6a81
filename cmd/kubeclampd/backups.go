package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/backup"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// The file of a backup in which the daemon's own state is: a snapshot of the embedded etcd, or an export of a shared one.
const (
	stateSnapshot = "state.db"
	stateExport   = "state.jsonl"
)

func backupsDir(c *config) string { return filepath.Join(c.dataDir, "backups") }

// openBackups is the backups in the data folder; how a copy of a cluster's etcd is taken is told by act, once there is one.
func openBackups(c *config, st *state, eng *engine.Engine, act func() *annealer.Annealer) (*backup.Backups, error) {
	conf := backup.Config{
		Dir: backupsDir(c), View: eng.View, StateFile: stateExport, Program: version(), Every: c.backupEvery, Keep: c.backupKeep, Log: c.log,
		Take: func(ctx context.Context, etcd crowbar.ID, to io.Writer) (crowbar.Data, error) {
			w, err := eng.Acting(ctx, etcd)
			if err != nil {
				return nil, err
			}
			return act().Act(ctx, w, role.Action{Name: "snapshot", Out: to})
		},
		State: func(ctx context.Context, file string) error { return export(ctx, eng, file) },
		Rehearse: func(ctx context.Context, file string) (int64, int, error) {
			got, err := embedded.Rehearse(ctx, file, c.log)
			return got.Revision, got.Keys, err
		},
		SealKeys: func() []string {
			var ids []string
			for _, k := range eng.SealStatus().Keys {
				if k.Values > 0 {
					ids = append(ids, k.ID)
				}
			}
			return ids
		},
	}
	if st.near != nil {
		conf.StateFile = stateSnapshot
		conf.State = func(ctx context.Context, file string) error {
			_, err := st.near.Snapshot(ctx, file)
			return err
		}
	}
	return backup.Open(conf)
}

func export(ctx context.Context, eng *engine.Engine, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := eng.ExportState(ctx, f); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// acting has a role do one of its actions; what comes out of it as a stream is for nobody.
func acting(eng *engine.Engine, ann *annealer.Annealer) func(context.Context, crowbar.ID, string, crowbar.Data) (crowbar.Data, error) {
	return func(ctx context.Context, id crowbar.ID, action string, args crowbar.Data) (crowbar.Data, error) {
		w, err := eng.Acting(ctx, id)
		if err != nil {
			return nil, err
		}
		return ann.Do(ctx, w, action, args)
	}
}
