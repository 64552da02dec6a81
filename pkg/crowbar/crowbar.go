// Package crowbar holds the nouns of the system: barclamps, roles, nodes, deployments, node-roles, attribs, and the
// immutable Snapshot that they make together. It does not know how they are stored, run, shown or parsed.
//
// Words and numbers are OpenCrowbar's. An object is never changed in place: take a copy, change the copy, and hand it on
// as a Change.
package crowbar

import (
	"fmt"
	"strconv"
	"time"
)

// ID names one object. IDs come from one counter for all kinds, start at 1 and are never used twice; 0 is 'none'.
type ID uint64

// String is the decimal form, as on the wire.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Rev is a revision of the whole state; each commit makes the next one. It is the store's own (etcd's) revision.
type Rev int64

// Data is a JSON tree: nil, bool, float64, string, []any, map[string]any. Attribs given to a role are flat: name -> value.
type Data = map[string]any

// State is the state of a node-role.
type State int

// The states of a node-role, with OpenCrowbar's numbers.
const (
	Error      State = -1 // the last run failed; stays until retried
	Active     State = 0  // applied
	Todo       State = 1  // every parent is active; waits for the annealer
	Transition State = 2  // a run is under way
	Blocked    State = 3  // some parent is not active
	Proposed   State = 4  // being edited; never runs
)

var stateNames = map[State]string{Error: "error", Active: "active", Todo: "todo", Transition: "transition", Blocked: "blocked", Proposed: "proposed"}
var stateMarks = map[State]string{Error: "x", Active: "+", Todo: "o", Transition: ">", Blocked: "#", Proposed: "?"}

// String is the state's one name.
func (s State) String() string {
	if n, ok := stateNames[s]; ok {
		return n
	}
	return fmt.Sprintf("state(%d)", int(s))
}

// Mark is the one-character sign of the state, so that state is never colour alone.
func (s State) Mark() string { return stateMarks[s] }

// DeploymentState is the stored state of a deployment.
type DeploymentState int

// A deployment is being edited or takes part in annealing.
const (
	DeploymentProposed  DeploymentState = 0
	DeploymentCommitted DeploymentState = 1
)

// Kind says what an object is; it is the object's collection name on the wire and in the store.
type Kind string

// The kinds of objects.
const (
	KindBarclamp       Kind = "barclamps"
	KindRole           Kind = "roles"
	KindJig            Kind = "jigs"
	KindAttrib         Kind = "attribs"
	KindNode           Kind = "nodes"
	KindDeployment     Kind = "deployments"
	KindDeploymentRole Kind = "deployment_roles"
	KindNodeRole       Kind = "node_roles"
	KindRun            Kind = "runs"
	KindSecret         Kind = "secrets"
)

// Kinds lists every kind in the order in which objects refer to each other.
var Kinds = []Kind{KindBarclamp, KindJig, KindRole, KindAttrib, KindDeployment, KindNode, KindDeploymentRole, KindNodeRole, KindRun, KindSecret,
	KindGroup, KindAvailableHammer, KindHammer, KindNetwork, KindRange, KindRouter, KindAllocation, KindDNSNameFilter, KindUser, KindToken,
	KindEventSink, KindEventSelector, KindDelivery, KindAudit, KindAuditHead}

// Object is any noun that a Snapshot holds: always a pointer to one of this package's structs.
type Object interface {
	Kind() Kind
	Key() ID
}

// New returns an empty object of a kind, to decode into; nil for an unknown kind.
func New(k Kind) Object {
	switch k {
	case KindBarclamp:
		return &Barclamp{}
	case KindRole:
		return &Role{}
	case KindJig:
		return &Jig{}
	case KindAttrib:
		return &Attrib{}
	case KindNode:
		return &Node{}
	case KindDeployment:
		return &Deployment{}
	case KindDeploymentRole:
		return &DeploymentRole{}
	case KindNodeRole:
		return &NodeRole{}
	case KindRun:
		return &Run{}
	case KindSecret:
		return &Secret{}
	}
	return newAround(k)
}

// Change is one step from a Snapshot to the next: exactly one of the two is set.
type Change struct {
	Put  Object // created or replaced, whole
	Drop Object // removed; only Kind and Key are looked at
}

// Stamps are the two times every object has, in UTC.
type Stamps struct {
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Times is the stamps of the object that embeds them.
func (s *Stamps) Times() *Stamps { return s }
