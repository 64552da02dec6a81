package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// years gives certificates a life of minutes, and waits until each has run out and been renewed as often as in eleven years. Nobody
// but the daemon renews anything.
func (t *trial) years(ctx context.Context) (string, error) {
	return t.live(ctx, t.conf.leaf, 24*time.Hour, func(_, _ map[string]crowbar.Certificate, least int) bool { return least >= t.conf.renewals })
}

// due gives authorities a life of minutes, and waits until each has been replaced at its own due time.
func (t *trial) due(ctx context.Context) (string, error) {
	return t.live(ctx, t.conf.longLeaf, t.conf.authority, func(first, now map[string]crowbar.Certificate, _ int) bool { return rotated(first, now) })
}

// live has everything replaced by what lives so long, and watches it until that is done; done is given all as it was at first, as it is,
// and how often the certificate was renewed that was least often.
func (t *trial) live(ctx context.Context, leaf, authority time.Duration, done func(first, now map[string]crowbar.Certificate, least int) bool) (string, error) {
	env := map[string]string{"KUBECLAMP_TEST_SHORT_LIVES": "yes", "KUBECLAMP_LEAF_LIFE": leaf.String(), "KUBECLAMP_AUTHORITY_LIFE": authority.String()}
	for name, value := range env {
		if err := os.Setenv(name, value); err != nil {
			return "", err
		}
	}
	t.say("the daemon starts again: leaves live for %s, authorities for %s", leaf, authority)
	if err := t.restartDaemon(ctx); err != nil {
		return "", err
	}
	// What there is lives for years yet: by hand it is replaced once by what does not.
	if _, err := t.CLI(ctx, nil, "certs", "rotate", "etcd", "kubernetes", "front-proxy", "--hold", "0s", "--wait", "--timeout", "15m"); err != nil {
		return "", err
	}
	first, err := t.certificates(ctx)
	if err != nil {
		return "", err
	}
	count, last := map[string]int{}, first
	for {
		now, err := t.certificates(ctx)
		if err != nil {
			return "", err
		}
		for name, is := range now {
			if was := last[name]; is.What != "key" && !is.Begins.Equal(was.Begins) {
				count[name]++
			}
			if is.What != "key" && time.Now().After(is.Ends) && len(is.UsedBy) > 0 {
				return "", fmt.Errorf("%s ended at %s and has not been renewed: %s", name, is.Ends.Format(time.TimeOnly), strings.Join(is.Waits, "; "))
			}
		}
		last = now
		leaves, authorities, least := summed(now, count)
		if done(first, now, least) {
			return fmt.Sprintf("%d certificates of %s, each renewed %d times or more, %d renewals in all; authorities of %s replaced %d times at their own due time", leaves, leaf, least, total(count, "leaf/"), authority, authorities), nil
		}
		select {
		case <-ctx.Done():
			return fmt.Sprintf("%d certificates, the last one renewed %d times, %d renewals in all, authorities %d times", leaves, least, total(count, "leaf/"), authorities), ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// summed is how many leaves there are, how often authorities were made anew, and how often the leaf was that was least often.
func summed(now map[string]crowbar.Certificate, count map[string]int) (leaves, authorities, least int) {
	least = -1
	for name, is := range now {
		switch is.What {
		case "leaf":
			leaves++
			if least < 0 || count[name] < least {
				least = count[name]
			}
		case "authority":
			authorities += count[name]
		}
	}
	return leaves, authorities, least
}

func total(count map[string]int, kind string) (n int) {
	for name, c := range count {
		if strings.HasPrefix(name, kind) {
			n += c
		}
	}
	return n
}

// rotated says that every authority is another one than at first.
func rotated(first, now map[string]crowbar.Certificate) bool {
	for name, is := range now {
		if is.What == "authority" && (is.KeyID == first[name].KeyID || is.Rotation != nil) {
			return false
		}
	}
	return true
}

// restartDaemon kills the lab's daemon, and has the lab start another one when it is gone.
func (t *trial) restartDaemon(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(t.Dir, "daemon.pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return t.Up(ctx, len(masters), len(masters))
}
