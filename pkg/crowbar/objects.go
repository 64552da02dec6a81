package crowbar

import "time"

// Barclamp is one imported document: a set of roles, jigs and attribs.
type Barclamp struct {
	ID          ID       `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Version     string   `json:"version"`
	SourcePath  string   `json:"source_path"`
	Parent      ID       `json:"barclamp_id,omitempty"` // 0 = none but itself
	Document    Data     `json:"cfg_data"`              // the whole document as imported
	Warnings    []string `json:"warnings,omitempty"`    // what the document has and nobody understood: "path:line: text"
	Stamps
}

// Flags say how a role is bound and run; see OpenCrowbar's role flags.
type Flags struct {
	Library     bool `json:"library"`
	Implicit    bool `json:"implicit"`  // must live on the same node as the role that asks for it
	Bootstrap   bool `json:"bootstrap"` // bound to admin nodes when they are created
	Discovery   bool `json:"discovery"` // bound to every node when it is committed
	Cluster     bool `json:"cluster"`   // children of one are children of all in the deployment
	Destructive bool `json:"destructive"`
	Abstract    bool `json:"abstract"` // cannot be bound
	Milestone   bool `json:"milestone"`
	Powersave   bool `json:"powersave"`
	Service     bool `json:"service"` // lives on the deployment's phantom node
}

// Exclusive is an engine-held semaphore: at most Limit runs under this name at once in one deployment.
type Exclusive struct {
	Name  string `json:"name"`
	Limit int    `json:"limit"`
	// LimitBy names an attrib that holds the limit, in place of Limit.
	LimitBy string `json:"limit_by,omitempty"`
	// Gate "peers-active": nothing starts while another node-role of this role in the deployment is in error; "peers-rolled": while
	// one is that failed to take over the change of a rolling attrib.
	Gate string `json:"gate,omitempty"`
	// Rolling "once" or "twice": it concerns only what runs because a rolling attrib changed. With "twice" those that have taken
	// the change over run once more, when all have.
	Rolling string `json:"rolling,omitempty"`
}

// Unique is a value of a role's wall that no two node-roles of the role may have: a run that gives back one that another has
// fails, and says what to do.
type Unique struct {
	Name string `json:"name"`
	Mend string `json:"mend,omitempty"`
}

// Owns is what a role alone may use on a node; two owners on one node are refused when the second is bound.
type Owns struct {
	Ports []string `json:"ports,omitempty"` // "2379", or the name of the attrib that holds the number
	Units []string `json:"units,omitempty"` // systemd units
	Paths []string `json:"paths,omitempty"`
}

// Retry says how often a role that failed is tried again by itself, and when. Zero = never: a failed one waits for a person.
type Retry struct {
	Times   int      `json:"times"`           // retries after the first failed run, until one ends well or a person steps in
	Backoff Duration `json:"backoff"`         // before the first retry; twice as long before each further one
	Limit   Duration `json:"limit,omitempty"` // the longest that is waited; 0 = no limit
}

// Role is one deployment step, done by a plugin.
type Role struct {
	ID          ID          `json:"id"`
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Barclamp    ID          `json:"barclamp_id"`
	Jig         string      `json:"jig_name"`
	Cohort      int         `json:"cohort"`
	Flags       Flags       `json:"flags"`
	Requires    []string    `json:"requires"`           // hard parents, late-bound by name
	Preceeds    []string    `json:"preceeds"`           // soft: where both exist, this one runs first (OpenCrowbar's spelling)
	Provides    []string    `json:"provides"`           // names that this role satisfies
	Conflicts   []string    `json:"conflicts"`          // roles that may not share a node with this one
	Attaches    []string    `json:"attaches,omitempty"` // roles that shall require this one
	Attached    []string    `json:"attached,omitempty"` // those of Requires that other roles (attaches) or the jig (implementor) put there
	Wants       []string    `json:"wants_attribs"`      // attrib names that a run is given, besides the role's own attribs
	Peers       []string    `json:"peers,omitzero"`     // roles whose node-roles a run sees, of those that graph.Peers says; nil = of all of them
	Exclusive   []Exclusive `json:"exclusive,omitempty"`
	Unique      []Unique    `json:"unique,omitempty"`
	Owns        Owns        `json:"owns"`
	Timeout     Duration    `json:"timeout"` // of one run; 0 means the engine's default
	Retry       Retry       `json:"retry,omitzero"`
	Forgets     bool        `json:"forgets,omitempty"` // it has the action forget: a peer takes out one whose node is gone
	Template    Data        `json:"template,omitempty"`
	Notes       Data        `json:"notes,omitempty"`
	Network     ID          `json:"network_id,omitempty"` // made by the engine for this network, not by a barclamp
	Stamps
}

// Jig is a way in which roles reach nodes, by name.
type Jig struct {
	ID          ID     `json:"id"`
	Name        string `json:"name"`
	Class       string `json:"class"`
	Description string `json:"description"`
	Active      bool   `json:"active"`
	ClientRole  string `json:"client_role_name,omitempty"`
	Stamps
}

// Attrib is one named value that roles want, with its default and its rule.
type Attrib struct {
	ID          ID     `json:"id"`
	Barclamp    ID     `json:"barclamp_id"`
	Role        ID     `json:"role_id"` // 0 = a node attrib
	Name        string `json:"name"`
	Description string `json:"description"`
	Rolling     bool   `json:"rolling,omitempty"` // a change is taken over under the exclusives of that name: some nodes at a time
	Map         string `json:"map"`               // slash path into the data of whatever carries it
	Default     any    `json:"default"`
	Schema      Data   `json:"schema,omitempty"` // kwalify
	Writable    bool   `json:"writable"`
	Secret      bool   `json:"secret"` // sealed at rest, masked everywhere else
	Order       int    `json:"order"`
	Source      string `json:"source,omitempty"`  // where its barclamp has it: "path:line"
	ByHand      bool   `json:"by_hand,omitempty"` // made besides its barclamp's document

	// At most one of the next three: the host computes the value, nobody sets it.
	Leaf      *Leaf  `json:"leaf,omitempty"`      // value: {"cert": PEM, "key": PEM, "ca": PEM}, one per node
	Generate  string `json:"generate,omitempty"`  // "random-32" (base64 of 32 bytes), "ecdsa-p256" (PEM private key), or those that can be rotated: "ring-32", "ring-p256"; one per deployment
	Authority string `json:"authority,omitempty"` // value: PEM certificate(s) of that authority, one per deployment
	Stamps
}

// Leaf describes a certificate of the cluster's PKI for one node. In CommonName, DNS and IP the words {{node}} (short
// name), {{address}} and {{attrib NAME}} are replaced.
type Leaf struct {
	Authority    string   `json:"authority"`
	CommonName   string   `json:"common_name"`
	Organization []string `json:"organization,omitempty"`
	DNS          []string `json:"dns,omitempty"`
	IP           []string `json:"ip,omitempty"`
	Usages       []string `json:"usages"` // "server", "client"
}

// Node is one server, or the phantom on which a deployment's service roles live.
type Node struct {
	ID          ID       `json:"id"`
	Name        string   `json:"name"` // lower-case host name, at most 63 characters a label
	Description string   `json:"description"`
	Admin       bool     `json:"admin"`
	System      bool     `json:"system"` // a phantom
	Deployment  ID       `json:"deployment_id"`
	Alive       bool     `json:"alive"`
	Available   bool     `json:"available"`
	Allocated   bool     `json:"allocated"`
	BootEnv     string   `json:"bootenv"`
	Arch        string   `json:"arch"`               // GOARCH; "" until facts are read
	Address     string   `json:"address"`            // IP that other nodes use, and ssh unless SSH.Host is set
	Jig         string   `json:"jig_name,omitempty"` // "" = the role's; "local" for the admin host
	SSH         SSH      `json:"ssh"`
	Quirks      []string `json:"quirks,omitempty"`
	Discovery   Data     `json:"discovery,omitempty"`
	Hint        Data     `json:"hint,omitempty"`
	Notes       Data     `json:"notes,omitempty"`
	Groups      []ID     `json:"groups,omitempty"`
	Target      ID       `json:"target_role_id,omitempty"` // only this role, and what it needs here, runs; 0 = all
	Warnings    []string `json:"warnings,omitempty"`       // roles that should have come to it by themselves, and why they did not
	Removing    bool     `json:"removing,omitempty"`       // being deleted: goes when its last node-role is gone
	Forgotten   bool     `json:"forgotten,omitempty"`      // being deleted as dead: nothing is run on it, others take out what it was to them
	Stamps
}

// SSH says how a node is reached. HostKey is in authorized_keys form; it is recorded at the first contact (or given) and
// never replaced by itself.
type SSH struct {
	Host    string `json:"host,omitempty"` // "" = Node.Address
	Port    int    `json:"port,omitempty"` // 0 = 22
	User    string `json:"user,omitempty"` // "" = root
	HostKey string `json:"host_key,omitempty"`
}

// Deployment is a set of roles on nodes that is annealed together. Deployments nest; the root is "system".
type Deployment struct {
	ID          ID              `json:"id"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Stored      DeploymentState `json:"stored_state"`
	Parent      ID              `json:"parent_id"`
	System      bool            `json:"system"`
	Phantom     ID              `json:"phantom_id"` // node of its service roles
	Paused      bool            `json:"paused"`
	Plan        *PlanHold       `json:"plan,omitempty"` // while it is set, nothing begins but what this plan foresees
	Stamps
}

