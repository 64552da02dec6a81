package crowbar

import (
	"iter"
	"time"
)

// The kinds of who is told of events: Digital Rebar's event sinks and selectors.
const (
	KindEventSink     Kind = "event_sinks"
	KindEventSelector Kind = "event_selectors"
	KindDelivery      Kind = "deliveries"
)

// EventSink is somebody who is told of events by a request to their address.
type EventSink struct {
	ID       ID     `json:"id"`
	Endpoint string `json:"endpoint"` // http or https; unique
	Username string `json:"username"` // of HTTP's basic authentication; "" = none
	Notes    string `json:"notes"`
	Active   bool   `json:"active"`
	// Authenticator is the password that goes with Username, Secret what requests are signed by; both sealed by package pki, and
	// never shown.
	Authenticator []byte `json:"authenticator,omitempty"`
	Secret        []byte `json:"secret,omitempty"`
	Stamps
}

// EventSelector says which events a sink is told of: those that have all of these values.
type EventSelector struct {
	ID       ID   `json:"id"`
	Sink     ID   `json:"event_sink_id"`
	Selector Data `json:"selector"` // must have "event"
	Stamps
}

// Delivery is how far a sink has been told. It is kept beside the sink, so that nobody takes it for a change of the sink.
type Delivery struct {
	ID        ID        `json:"id"`
	Sink      ID        `json:"event_sink_id"`
	Upto      EventID   `json:"upto"` // all before it, and itself, was told
	Sent      uint64    `json:"sent"`
	Failures  int       `json:"failures"`               // tries that failed since the last good one
	Since     time.Time `json:"failing_since,omitzero"` // of the first of those
	LastError string    `json:"last_error,omitempty"`
	Dead      bool      `json:"dead"` // given up; changing the sink brings it back
}

// Place is what ties a sink's secret to it.
func (o *EventSink) Place(what string) string { return "event_sinks/" + o.ID.String() + "/" + what }

// Kind of each noun.
func (*EventSink) Kind() Kind     { return KindEventSink }
func (*EventSelector) Kind() Kind { return KindEventSelector }
func (*Delivery) Kind() Kind      { return KindDelivery }

// Key of each noun.
func (o *EventSink) Key() ID     { return o.ID }
func (o *EventSelector) Key() ID { return o.ID }
func (o *Delivery) Key() ID      { return o.ID }

// All of each, and one by its id or its sink.
func (s *Snapshot) EventSinks() iter.Seq[*EventSink] { return every[*EventSink](s, KindEventSink) }
func (s *Snapshot) EventSelectors() iter.Seq[*EventSelector] {
	return every[*EventSelector](s, KindEventSelector)
}
func (s *Snapshot) EventSink(id ID) *EventSink { return one[*EventSink](s, KindEventSink, id) }
func (s *Snapshot) EventSelector(id ID) *EventSelector {
	return one[*EventSelector](s, KindEventSelector, id)
}
func (s *Snapshot) EventSinkAt(endpoint string) *EventSink {
	return byName[*EventSink](s, KindEventSink, endpoint)
}
func (s *Snapshot) DeliveryTo(sink ID) *Delivery {
	return byName[*Delivery](s, KindDelivery, sink.String())
}
