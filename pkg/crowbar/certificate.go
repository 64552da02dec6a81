package crowbar

import "time"

// The phases in which an authority or a key is replaced. Each is over when everything that uses it has been applied since.
const (
	PhaseTrust   = "trust"   // the new one is trusted beside the old one, which still signs
	PhaseReissue = "reissue" // the new one signs; the old one is still trusted
	PhaseDrop    = "drop"    // the old one is gone
)

// Rotation is how far the replacement of an authority or a key has come.
type Rotation struct {
	Phase   string    `json:"phase"`
	Since   time.Time `json:"since"`            // of the phase
	Hold    Duration  `json:"hold"`             // how long the old one stays trusted after all has been reissued
	Settled time.Time `json:"settled,omitzero"` // when all had been reissued
}

// Certificate is what may be known of an authority, a leaf or a key of the host's.
type Certificate struct {
	Secret     ID        `json:"id"`
	Deployment string    `json:"deployment"`
	Name       string    `json:"name"`               // such as "authority/etcd", "leaf/etcd-peer-leaf/n1"
	What       string    `json:"what"`               // "authority", "leaf" or "key"
	Node       string    `json:"node"`               // of a leaf
	Subject    string    `json:"subject"`            // common name
	KeyID      string    `json:"key_id"`             // of a certificate: its subject key identifier, in hex; of a key: its name. "" where it has none
	Issuer     string    `json:"issuer"`             // of a leaf: the key identifier of its authority
	Trusted    []string  `json:"trusted"`            // of an authority that is rotated: all that are trusted, the newest first
	Begins     time.Time `json:"begins,omitzero"`    // zero for keys
	Ends       time.Time `json:"ends,omitzero"`      // zero for keys
	Renews     time.Time `json:"renews,omitzero"`    // two thirds of its life
	Due        bool      `json:"due"`                // that time has come
	Rotation   *Rotation `json:"rotation,omitempty"` // under way
	Waits      []string  `json:"waits"`              // what its rotation waits for: one line each
	UsedBy     []string  `json:"used_by"`            // "NODE/ROLE"
}

// RenewWish says which leaves are made anew: those of a node, those of a name ("etcd-peer-leaf", or "leaf/etcd-peer-leaf/n1"), and
// without All those alone that are due.
type RenewWish struct {
	Node string `json:"node,omitempty"`
	Name string `json:"name,omitempty"`
	All  bool   `json:"all,omitempty"`
}

// RotateWish says which authorities and keys are replaced. With Plan nothing is done.
type RotateWish struct {
	Names []string  `json:"names"` // "etcd", "k8s-master-encryption-key"; none = all
	Hold  *Duration `json:"hold,omitempty"`
	Plan  bool      `json:"plan,omitempty"`
}

// RotationStep is a phase of one rotation: what runs in it, and what is true at its end.
type RotationStep struct {
	Name      string   `json:"name"`
	Phase     string   `json:"phase"`
	State     string   `json:"state"` // "done", "now" or "to come"
	Does      string   `json:"does"`
	NodeRoles []string `json:"node_roles"` // "NODE/ROLE", in the order in which they run
}

// Secret is the name of the secret in which a computed value is kept.
func (c Computed) Secret() string {
	switch {
	case c.Leaf != nil:
		return "leaf/" + c.Attrib + "/" + c.Node
	case c.Authority != "":
		return AuthoritySecret(c.Authority)
	}
	return "generate/" + c.Attrib
}

// AuthoritySecret is the name of an authority's secret.
func AuthoritySecret(authority string) string { return "authority/" + authority }
