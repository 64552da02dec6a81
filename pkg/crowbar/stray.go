package crowbar

import "encoding/json"

// Stray is something in a cluster that is of no node of its deployment, or what a node of it lacks there.
type Stray struct {
	Role    string `json:"role"`
	What    string `json:"what"`              // "member of etcd", "Kubernetes Node", "lease of flannel"...
	Name    string `json:"name"`              // as the cluster has it
	Node    string `json:"node,omitempty"`    // short host name, where it is known
	Address string `json:"address,omitempty"` // IP, where it is known
	Says    string `json:"says"`              // what is wrong with it
	Mend    Mend   `json:"mend,omitempty"`
	Remedy  string `json:"remedy,omitempty"` // what a person does about it, where it is mended by nobody else
	Mended  bool   `json:"mended,omitempty"`
	Failure string `json:"failure,omitempty"` // why it could not be mended
}

// Mend is how a stray is mended.
type Mend string

// The ways to mend a stray.
const (
	MendByHand Mend = ""       // by a person alone
	MendForget Mend = "forget" // a peer takes it out, as with a node that is forgotten
	MendRerun  Mend = "rerun"  // the node's node-role runs again, in full
	MendDrop   Mend = "drop"   // it is in the daemon's own state
)

// Strays is what was found of a deployment.
type Strays struct {
	Deployment string        `json:"deployment"`
	Asked      []string      `json:"asked"` // node/role that answered
	Found      []Stray       `json:"found"`
	Unknown    []StrayAnswer `json:"unknown"` // roles that could not be asked
}

// StrayAnswer is why a role could not be asked.
type StrayAnswer struct {
	Role   string `json:"role"`
	Reason string `json:"reason"`
}

// StraysIn reads what a role's action strays gave back; see role.Found.
func StraysIn(d Data) (list []Stray, err error) {
	b, err := json.Marshal(d["strays"])
	if err == nil {
		err = json.Unmarshal(b, &list)
	}
	return list, err
}
