package main

import (
	"os"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The least that certificates may live, but for tests, which say so in the environment.
const (
	leastLeaf      = 7 * 24 * time.Hour
	leastAuthority = 90 * 24 * time.Hour
	shortLives     = "KUBECLAMP_TEST_SHORT_LIVES"
)

// checkLives refuses lives in which a weekend, or a node that is away for a while, would end a cluster.
func (c *config) checkLives() error {
	leaf, authority := c.lives.Leaf, c.lives.Authority
	switch {
	case leaf < 2*time.Second || authority < 3*leaf:
		return crowbar.Errorf(crowbar.Invalid, "--leaf-life %s, --authority-life %s: an authority has to live three times as long as what it signs", leaf, authority)
	case os.Getenv(shortLives) == "yes":
	case leaf < leastLeaf || authority < leastAuthority:
		return crowbar.Errorf(crowbar.Invalid, "--leaf-life %s, --authority-life %s: give leaves %s and authorities %s at least: what is renewed at two thirds needs time where a node is away", leaf, authority, leastLeaf, leastAuthority)
	}
	return nil
}

// certificatesEvery is how often the keeper of certificates looks: often enough for the shortest life.
func (c *config) certificatesEvery() time.Duration {
	return min(time.Minute, max(c.lives.Leaf/100, 200*time.Millisecond))
}