// PlanHold binds a deployment to a plan that is carried out.
type PlanHold struct {
	Rev  Rev       `json:"rev"`  // of the state when it was put in force; the node-roles that it foresees have the same
	Made time.Time `json:"made"` // when it was planned
	Runs int       `json:"runs"` // that it foresees in this deployment
}

// DeploymentRole carries what is said of a role for a whole deployment.
type DeploymentRole struct {
	ID         ID   `json:"id"`
	Deployment ID   `json:"deployment_id"`
	Role       ID   `json:"role_id"`
	Committed  Data `json:"committed_data"`         // attrib maps -> values
	Proposed   Data `json:"proposed_data,omitzero"` // nil = nothing proposed
	Wall       Data `json:"wall,omitempty"`
	Notes      Data `json:"notes,omitempty"`
	// First is the node-role that was, or will be, the first of its role in the deployment to run: a cluster's founder.
	First ID `json:"first_id,omitempty"`
	Stamps
}

// Link is an edge to a parent node-role.
type Link struct {
	ID   ID   `json:"id"`
	Soft bool `json:"soft,omitempty"` // from preceeds: orders, but does not hold the parent back from removal
}

// NodeRole is a role bound to a node: the unit of work.
type NodeRole struct {
	ID         ID     `json:"id"`
	Deployment ID     `json:"deployment_id"`
	Node       ID     `json:"node_id"`
	Role       ID     `json:"role_id"`
	State      State  `json:"state"`
	Status     string `json:"status"`    // one line: what it does now, or what went wrong
	Available  bool   `json:"available"` // false: never runs
	Order      int    `json:"order"`
	Cohort     int    `json:"cohort"`
	RunCount   int    `json:"run_count"` // runs that ended well
	Parents    []Link `json:"parents"`

	Proposed  Data `json:"proposed_data,omitzero"` // nil = nothing proposed
	Committed Data `json:"committed_data,omitempty"`
	Sys       Data `json:"sysdata,omitempty"`
	Wall      Data `json:"wall,omitempty"` // what the last good run gave back, flat: name -> value
	Notes     Data `json:"notes,omitempty"`

	// Claims is what its wall has that no other of its role may have: Role.Unique.
	Claims []string `json:"claims,omitempty"`

	Attempt  uint64    `json:"attempt"`            // grows with every Begin; the fence that refuses an older run
	Owner    string    `json:"owner,omitempty"`    // the daemon instance that holds it in transition
	Run      ID        `json:"run_id,omitempty"`   // of the last attempt
	Failure  string    `json:"failure,omitempty"`  // whole text of the last failed run
	Removing bool      `json:"removing,omitempty"` // unbound: the next run is Remove, after which it is dropped
	Stale    bool      `json:"stale,omitempty"`    // what its run was given has changed since: it runs once more, at the run's end, or with the next commit
	Force    bool      `json:"force,omitempty"`    // its next run does everything, also where nothing has changed
	Cancel   string    `json:"cancel,omitempty"`   // who wants its run to stop; it ends in error, however it ends
	Failed   int       `json:"failed,omitempty"`   // runs in a row that failed, since one ended well or a person stepped in
	RetryIn  Duration  `json:"retry_in,omitempty"` // how long after Since one in error is tried again by itself; 0 = it is not
	Plan     Rev       `json:"plan,omitempty"`     // the last plan that foresaw a run of it: PlanHold.Rev
	Rolling  int       `json:"rolling,omitempty"`  // a rolling attrib changed, and it has not taken that over: in which round it will
	Given    string    `json:"given,omitempty"`    // attempt and keyed digest of what the last good run was given
	Since    time.Time `json:"since"`              // of the present state
	Stamps
}

