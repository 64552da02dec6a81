package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// load reads a JSON file into a struct; unknown keys are an error.
func load(file string, into any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

func authority(file string) (*x509.CertPool, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: no certificate in it: want PEM", file)
	}
	return pool, nil
}

// follow calls again after SIGHUP, and when the content of one of the files has changed, until the context ends; and once in
// the beginning, because a file may have changed after its caller read it. What is compared is always taken before the files
// are read, so that no change falls between. The files are asked for each time, because the config names some of them.
func follow(ctx context.Context, files func() []string, again func() error, log *slog.Logger) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var was [sha256.Size]byte
	for {
		forced := false
		select {
		case <-ctx.Done():
			return
		case <-hup:
			forced = true
		case <-tick.C:
		}
		now := sum(files())
		if now == was && !forced {
			continue
		}
		was = now
		if err := again(); err != nil {
			log.Warn("the config is not taken; the one before stays", "error", err)
			continue
		}
		log.Debug("the config is read again")
	}
}

func sum(files []string) (out [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		b, err := os.ReadFile(f)
		fmt.Fprintf(h, "%s %v %d\n", f, err != nil, len(b))
		h.Write(b)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// ready tells systemd, where there is one, that the sockets are open.
func ready(log *slog.Logger) {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("systemd is not told", "error", err)
	}
}

// when calls once a condition holds; it gives up with the context.
func when(ctx context.Context, holds func() bool, then func()) {
	for !holds() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	then()
}
