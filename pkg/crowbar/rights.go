package crowbar

import (
	"slices"
	"time"
)

// Right is what somebody may do; each has all of the one before it.
type Right string

// The rights.
const (
	RightViewer   Right = "viewer"   // reads everything but secrets
	RightOperator Right = "operator" // changes nodes, deployments, bindings and attribs
	RightAdmin    Right = "admin"    // users, tokens, secrets, barclamps, the state as a whole
)

var rightOrder = map[Right]int{RightViewer: 1, RightOperator: 2, RightAdmin: 3}

// Known says that it is one of the rights.
func (r Right) Known() bool { return rightOrder[r] > 0 }

// Has says that it is as much as the other, or more.
func (r Right) Has(other Right) bool { return r.Known() && rightOrder[r] >= rightOrder[other] }

// Token lets a program in. The text itself is told once, to whom made it; only its sum is kept.
type Token struct {
	ID          ID        `json:"id"`
	Name        string    `json:"name"`          // unique
	Sum         string    `json:"sum,omitempty"` // sha256 of the token, hex
	Username    string    `json:"username"`
	Right       Right     `json:"right"`
	Deployments []string  `json:"deployments,omitempty"` // names to which the right is limited; nil = all
	Expires     time.Time `json:"expires_at,omitzero"`   // zero = never
	Used        time.Time `json:"used_at,omitzero"`      // zero = never; right to ten minutes
	Stamps
}

// Below says that a deployment is one of those, or in one.
func (s *Snapshot) Below(id ID, names []string) bool {
	for d, seen := s.Deployment(id), 0; d != nil && seen < 100; d, seen = s.Deployment(d.Parent), seen+1 {
		if slices.Contains(names, d.Name) {
			return true
		}
	}
	return false
}

// Ended says that it lets nobody in any more.
func (t *Token) Ended(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Kind of the noun.
func (*Token) Kind() Kind { return KindToken }

// Key of the noun.
func (o *Token) Key() ID { return o.ID }
