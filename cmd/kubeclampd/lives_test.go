package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

func TestLivesThatWouldEndAClusterAreRefused(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		leaf, authority time.Duration
		ok              bool
	}{
		{pki.LeafLife, pki.AuthorityLife, true},
		{90 * day, 365 * day, true},
		{day, 365 * day, false},
		{30 * day, 89 * day, false},
		{90 * day, 200 * day, false},
		{time.Minute, 5 * time.Minute, false},
		{0, 365 * day, false},
		{3 * 365 * day, 10 * 365 * day, true},
		{3*365*day + 1, 10 * 365 * day, false},
	} {
		c := &config{lives: pki.Lives{Leaf: tt.leaf, Authority: tt.authority}, log: slog.New(slog.DiscardHandler)}
		if err := c.checkLives(); (err == nil) != tt.ok || err != nil && crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s, %s: %v", tt.leaf, tt.authority, err)
		}
	}
}
