package crowbar

import "time"

// Explanation is where the value of one attrib comes from, as a node-role sees it.
type Explanation struct {
	NodeRole    string  `json:"node_role"` // "n1/etcd"
	Attrib      string  `json:"attrib"`
	Description string  `json:"description,omitempty"`
	Role        string  `json:"role,omitempty"` // whose attrib it is; "" = of nodes
	Map         string  `json:"map"`
	Secret      bool    `json:"secret"`
	Computed    string  `json:"computed,omitempty"` // how the host makes it; then there are no layers
	Value       any     `json:"value"`              // masked if it is secret
	Proposed    bool    `json:"proposed,omitempty"` // something else is proposed, which counts from the next commit on
	Layers      []Layer `json:"layers,omitempty"`   // lowest first: of those that have a value, the last one wins
}

// Layer is one place that has a word in an attrib's value.
type Layer struct {
	Name  string     `json:"layer"`
	Where string     `json:"where"`           // the object that has it, or file and line of a default
	Set   bool       `json:"set"`             // it has a value
	Value any        `json:"value,omitempty"` // masked if it is secret
	Wins  bool       `json:"wins,omitempty"`
	Since *time.Time `json:"since,omitempty"` // when the object was last changed
}

// Valued is an attrib with the value that some object has of it; a secret's is masked.
type Valued struct {
	*Attrib
	Value any `json:"value"`
}

// AttribUse is who uses an attrib.
type AttribUse struct {
	Attrib    string        `json:"attrib"`
	Barclamp  string        `json:"barclamp"`
	Source    string        `json:"source,omitempty"` // file and line
	Role      string        `json:"role,omitempty"`   // whose attrib it is; "" = of nodes
	Map       string        `json:"map"`
	Secret    bool          `json:"secret"`
	Roles     []string      `json:"roles"`            // that are given it
	Leaves    []string      `json:"leaves,omitempty"` // attribs with a certificate that names it
	NodeRoles []Explanation `json:"node_roles"`       // without layers but the one that wins
}

// SealStatus says which keys seal the secrets of the state.
type SealStatus struct {
	Source string    `json:"source"` // where this daemon's keys come from
	Keys   []SealKey `json:"keys"`   // the one that seals first
	Left   int       `json:"left"`   // values that are to be sealed anew by the first key
	Busy   bool      `json:"busy"`   // this daemon is at it
	Error  string    `json:"error,omitempty"`
}

// SealKey is one key, by its id, and how many values of the state it seals.
type SealKey struct {
	ID     string `json:"id"`    // "" = values of before keys had ids
	Seals  bool   `json:"seals"` // new values
	Here   bool   `json:"here"`  // this daemon has it
	Values int    `json:"values"`
}
