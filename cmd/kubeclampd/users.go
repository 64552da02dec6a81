package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// firstUser is the administrator that a new state gets. Its password is made here and kept in one file, which the old
// clients take as CROWBAR_KEY ("user:password"); whoever has read it may remove the file.
const firstUser = "crowbar"

const keyFile = "crowbar.install.key"

// bootUser makes the first administrator where there is no user with a password yet. The file is written first: whenever
// the daemon dies, the password that counts is in it.
func bootUser(ctx context.Context, c *config, eng *engine.Engine) error {
	for u := range eng.View().Users() {
		if len(u.Credentials) > 0 {
			return nil
		}
	}
	path := filepath.Join(c.dataDir, keyFile)
	password, err := bootPassword(path)
	if err != nil {
		return fmt.Errorf("first user: %w", err)
	}
	u := eng.View().UserNamed(firstUser)
	if u == nil {
		made, err := eng.Make(ctx, &crowbar.User{Username: firstUser, Admin: true})
		if err != nil {
			return err
		}
		u = made.(*crowbar.User)
	}
	if err := eng.SetPassword(ctx, u.ID, password, true); err != nil {
		return err
	}
	if term.IsTerminal(int(os.Stderr.Fd())) { // a person is looking, and no log is
		fmt.Fprintf(os.Stderr, "first user: %s, password: %s (it is not shown again)\n", firstUser, password)
	}
	c.log.Info("first user: sign in with what is in the file, and remove the file", "user", firstUser, "file", path)
	return nil
}

// bootPassword reads the password out of the key file, or makes both.
func bootPassword(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		name, password, ok := strings.Cut(strings.TrimSpace(string(b)), ":")
		if !ok || name != firstUser || password == "" {
			return "", crowbar.Errorf(crowbar.Invalid, "%s is damaged: remove it, and the next start makes a new one", path)
		}
		return password, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := random(16)
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(firstUser+":"+password+"\n"), 0o600); err != nil {
		return "", err
	}
	return password, os.Rename(tmp, path)
}
