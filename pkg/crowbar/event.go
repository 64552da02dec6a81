package crowbar

import (
	"strconv"
	"strings"
	"time"
)

// Moved is one revision of the state: what was before it, and what is since. Where Lost is set there may be others between
// the two that nobody can tell any more.
type Moved struct {
	Was, Now *Snapshot
	Lost     bool
}

// Event is something that has happened, in the shape of CloudEvents 1.0. It has no secret in it.
type Event struct {
	SpecVersion string    `json:"specversion"` // "1.0"
	ID          EventID   `json:"id"`
	Source      string    `json:"source"`            // EventSource
	Type        string    `json:"type"`              // such as "kubeclamp.node_role.error"
	Subject     string    `json:"subject,omitempty"` // the object: "node_roles/12"
	Time        time.Time `json:"time,omitzero"`     // zero for what has gone: nobody noted when
	ContentType string    `json:"datacontenttype"`   // "application/json"
	Deployment  string    `json:"deployment,omitempty"`
	Node        string    `json:"node,omitempty"`
	Data        Data      `json:"data"`

	Right Right `json:"-"` // that it takes to see it
}

// EventSource is where events come from; with its id it makes an event unique in the world of one state.
const EventSource = "/kubeclamp"

// EventTypes is the beginning of all types of events.
const EventTypes = "kubeclamp."

// EventsLost is the type of the one event that is of no object: some could not be told, whoever follows must read anew.
const EventsLost = EventTypes + "events.lost"

// EventID is where in the history of the state something happened: the revision, and which of its events. It is the same on
// all daemons of one state.
type EventID struct {
	Rev   Rev
	Index int // from 1; 0 = before the first of the revision
}

// String is the id on the wire, such as "1234-7".
func (id EventID) String() string {
	return strconv.FormatInt(int64(id.Rev), 10) + "-" + strconv.Itoa(id.Index)
}

// MarshalText writes the id.
func (id EventID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the id.
func (id *EventID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseEventID(string(b))
	return err
}

// ParseEventID reads an id.
func ParseEventID(text string) (EventID, error) {
	rev, index, ok := strings.Cut(text, "-")
	r, err := strconv.ParseInt(rev, 10, 64)
	i, err2 := strconv.Atoi(index)
	if !ok || err != nil || err2 != nil || r < 0 || i < 0 {
		return EventID{}, Errorf(Invalid, "event id %q: want REVISION-INDEX, such as 1234-7", text)
	}
	return EventID{Rev(r), i}, nil
}

// After says that it comes later than the other.
func (id EventID) After(other EventID) bool {
	return id.Rev > other.Rev || id.Rev == other.Rev && id.Index > other.Index
}