// Run is the record of one attempt of a node-role. Its log is a file beside the state.
type Run struct {
	ID         ID        `json:"id"`
	NodeRole   ID        `json:"node_role_id"`
	Node       ID        `json:"node_id"`
	Role       ID        `json:"role_id"`
	Deployment ID        `json:"deployment_id"`
	Attempt    uint64    `json:"attempt"`
	Started    time.Time `json:"started"`
	Finished   time.Time `json:"finished"`          // zero while it runs
	Outcome    string    `json:"outcome"`           // "", "changed", "unchanged", "failed", "cancelled", "lost" (its daemon died)
	Remove     bool      `json:"remove,omitempty"`  // it takes the role off the node
	Owner      string    `json:"owner,omitempty"`   // the daemon instance that did it, and has its log
	Changes    []string  `json:"changes,omitempty"` // one line each, no secrets
	// Mended: it was given the same as the good run before it, so that what it changed had been changed by hand.
	Mended bool `json:"mended,omitempty"`
}

// Secret is a sealed value of a deployment: an authority, a leaf, a generated key. Only package pki can open it.
type Secret struct {
	ID         ID        `json:"id"`
	Deployment ID        `json:"deployment_id"`
	Name       string    `json:"name"` // unique in the deployment, such as "authority/etcd", "leaf/etcd-peer-leaf/n1"
	Sealed     []byte    `json:"sealed"`
	NotBefore  time.Time `json:"not_before,omitzero"` // when its life began; zero for keys that do not end, and what was made before this was noted
	NotAfter   time.Time `json:"not_after"`           // zero for keys that do not end
	Rotation   *Rotation `json:"rotation,omitempty"`  // an authority or a key that another one takes the place of
	Stamps
}

