package crowbar

import "time"

// StateCopy is what is known of an export of the state: lines of JSON. The first has the keys of this; then comes one line for
// each object, {"kind": KIND, "object": OBJECT}, in the order in which kinds refer to each other; the last is
// {"end": NUMBER OF OBJECTS, "sha256": SUM OF ALL LINES BEFORE IT}.
type StateCopy struct {
	Schema   int       `json:"schema"`   // version of the form that the objects have
	Revision Rev       `json:"revision"` // of the state that was exported
	Next     ID        `json:"next"`     // first id that no object has had
	Objects  int       `json:"objects"`
	Exported time.Time `json:"exported_at"`
	Keys     []string  `json:"keys"` // ids of the keys that sealed what is secret in it
}
