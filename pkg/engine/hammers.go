package engine

import (
	"context"
	"fmt"
	"regexp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

var hammerRule = regexp.MustCompile(`^[a-zA-Z][-_a-zA-Z0-9]*$`)

func checkAvailableHammer(d *draft, h *crowbar.AvailableHammer) error {
	if !hammerRule.MatchString(h.Name) {
		return crowbar.Errorf(crowbar.Invalid, "name %q: want a letter, then letters, digits, '-' and '_'", h.Name)
	}
	if h.Class == "" {
		return crowbar.Errorf(crowbar.Invalid, "klass: it is missing")
	}
	if o := d.s.AvailableHammerNamed(h.Name); o != nil && o.ID != h.ID {
		return crowbar.Errorf(crowbar.Conflict, "there is an available hammer %q already: take another name", h.Name)
	}
	if was := d.s.AvailableHammer(h.ID); was != nil && was.Barclamp != 0 && (was.Name != h.Name || was.Class != h.Class) {
		return crowbar.Errorf(crowbar.Conflict, "a barclamp brought it: name and klass are what the barclamp says")
	}
	return nil
}

func dropAvailableHammer(d *draft, h *crowbar.AvailableHammer) error {
	if h.Barclamp != 0 {
		return crowbar.Errorf(crowbar.Conflict, "a barclamp brought it, and would bring it again")
	}
	for o := range d.s.Hammers() {
		if o.Available == h.ID {
			return crowbar.Errorf(crowbar.Conflict, "node %s has a hammer of it: delete that one first", nodeName(d.s, o.Node))
		}
	}
	return nil
}

// SetAuthenticator keeps the credential of a hammer, sealed; "" forgets it. Nobody is shown it.
func (e *Engine) SetAuthenticator(ctx context.Context, hammer crowbar.ID, text string) error {
	err := e.change(ctx, func(d *draft) error {
		h := d.s.Hammer(hammer)
		if h == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no hammer %d", hammer)
		}
		h = clone(h)
		switch {
		case text == "":
			h.Authenticator = nil
		case e.Ring == nil:
			return crowbar.Errorf(crowbar.Unavailable, "there is no key to seal it with: start the daemon with its key file")
		default:
			h.Authenticator = e.Ring.Seal([]byte(text), h.Place())
		}
		d.put(h)
		return nil
	})
	if err != nil {
		return fmt.Errorf("set authenticator: %w", err)
	}
	return nil
}
