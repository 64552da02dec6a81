package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// claimFile says which folder's lab has this name on the machine; it is gone after a boot, as the lab is.
func (l *Lab) claimFile() string { return filepath.Join("/run", "kubeclamp-lab-"+l.cfg.Name) }

// unclaimed refuses while another folder's lab of the same name is up: its namespaces and links would be taken for ours.
// A folder that was deleted claims nothing.
func (l *Lab) unclaimed() error {
	b, err := os.ReadFile(l.claimFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	dir := strings.TrimSpace(string(b))
	if dir == l.cfg.Dir || !dirExists(dir) || !netnsExists(l.cfg.Name) {
		return nil
	}
	return crowbar.Errorf(crowbar.Conflict, "a lab named %s is up on this machine, and its folder is %s: give --dir %s to work on it, or --name and --network for another one", l.cfg.Name, dir, dir)
}

// claim takes the name for this folder.
func (l *Lab) claim() error { return os.WriteFile(l.claimFile(), []byte(l.cfg.Dir+"\n"), 0o600) }

// unclaim gives the name back.
func (l *Lab) unclaim() error {
	if err := os.Remove(l.claimFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Neighbours is the folders of the other labs that are up on this machine.
func (l *Lab) Neighbours() ([]string, error) {
	files, err := filepath.Glob("/run/kubeclamp-lab-*")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		dir, name := strings.TrimSpace(string(b)), strings.TrimPrefix(filepath.Base(f), "kubeclamp-lab-")
		if dir != l.cfg.Dir && dirExists(dir) && netnsExists(name) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}
