package crowbar

import "time"

// Reasons says what keeps a deployment from being done: its node-roles that are not active, by the root cause that they wait
// for.
type Reasons struct {
	Rev        Rev     `json:"rev"`
	Deployment string  `json:"deployment"`
	Active     int     `json:"active"` // node-roles
	Total      int     `json:"total"`
	Causes     []Cause `json:"causes"` // those that need somebody first, then by how many wait for them
}

// Cause is one root cause and what waits for it.
type Cause struct {
	Kind     CauseKind `json:"kind"`
	Cause    string    `json:"cause"`                  // one line
	Remedy   string    `json:"remedy"`                 // what to do about it
	NodeRole ID        `json:"node_role_id,omitempty"` // that is it, where it is one
	Place    string    `json:"node_role,omitempty"`    // "node/role" of that one
	Waiting  []Waiting `json:"waiting"`                // the one that is the cause among them, if it is of the deployment
}

// Waiting is one node-role that is not active.
type Waiting struct {
	ID    ID     `json:"id"`
	Node  string `json:"node"`
	Role  string `json:"role"`
	State State  `json:"state"`
	Name  string `json:"state_name"`
	Why   string `json:"why"` // one line, to the root cause
}

// CauseKind says what sort of thing is waited for.
type CauseKind string

// The kinds of causes, in the order of how much they need somebody.
const (
	CauseError    CauseKind = "error"    // a node-role is in error
	CauseNode     CauseKind = "node"     // a node is not alive or not available, has no address, or a target role keeps its others
	CauseProposed CauseKind = "proposed" // something is being edited
	CausePaused   CauseKind = "paused"   // a deployment is
	CausePlan     CauseKind = "plan"     // the plan that is carried out does not have it
	CauseRole     CauseKind = "role"     // a role's jig, or one of the things that belong together, is gone
	CauseNeeded   CauseKind = "needed"   // what is to be removed is still needed on its node
	CauseRetry    CauseKind = "retry"    // a node-role failed, and is tried again by itself
	CauseRun      CauseKind = "run"      // a node-role runs
	CauseNext     CauseKind = "next"     // nothing: the annealer takes it next
)

// CauseKinds are all kinds of causes, in their order.
var CauseKinds = []CauseKind{CauseError, CauseNode, CauseProposed, CausePaused, CausePlan, CauseRole, CauseNeeded, CauseRetry, CauseRun, CauseNext}

// RetryAt is when a node-role that failed is tried again by itself; false if it is not.
func (nr *NodeRole) RetryAt() (time.Time, bool) {
	if nr.State != Error || nr.RetryIn == 0 {
		return time.Time{}, false
	}
	return nr.Since.Add(time.Duration(nr.RetryIn)), true
}
