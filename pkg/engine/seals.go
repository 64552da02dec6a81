package engine

import (
	"errors"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// sealing is the kinds of objects that have sealed values.
var sealing = []crowbar.Kind{crowbar.KindSecret, crowbar.KindUser, crowbar.KindHammer, crowbar.KindEventSink, crowbar.KindAuditHead, crowbar.KindNode, crowbar.KindRole, crowbar.KindDeploymentRole, crowbar.KindNodeRole}

// SealedBy counts the sealed values of a state by the id of the key that sealed them.
func SealedBy(s *crowbar.Snapshot, keyID func(sealed []byte) string) map[string]int {
	out := map[string]int{}
	for _, k := range sealing {
		for o := range s.All(k) {
			eachSealed(o, func(sealed []byte) { out[keyID(sealed)]++ })
		}
	}
	return out
}

// eachSealed calls f with every sealed value of an object.
func eachSealed(o crowbar.Object, f func(sealed []byte)) {
	switch o := o.(type) {
	case *crowbar.Secret:
		f(o.Sealed)
	case *crowbar.User:
		if len(o.Credentials) > 0 {
			f(o.Credentials)
		}
	case *crowbar.Hammer:
		if len(o.Authenticator) > 0 {
			f(o.Authenticator)
		}
	case *crowbar.EventSink:
		for _, sealed := range [][]byte{o.Authenticator, o.Secret} {
			if len(sealed) > 0 {
				f(sealed)
			}
		}
	case *crowbar.AuditHead:
		if len(o.Sealed) > 0 {
			f(o.Sealed)
		}
	default:
		attrib.EachSealed(o, func(sealed []byte, _ crowbar.Place) { f(sealed) })
	}
}

// CheckSeals says whether this daemon can open what is sealed in the state: it has every key, and one value of each opens.
// Nothing is changed.
func (e *Engine) CheckSeals() error {
	if err := e.lackless(e.View()); err != nil {
		return crowbar.Errorf(crowbar.KindOf(err), "the state has secrets that this daemon cannot open; nothing was changed: %w", err)
	}
	return nil
}

// lackless tries to open one value of each key that has sealed something in a state.
func (e *Engine) lackless(s *crowbar.Snapshot) error {
	tried := map[string]error{}
	counts := SealedBy(s, e.Ring.KeyID)
	for id := range counts {
		if id != "" {
			tried[id] = e.Ring.Lacks(id)
		}
	}
	for o := range s.All(crowbar.KindSecret) {
		sec := o.(*crowbar.Secret)
		if _, had := tried[e.Ring.KeyID(sec.Sealed)]; !had {
			_, err := e.Ring.Open(sec.Sealed, sec.Place())
			tried[e.Ring.KeyID(sec.Sealed)] = err
		}
	}
	var bad []error
	for id, err := range tried {
		if err != nil {
			bad = append(bad, fmt.Errorf("%d values: %w", counts[id], err))
		}
	}
	if err := errors.Join(bad...); err != nil {
		return crowbar.Errorf(crowbar.KindOf(bad[0]), "%w", err)
	}
	return nil
}