// Duration is a time.Duration that reads and prints as "5m" in JSON.
type Duration time.Duration

// MarshalText gives the duration in Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText takes the duration in Go's form.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Kind of each noun.
func (*Barclamp) Kind() Kind       { return KindBarclamp }
func (*Role) Kind() Kind           { return KindRole }
func (*Jig) Kind() Kind            { return KindJig }
func (*Attrib) Kind() Kind         { return KindAttrib }
func (*Node) Kind() Kind           { return KindNode }
func (*Deployment) Kind() Kind     { return KindDeployment }
func (*DeploymentRole) Kind() Kind { return KindDeploymentRole }
func (*NodeRole) Kind() Kind       { return KindNodeRole }
func (*Run) Kind() Kind            { return KindRun }
func (*Secret) Kind() Kind         { return KindSecret }

// Key of each noun.
func (o *Barclamp) Key() ID       { return o.ID }
func (o *Role) Key() ID           { return o.ID }
func (o *Jig) Key() ID            { return o.ID }
func (o *Attrib) Key() ID         { return o.ID }
func (o *Node) Key() ID           { return o.ID }
func (o *Deployment) Key() ID     { return o.ID }
func (o *DeploymentRole) Key() ID { return o.ID }
func (o *NodeRole) Key() ID       { return o.ID }
func (o *Run) Key() ID            { return o.ID }
func (o *Secret) Key() ID         { return o.ID }

// Short is the node's name up to the first dot: its host name.
func (n *Node) Short() string {
	for i := range n.Name {
		if n.Name[i] == '.' {
			return n.Name[:i]
		}
	}
	return n.Name
}

// Settled says that the node-role has been applied at least once and is not in error, being edited or on its way out; a
// rerun (todo, transition, blocked) does not unsettle it.
func (nr *NodeRole) Settled() bool {
	return nr.RunCount > 0 && nr.State != Error && nr.State != Proposed && !nr.Removing
}
