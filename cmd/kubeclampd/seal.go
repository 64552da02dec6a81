package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

// openRing finds the keys that seal what is secret: the file that was named, systemd's credential, or the one in the data
// folder. A new key is made only for a state in which nothing is sealed yet.
func openRing(c *config, s *crowbar.Snapshot) (*pki.Ring, error) {
	file := c.sealKey
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); file == "" && dir != "" {
		credential := filepath.Join(dir, pki.CredentialName)
		if _, err := os.Stat(credential); err == nil {
			return pki.OpenCredential(credential)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if file == "" {
		file = filepath.Join(c.dataDir, "key")
	}
	nothing := len(engine.SealedBy(s, func([]byte) string { return "" })) == 0
	ring, err := pki.OpenRing(file, nothing)
	if err != nil {
		return nil, fmt.Errorf("sealing keys: %w", err)
	}
	return ring, nil
}

// sealKeyCommand makes or extends a key file by hand, for daemons that share a state.
func sealKeyCommand() *cobra.Command {
	return &cobra.Command{Use: "seal-key FILE", Short: "Put a new sealing key in front of a key file, or make the file",
		Long: `Put a new sealing key in front of a key file (mode 0600), or make the file.

Daemons that share a state need the same file. To rotate there: extend the file, copy it to every daemon's host, then
'kubeclamp secrets rotate --given'. The older keys stay in the file: they open what they sealed.`,
		Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			id, err := pki.AddKey(args[0])
			if err != nil {
				return err
			}
			cmd.Printf("%s: key %s seals from now on\n", args[0], id)
			return nil
		}}
}
