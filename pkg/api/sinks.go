package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Sinking keeps what event sinks are proved to.
type Sinking interface {
	SetSinkSecrets(ctx context.Context, sink crowbar.ID, password, secret *string) error
}

// sinkWire is an event sink, and how far it was told; its secrets are never shown.
type sinkWire struct {
	ID           ref    `json:"id"`
	Endpoint     string `json:"endpoint"`
	Username     string `json:"username"`
	Notes        string `json:"notes"`
	Active       bool   `json:"active"`
	Signed       bool   `json:"signed"`
	Upto         string `json:"upto"`
	Sent         uint64 `json:"sent"`
	Failures     int    `json:"failures"`
	FailingSince stamp  `json:"failing_since"`
	LastError    string `json:"last_error"`
	Dead         bool   `json:"dead"`
	stamps
}

func sinkOf(s *crowbar.Snapshot, o *crowbar.EventSink) sinkWire {
	w := sinkWire{ID: ref(o.ID), Endpoint: o.Endpoint, Username: o.Username, Notes: o.Notes, Active: o.Active, Signed: len(o.Secret) > 0, stamps: stampsOf(o.Stamps)}
	if at := s.DeliveryTo(o.ID); at != nil {
		w.Upto, w.Sent, w.Failures, w.FailingSince, w.LastError, w.Dead = at.Upto.String(), at.Sent, at.Failures, stamp(at.Since), at.LastError, at.Dead
	}
	return w
}

// sinkAt finds a sink by its endpoint, which may come without its scheme: a path cannot have "//" in it.
func sinkAt(s *crowbar.Snapshot, key string) *crowbar.EventSink {
	if o := s.EventSinkAt(key); o != nil {
		return o
	}
	for o := range s.EventSinks() {
		if withoutScheme(o.Endpoint) == key {
			return o
		}
	}
	return nil
}

// selectorName is its sink and its event, such as "example.org/hook#on_error".
func selectorName(s *crowbar.Snapshot, o *crowbar.EventSelector) string {
	sink := s.EventSink(o.Sink)
	if sink == nil {
		return o.ID.String()
	}
	return withoutScheme(sink.Endpoint) + "#" + text(o.Selector["event"])
}

// selectorNamed is the one selector of that name; nil where there are several, which only their ids tell apart.
func selectorNamed(s *crowbar.Snapshot, name string) (found *crowbar.EventSelector) {
	for o := range s.EventSelectors() {
		if selectorName(s, o) != name {
			continue
		}
		if found != nil {
			return nil
		}
		found = o
	}
	return found
}

func withoutScheme(endpoint string) string {
	_, rest, _ := strings.Cut(endpoint, "://")
	return rest
}

type selectorWire struct {
	ID       ref          `json:"id"`
	Sink     ref          `json:"event_sink_id"`
	Selector crowbar.Data `json:"selector"`
	stamps
}

type sinkForm struct {
	Endpoint *string `json:"endpoint"`
	Username *string `json:"username"`
	Notes    *string `json:"notes"`
	Active   *bool   `json:"active"`
}

func sinkNoun() noun {
	return noun{kind: crowbar.KindEventSink, need: []string{"endpoint"}, keys: []string{"endpoint", "username", "notes", "active", "authenticator", "secret"},
		onto: told(func(_ *crowbar.Snapshot, o *crowbar.EventSink, f sinkForm, _ params, _ bool) error {
			set(&o.Endpoint, f.Endpoint)
			set(&o.Username, f.Username)
			set(&o.Notes, f.Notes)
			set(&o.Active, f.Active)
			return nil
		}),
		then: func(ctx context.Context, e Engine, id crowbar.ID, p params) error {
			said := func(key string) *string {
				v, ok := p[key]
				if !ok {
					return nil
				}
				t := text(v)
				return &t
			}
			password, secret := said("authenticator"), said("secret")
			if password == nil && secret == nil {
				return nil
			}
			return e.SetSinkSecrets(ctx, id, password, secret)
		}}
}

type selectorForm struct {
	Sink     *string      `json:"event_sink"`
	SinkID   *string      `json:"event_sink_id"`
	Selector crowbar.Data `json:"selector"`
}

func selectorNoun() noun {
	return noun{kind: crowbar.KindEventSelector, need: []string{"selector"}, keys: []string{"selector", "event_sink_id"},
		onto: told(func(s *crowbar.Snapshot, o *crowbar.EventSelector, f selectorForm, _ params, _ bool) error {
			if f.Selector != nil {
				o.Selector = f.Selector
			}
			return refer(s, crowbar.KindEventSink, &o.Sink, f.SinkID, f.Sink)
		})}
}

// selectorsOf lists what one sink is told of.
func (a *API) selectorsOf(r *http.Request) (form, any, error) {
	s := a.Engine.View()
	id, err := findID(s, crowbar.KindEventSink, r)
	if err != nil {
		return "", nil, err
	}
	out := slices.DeleteFunc(sorted(s, crowbar.KindEventSelector), func(o crowbar.Object) bool { return o.(*crowbar.EventSelector).Sink != id })
	return "event_selector.list", out, nil
}
