package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// adminCommand is for whoever sits at the daemon's host and is locked out.
func adminCommand(c *config) *cobra.Command {
	cmd := &cobra.Command{Use: "admin", Short: "The administrator's ways in", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var token bool
	reset := &cobra.Command{Use: "reset [USER]", Short: "Give an administrator a new password, and let them in again",
		Long: `Give an administrator a new password, which is printed once, and let them in again where they were locked. USER (default: crowbar) is
made where there is none of that name. Their sessions end; other users and tokens stay as they are.

With --token the token of DATADIR/admin.json is made anew as well: whoever has a copy of the old one is out, and all sessions end.

It needs the files of the daemon (DATADIR and the key file) and, without --etcd-endpoints, that the daemon is stopped. While it runs,
'kubeclamp --config DATADIR/admin.json users password USER' does the same. After --token, daemons that share a state must be started again.`,
		Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			name := firstUser
			if len(args) == 1 {
				name = args[0]
			}
			password, err := reset(cmd.Context(), c, name, token)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s:%s\n", name, password)
			return nil
		}}
	reset.Flags().BoolVar(&token, "token", false, "make the token of DATADIR/admin.json anew, too")
	cmd.AddCommand(reset)
	return cmd
}

func reset(ctx context.Context, c *config, name string, token bool) (password string, err error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	st, err := openState(limited, c)
	if crowbar.KindOf(err) == crowbar.Conflict {
		return "", fmt.Errorf("%w; while it runs, say: kubeclamp --config %s users password %s", err, c.adminFile(), name)
	}
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	ctx, release, err := st.hold(ctx, c)
	if err != nil {
		return "", err
	}
	defer release()
	eng, err := newEngine(c, st.Store, st.me.Owner)
	if err != nil {
		return "", err
	}
	password = random(16)
	if err := admit(ctx, eng, name, password); err != nil {
		return "", err
	}
	if token {
		err = newToken(ctx, c, eng)
	}
	return password, err
}

// admit makes sure that there is an administrator of this name who may sign in with this password, and that it is on record.
func admit(ctx context.Context, eng *engine.Engine, name, password string) error {
	seq, err := eng.Audit(ctx, crowbar.AuditRecord{Who: "root of the daemon's host", Via: "kubeclampd admin reset", Method: "RESET", Object: "users/" + name})
	if err != nil {
		return err
	}
	u := eng.View().UserNamed(name)
	if u == nil {
		made, err := eng.Make(ctx, &crowbar.User{Username: name, Admin: true})
		if err != nil {
			return err
		}
		u = made.(*crowbar.User)
	}
	_, err = eng.Edit(ctx, crowbar.KindUser, u.ID, func(o crowbar.Object) error {
		u := o.(*crowbar.User)
		u.Admin, u.LockedAt = true, time.Time{}
		return nil
	})
	if err == nil {
		err = eng.SetPassword(ctx, u.ID, password, true)
	}
	if err != nil {
		return err
	}
	_, err = eng.Audit(ctx, crowbar.AuditRecord{Ends: seq, Code: 200})
	return err
}

// newToken puts another token into the administrator's file, and into the state where daemons share one.
func newToken(ctx context.Context, c *config, eng *engine.Engine) error {
	file := c.adminFile()
	had, err := readAdmin(file)
	if err != nil {
		return err
	}
	had.Token = random(32)
	if c.shared() {
		if err := eng.ShareAnew(ctx, "host/token", had.Token); err != nil {
			return err
		}
	}
	return writeAdmin(file, had)
}
