package engine

import (
	"context"
	"fmt"
	"net/url"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// What of a sink is sealed, as its place names it.
const (
	sinkPassword = "password"
	sinkSecret   = "secret"
)

// shortestSecret is how much a secret must have that signs.
const shortestSecret = 16

func checkSink(d *draft, o *crowbar.EventSink) error {
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "":
		return crowbar.Errorf(crowbar.Invalid, "endpoint %q: want http://HOST/... or https://HOST/...", o.Endpoint)
	case u.User != nil:
		return crowbar.Errorf(crowbar.Invalid, "endpoint: give name and password as username and authenticator, where nobody is shown them")
	}
	if other := d.s.EventSinkAt(o.Endpoint); other != nil && other.ID != o.ID {
		return crowbar.Errorf(crowbar.Conflict, "event sink %d has this endpoint already", other.ID)
	}
	return nil
}

// sinkChanged gives a sink that was given up another chance.
func sinkChanged(d *draft, was, now *crowbar.EventSink) error {
	if at := d.s.DeliveryTo(now.ID); was != nil && at != nil && at.Dead {
		c := clone(at)
		c.Dead, c.Failures = false, 0
		d.put(c)
	}
	return nil
}

func dropSink(d *draft, o *crowbar.EventSink) error {
	for sel := range d.s.EventSelectors() {
		if sel.Sink == o.ID {
			d.drop(sel)
		}
	}
	if at := d.s.DeliveryTo(o.ID); at != nil {
		d.drop(at)
	}
	return nil
}

func checkSelector(d *draft, o *crowbar.EventSelector) error {
	if d.s.EventSink(o.Sink) == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no event sink %d", o.Sink)
	}
	if event, _ := o.Selector["event"].(string); event == "" {
		return crowbar.Errorf(crowbar.Invalid, `selector: want "event" in it, such as {"event":"on_active","obj_id":"etcd"}; "*" is every event`)
	}
	for k, v := range o.Selector {
		if _, ok := v.(string); !ok {
			return crowbar.Errorf(crowbar.Invalid, "selector: %s: want a text", k)
		}
	}
	return nil
}

// SetSinkSecrets keeps what a sink is proved to, sealed: its password, and the secret that requests are signed by; nil leaves
// one as it is, "" forgets it.
func (e *Engine) SetSinkSecrets(ctx context.Context, sink crowbar.ID, password, secret *string) error {
	if secret != nil && *secret != "" && len(*secret) < shortestSecret {
		return crowbar.Errorf(crowbar.Invalid, "secret: want %d characters at least", shortestSecret)
	}
	err := e.change(ctx, func(d *draft) error {
		o := d.s.EventSink(sink)
		if o == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no event sink %d", sink)
		}
		if e.Ring == nil {
			return crowbar.Errorf(crowbar.Unavailable, "there is no key to seal it with: start the daemon with its key file")
		}
		o = clone(o)
		for what, text := range map[string]*string{sinkPassword: password, sinkSecret: secret} {
			if text == nil {
				continue
			}
			var sealed []byte
			if *text != "" {
				sealed = e.Ring.Seal([]byte(*text), o.Place(what))
			}
			if what == sinkPassword {
				o.Authenticator = sealed
			} else {
				o.Secret = sealed
			}
		}
		d.put(o)
		return nil
	})
	if err != nil {
		return fmt.Errorf("set secrets of event sink: %w", err)
	}
	return nil
}

// OpenSink is what a sink is proved to; "" where there is nothing.
func (e *Engine) OpenSink(o *crowbar.EventSink) (password, secret string, err error) {
	open := func(sealed []byte, what string) string {
		if len(sealed) == 0 || err != nil {
			return ""
		}
		var b []byte
		b, err = e.Ring.Open(sealed, o.Place(what))
		return string(b)
	}
	return open(o.Authenticator, sinkPassword), open(o.Secret, sinkSecret), err
}

// Delivered notes how far a sink has been told.
func (e *Engine) Delivered(ctx context.Context, now crowbar.Delivery) error {
	return e.change(ctx, func(d *draft) error {
		if d.s.EventSink(now.Sink) == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no event sink %d", now.Sink)
		}
		o := clone(&now)
		if was := d.s.DeliveryTo(now.Sink); was != nil {
			o.ID = was.ID
		} else {
			o.ID = d.s.Next()
		}
		d.put(o)
		return nil
	})
}
