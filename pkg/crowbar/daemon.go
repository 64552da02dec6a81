package crowbar

import "time"

// Daemon is one kubeclampd at work on the state. It is registered while it lives, and is no part of the state itself.
type Daemon struct {
	Owner    string    `json:"owner"` // this start of it, never used twice; what NodeRole.Owner and Run.Owner say
	Name     string    `json:"name"`  // its own, the same at each start
	Endpoint string    `json:"endpoint"`
	Version  string    `json:"version,omitempty"`
	Since    time.Time `json:"since"`
	Leader   bool      `json:"leader"` // does what only one may do
}

// KindDaemon is what the API calls them; they are no objects of the state.
const KindDaemon Kind = "daemons"
