package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

func TestShortLivesAreRefused(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		leaf, authority time.Duration
		test            string
		ok              bool
	}{
		{pki.LeafLife, pki.AuthorityLife, "", true},
		{90 * day, 365 * day, "", true},
		{day, 365 * day, "", false},
		{30 * day, 89 * day, "", false},
		{90 * day, 200 * day, "", false},
		{time.Minute, 5 * time.Minute, "", false},
		{time.Minute, 5 * time.Minute, "yes", true},
		{time.Minute, 2 * time.Minute, "yes", false},
		{0, time.Minute, "yes", false},
	} {
		t.Setenv(shortLives, tt.test)
		c := &config{lives: pki.Lives{Leaf: tt.leaf, Authority: tt.authority}, log: slog.New(slog.DiscardHandler)}
		if err := c.checkLives(); (err == nil) != tt.ok || err != nil && crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s, %s, %q: %v", tt.leaf, tt.authority, tt.test, err)
		}
	}
}
