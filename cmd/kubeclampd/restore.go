package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/backup"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// restoreCommand brings a snapshot back.
func restoreCommand(c *config) *cobra.Command {
	var replace bool
	cmd := &cobra.Command{Use: "restore SNAPSHOT|BACKUP", Short: "Make DATADIR hold the state of a snapshot or a backup",
		Long: `Make DATADIR hold the state of a snapshot, as the daemon puts them into DATADIR/snapshots, or as etcd's own tools make them;
or of a backup, which is the folder that 'kubeclamp backup create' makes in DATADIR/backups. Its copy of the cluster's etcd is put
into DATADIR/backups as well: then 'kubeclamp restore' can bring the cluster back.
The daemon must be stopped. Killed in the middle, it leaves the old state or the whole new one.

The keys that sealed the snapshot's secrets must be in the key file (DATADIR/key, or --seal-key). Runs that were under way
then are lost, and everything runs in full the next time, because the nodes may have gone on since: see 'kubeclamp drift'.

The state of an etcd cluster that several daemons share is restored by etcd's own tools, or by 'kubeclamp state import'.`,
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			if c.shared() {
				return crowbar.Errorf(crowbar.Invalid, "restore is for the embedded etcd: restore the cluster at --etcd-endpoints by etcd's own tools, or start on an empty one and use 'kubeclamp state import'")
			}
			file, err := stateOf(args[0])
			if err != nil {
				return err
			}
			aside, err := embedded.Restore(cmd.Context(), embedded.Config{Dir: filepath.Join(c.dataDir, "etcd"), Log: c.log}, file, replace,
				func(ctx context.Context, conf store.Config) error { return settle(ctx, c, conf) })
			if err != nil {
				return err
			}
			if file != args[0] {
				if err := backup.Take(args[0], backupsDir(c)); err != nil {
					return err
				}
			}
			cmd.Printf("%s holds the state of %s\n", c.dataDir, args[0])
			if aside != "" {
				cmd.Printf("the state before it is in %s: remove it when it is not needed any more\n", aside)
			}
			return nil
		}}
	cmd.Flags().BoolVar(&replace, "replace", false, "also where there is a state; it is moved aside")
	return cmd
}

// stateOf is the file with the daemon's state: a snapshot itself, or the one in a backup that is whole.
func stateOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, err
	}
	one, err := backup.Read(path)
	if err != nil {
		return "", err
	}
	if err := backup.Whole(path, one); err != nil {
		return "", err
	}
	if !slices.ContainsFunc(one.Files, func(f crowbar.BackupFile) bool { return f.Name == stateSnapshot }) {
		return "", crowbar.Errorf(crowbar.Invalid, "backup %s is of daemons that share a state: it has no snapshot of an embedded etcd; start a daemon and use 'kubeclamp state import %s'", one.Name, filepath.Join(path, stateExport))
	}
	return filepath.Join(path, stateSnapshot), nil
}

// settle makes a restored state one to go on from, and refuses one whose secrets could not be opened here.
func settle(ctx context.Context, c *config, conf store.Config) error {
	conf.Log, conf.Program = c.log, version()
	s, err := store.Open(ctx, conf)
	if err != nil {
		return err
	}
	defer s.Close()
	owner := "restore-" + random(8)
	if _, err := s.Hold(ctx, crowbar.Daemon{Owner: owner, Name: "restore"}); err != nil {
		return err
	}
	eng, err := newEngine(c, s, owner)
	if err != nil {
		return err
	}
	return eng.Leap(ctx)
}
