package crowbar

import "time"

// Group is a set of nodes under a name: those that have it among their Groups.
type Group struct {
	ID          ID     `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Category    string `json:"category"` // class, rack, tag, ui or switch
	Order       int    `json:"order"`
	Stamps
}

// AvailableHammer is a way to get at machines that some barclamp has brought.
type AvailableHammer struct {
	ID       ID     `json:"id"`
	Name     string `json:"name"`
	Class    string `json:"klass"`
	Priority int    `json:"priority"`
	Barclamp ID     `json:"barclamp_id"`
	Stamps
}

// Hammer is a way to get at one node: to switch its power, or to run something on it.
type Hammer struct {
	ID        ID     `json:"id"`
	Node      ID     `json:"node_id"`
	Available ID     `json:"available_hammer_id"`
	Priority  int    `json:"priority"`
	Name      string `json:"name"`
	Class     string `json:"type"`
	Endpoint  string `json:"endpoint"`
	Username  string `json:"username"`
	// Authenticator is sealed by package pki; it is never shown.
	Authenticator []byte `json:"authenticator,omitempty"`
	Stamps
}

// User is somebody who may use the API.
type User struct {
	ID       ID     `json:"id"`
	Username string `json:"username"` // unique whatever its case
	Email    string `json:"email"`
	Admin    bool   `json:"is_admin"`
	Right    Right  `json:"right"` // of one who is no admin
	// Deployments are the names of those to which the right to change things is limited; nil = all.
	Deployments []string  `json:"deployments,omitempty"`
	LockedAt    time.Time `json:"locked_at,omitzero"` // zero = not locked
	// Credentials is what passwords are checked against, sealed by package pki; it is never shown.
	Credentials []byte `json:"credentials,omitempty"`
	// Sessions counts how often all sessions of the user were ended at once, by a new password or a lock: those that began under
	// another number are over. It is never shown.
	Sessions int `json:"sessions,omitempty"`
	// SignedOut has the sessions that ended one by one, and until when somebody could still come with them. It is never shown.
	SignedOut map[string]time.Time `json:"signed_out,omitempty"`
	Stamps
}

// Locked says that the user may not sign in.
func (u *User) Locked() bool { return !u.LockedAt.IsZero() }

// Kind of each noun.
func (*Group) Kind() Kind           { return KindGroup }
func (*AvailableHammer) Kind() Kind { return KindAvailableHammer }
func (*Hammer) Kind() Kind          { return KindHammer }
func (*User) Kind() Kind            { return KindUser }

// Key of each noun.
func (o *Group) Key() ID           { return o.ID }
func (o *AvailableHammer) Key() ID { return o.ID }
func (o *Hammer) Key() ID          { return o.ID }
func (o *User) Key() ID            { return o.ID }
