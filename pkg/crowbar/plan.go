package crowbar

import "time"

// Difference is one thing that a run made, or that a dry run would make.
type Difference struct {
	What string `json:"what"`           // "file", "unit", "package", "sysctl", "artifact", "member"...
	Name string `json:"name"`           // "/etc/etcd/etcd.env"
	Do   string `json:"do"`             // "create", "change", "remove", "restart", "start", "install", "join"...
	Diff string `json:"diff,omitempty"` // short, no secrets: what of it ("content, mode 0644 -> 0600"), from what to what

	// Unified is the lines of a text that go ("-..."), come ("+...") and stand beside those (" ..."), each run of them below
	// its "@@ -FROM,LINES +TO,LINES @@"; nothing for a secret, a file that not everybody may read, and what is no text.
	Unified string `json:"unified,omitempty"`
	More    int    `json:"more,omitempty"` // lines of it that are left out
}

// String is one line.
func (d Difference) String() string {
	s := d.Do + " " + d.What + " " + d.Name
	if d.Diff != "" {
		s += " (" + d.Diff + ")"
	}
	return s
}

// Outlook is what a dry run says of a step.
type Outlook string

// The outlooks of a step.
const (
	NotAsked   Outlook = ""            // the plan was made without dry runs
	WillChange Outlook = "changes"     // Step.Differences has them
	WillNot    Outlook = "unchanged"   // there is nothing to do
	KnownAfter Outlook = "known-after" // Step.After has to run first
	CannotAsk  Outlook = "unknown"     // it could not be asked: Step.Reason says why
)

// Step is one run that a plan foresees.
type Step struct {
	NodeRole   ID       `json:"node_role_id"`
	Node       string   `json:"node"`
	Role       string   `json:"role"`
	Deployment string   `json:"deployment"`
	Do         string   `json:"do"` // "apply" or "remove"
	Cohort     int      `json:"cohort"`
	Why        string   `json:"why"`      // "never applied", "attribs changed", "retry after error", "rerun", "unbound"
	Expected   Duration `json:"expected"` // median of recorded runs; 0 = no history

	// Low and High are the shortest and longest of few recorded runs, the 10th and 90th percentile of ten and more.
	Low     Duration `json:"low,omitempty"`
	High    Duration `json:"high,omitempty"`
	History int      `json:"history,omitempty"` // recorded runs that Expected, Low and High come from; 0 = unknown

	Outlook     Outlook      `json:"outlook,omitempty"`
	Differences []Difference `json:"differences,omitempty"`
	After       string       `json:"after,omitempty"`  // node/role that has to run first, with KnownAfter
	Before      string       `json:"before,omitempty"` // node/role that changes first: the differences are as things stand now
	Reason      string       `json:"reason,omitempty"` // why it could not be asked, with CannotAsk
	Given       string       `json:"given,omitempty"`  // keyed digest of what the run is given; see Plan.Seal
}

// Place names the step's node-role: node/role.
func (s Step) Place() string { return s.Node + "/" + s.Role }

// Touches says that the step may change its node.
func (s Step) Touches() bool { return s.Outlook != WillNot }

// Plan is what would be done, as a value: it can be read, kept in a file, and given back to be carried out. There is no
// secret in it.
type Plan struct {
	Format     int       `json:"format"` // PlanFormat
	Deployment string    `json:"deployment"`
	Made       time.Time `json:"made"`
	Rev        Rev       `json:"rev"`                // of the state that it was made from
	Document   *Cluster  `json:"document,omitempty"` // is applied first
	Hidden     []string  `json:"hidden,omitempty"`   // places in the document whose values are secret, and not in the plan
	Rerun      bool      `json:"rerun,omitempty"`
	Force      bool      `json:"force,omitempty"`

	Steps   []Step   `json:"steps"`
	Touches []string `json:"touches"` // the nodes that may be changed, by short name; no other one is
	Outlook Outlook  `json:"outlook"` // NotAsked, WillNot where no step touches its node, else WillChange

	// The time of the whole, from recorded runs: Expected, and Low and High as in Step. Unrecorded steps have no history
	// and count as nothing: where there are some, the times are lower bounds.
	Expected   Duration `json:"expected"`
	Low        Duration `json:"low"`
	High       Duration `json:"high"`
	Unrecorded int      `json:"unrecorded"`
	Critical   []string `json:"critical_path"` // node/role of the steps that follow one another and take longest together

	// Seal is a keyed digest of all the above, made by the daemon; a plan that was made to be read only has none.
	Seal string `json:"seal,omitempty"`
}

// PlanFormat is the form of Plan that this version writes and reads.
const PlanFormat = 1

// PlanFor says what is to be planned: what is left to do in a deployment, or after a document was applied to it, or
// everything once more.
type PlanFor struct {
	Deployment string
	Document   *Cluster
	Rerun      bool
	Force      bool // with Rerun or Document: every run in full
	Seal       bool // make a plan that can be carried out
}

// DryRun is one node-role to be asked what its run would change.
type DryRun struct {
	Work  *Work
	Check bool // only what was changed by hand, where the role can tell
}

// Answer is what came of a DryRun.
type Answer struct {
	Differences []Difference
	Failure     string // "" = it was answered
}

// Drift is what is not on the nodes as it was applied.
type Drift struct {
	Deployment string      `json:"deployment"`
	Asked      int         `json:"asked"` // node-roles
	Same       int         `json:"same"`
	NodeRoles  []DriftedOn `json:"node_roles"` // those that differ, and those that could not be asked
}

// DriftedOn is the drift of one node-role.
type DriftedOn struct {
	NodeRole    ID           `json:"node_role_id"`
	Node        string       `json:"node"`
	Role        string       `json:"role"`
	Outlook     Outlook      `json:"outlook"` // WillChange or CannotAsk
	Differences []Difference `json:"differences,omitempty"`
	Reason      string       `json:"reason,omitempty"` // with CannotAsk
	// Due says that the node-role is to run anyway, since what it is given has changed: not all of the differences need
	// have been made by hand.
	Due bool `json:"due,omitempty"`
}
