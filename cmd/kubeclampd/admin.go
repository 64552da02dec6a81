package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

// adminFile has the administrator's token, where the API is, and by whose certificate it is known.
func (c *config) adminFile() string { return filepath.Join(c.dataDir, "admin.json") }

// admin keeps the administrator's token; its file is what the command line is pointed at.
func admin(file, address, ca string) (client.Config, error) {
	had, err := readAdmin(file)
	if err != nil {
		return had, err
	}
	if had.Token == "" {
		had.Token = random(32)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return had, err
	}
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	had.Endpoint, had.CA = "https://"+net.JoinHostPort(host, port), ca
	return had, writeAdmin(file, had)
}

// trustAdmin has those that the file points at the API believe this authority.
func trustAdmin(file, ca string) error {
	had, err := readAdmin(file)
	if err != nil {
		return err
	}
	had.CA = ca
	return writeAdmin(file, had)
}

// readAdmin reads the file; what is not there yet is empty.
func readAdmin(file string) (had client.Config, err error) {
	b, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return had, nil
	case err != nil:
		return had, err
	}
	if err := json.Unmarshal(b, &had); err != nil || had.Token == "" {
		return had, fmt.Errorf("%s is damaged (%v): remove it, and the next start makes a new one with a new token", file, err)
	}
	return had, nil
}

func writeAdmin(file string, conf client.Config) error {
	b, err := json.MarshalIndent(conf, "", "  ")
	if err != nil {
		return err
	}
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	// gofail: var beforeAdminRename struct{}
	return os.Rename(tmp, file)
}

// shareHost makes the administrator's token and the host's authority the same on all daemons that share the state: the
// first one's. So any of them answers any client.
func shareHost(ctx context.Context, c *config, eng *engine.Engine) error {
	file := c.adminFile()
	had, err := readAdmin(file)
	if err != nil {
		return err
	}
	mine := had.Token
	if mine == "" {
		mine = random(32)
	}
	token, err := eng.Shared(ctx, "host/token", mine)
	if err != nil {
		return err
	}
	if had.Token != token {
		had.Token = token
		if err := writeAdmin(file, had); err != nil {
			return err
		}
	}
	folder := filepath.Join(c.dataDir, "tls")
	bundle, err := pki.HostBundle(folder)
	if err != nil {
		return err
	}
	if bundle, err = eng.Shared(ctx, "host/authority", bundle); err != nil {
		return err
	}
	return pki.AdoptHost(folder, bundle)
}

// endpoint is where other daemons, and clients elsewhere, find this one's API.
func endpoint(c *config, l net.Listener) string {
	at := c.advertise
	if at == "" {
		host, port, _ := net.SplitHostPort(l.Addr().String())
		if ip := net.ParseIP(host); ip.IsUnspecified() {
			if name, err := os.Hostname(); err == nil {
				host = name
			}
		}
		at = net.JoinHostPort(host, port)
	}
	return "https://" + at
}

// version is the program's own.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
