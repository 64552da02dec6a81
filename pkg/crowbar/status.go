package crowbar

import "time"

// Status is what one looks at while a deployment converges.
type Status struct {
	Rev        Rev              `json:"rev"`
	Deployment string           `json:"deployment"`
	State      string           `json:"state"` // proposed, committed, active, error
	Paused     bool             `json:"paused"`
	NodeRoles  []NodeRoleStatus `json:"node_roles"`
	// Remaining is the expected time to the end, from recorded durations; Known is false where there is no history.
	Remaining Duration `json:"remaining"`
	Known     bool     `json:"remaining_known"`
}

// NodeRoleStatus is one node-role for a reader, with names instead of ids.
type NodeRoleStatus struct {
	ID       ID        `json:"id"`
	Node     string    `json:"node"`
	Role     string    `json:"role"`
	Cohort   int       `json:"cohort"`
	State    State     `json:"state"`
	Name     string    `json:"state_name"`
	Status   string    `json:"status"`
	Why      string    `json:"why,omitempty"`
	Failure  string    `json:"failure,omitempty"`
	Attempt  uint64    `json:"attempt"`
	RunCount int       `json:"run_count"`
	Since    time.Time `json:"since"`
	Expected Duration  `json:"expected"` // of one run; 0 = no history
	Removing bool      `json:"removing,omitempty"`
	RetryAt  time.Time `json:"retry_at,omitzero"` // when it is tried again by itself; zero = it is not
	Halted   bool      `json:"halted,omitempty"`  // its node does not answer, or it or its node is not to be used: it does not begin
	Held     bool      `json:"held,omitempty"`    // it is not active, and outside of the plan that its deployment carries out
}

// RunReport is one run for a reader.
type RunReport struct {
	ID       ID        `json:"id"`
	NodeRole ID        `json:"node_role_id"`
	Node     string    `json:"node"`
	Role     string    `json:"role"`
	Attempt  uint64    `json:"attempt"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Outcome  string    `json:"outcome"`
	Changes  []string  `json:"changes,omitempty"`
	Mended   bool      `json:"mended,omitempty"` // what it changed had been changed by hand
}

// Report says where the time of a convergence went.
type Report struct {
	Wall     Duration    `json:"wall"`
	Critical Duration    `json:"critical"` // length of the longest chain of runs that had to follow each other
	Path     []RunReport `json:"path"`
	Runs     []RunReport `json:"runs"` // in order of start
}

// Cluster is a cluster.yaml: everything one deployment should be.
type Cluster struct {
	Deployment  string           `json:"deployment" yaml:"deployment"`
	Description string           `json:"description,omitempty" yaml:"description,omitempty"` // "" = as it is
	Parent      string           `json:"parent,omitempty" yaml:"parent,omitempty"`           // "" = the root, or as it is
	Networks    []ClusterNetwork `json:"networks,omitempty" yaml:"networks,omitempty"`
	Attribs     map[string]any   `json:"attribs,omitempty" yaml:"attribs,omitempty"`
	Nodes       []ClusterNode    `json:"nodes" yaml:"nodes"`
}

// ClusterNode is one node of a Cluster, with the roles that are bound to it by name; what those ask for comes along.
type ClusterNode struct {
	Name        string         `json:"name" yaml:"name"`
	Description string         `json:"description,omitempty" yaml:"description,omitempty"` // "" = as it is
	Address     string         `json:"address" yaml:"address"`
	Admin       bool           `json:"admin,omitempty" yaml:"admin,omitempty"`
	Jig         string         `json:"jig,omitempty" yaml:"jig,omitempty"`
	SSH         ClusterSSH     `json:"ssh,omitzero" yaml:"ssh,omitempty,flow"`
	Roles       []string       `json:"roles" yaml:"roles,flow"`
	Attribs     map[string]any `json:"attribs,omitempty" yaml:"attribs,omitempty"`
}

// ClusterSSH says how the node is reached where that is not root at its address, port 22.
type ClusterSSH struct {
	Host    string `json:"host,omitempty" yaml:"host,omitempty"`
	Port    int    `json:"port,omitempty" yaml:"port,omitempty"`
	User    string `json:"user,omitempty" yaml:"user,omitempty"`
	HostKey string `json:"host_key,omitempty" yaml:"host_key,omitempty"`
}
