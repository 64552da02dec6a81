package main

import (
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// How long certificates may live: less, and a weekend or a node that is away for a while would end a cluster. API servers make
// certificates for themselves when they start, which end after three years; they start again with each renewal.
const (
	leastLeaf      = 7 * 24 * time.Hour
	mostLeaf       = 3 * 365 * 24 * time.Hour
	leastAuthority = 90 * 24 * time.Hour
)

// checkLives refuses lives that would end a cluster.
func (c *config) checkLives() error {
	leaf, authority := c.lives.Leaf, c.lives.Authority
	switch {
	case authority < 3*leaf:
		return crowbar.Errorf(crowbar.Invalid, "--leaf-life %s, --authority-life %s: an authority has to live three times as long as what it signs", leaf, authority)
	case leaf < leastLeaf || authority < leastAuthority:
		return crowbar.Errorf(crowbar.Invalid, "--leaf-life %s, --authority-life %s: give leaves %s and authorities %s at least: what is renewed at two thirds needs time where a node is away", leaf, authority, leastLeaf, leastAuthority)
	case leaf > mostLeaf:
		return crowbar.Errorf(crowbar.Invalid, "--leaf-life %s: give %s at the most: with each renewal an API server starts again, which makes itself a certificate of three years when it does", leaf, mostLeaf)
	}
	return nil
}
