package crowbar

// Catalog is one barclamp document, read: what an import brings.
type Catalog struct {
	Barclamp Barclamp
	Jigs     []Jig
	Roles    []Role
	Attribs  []CatalogAttrib
	Hammers  []AvailableHammer

	Parent  string            // name of the barclamp that must be there before it; "" = none
	Foreign bool              // another product's document: it may name jigs that there are not
	Lines   map[string]string // where things stand in the document ("role etcd" -> "path:line"), for complaints
}

// CatalogAttrib is an attrib with the name of the role that has it; "" = a node attrib.
type CatalogAttrib struct {
	RoleName string
	Attrib
}

// Peer is a node-role beside the one that runs, as its role sees it.
type Peer struct {
	NodeRole ID     `json:"-"`
	Role     string `json:"role"`
	Node     string `json:"node"` // short host name
	Address  string `json:"address"`
	State    State  `json:"state"`
	Settled  bool   `json:"settled"` // applied before, and not in error nor on its way out: it serves
	First    bool   `json:"first"`   // the founder of its role in the deployment
	Alive    bool   `json:"alive"`
	Wall     Data   `json:"wall,omitempty"`
}

// Computed asks for the value of an attrib that the host makes (leaf, generate, authority), with all words in Leaf replaced.
type Computed struct {
	Deployment ID
	Node       string // short host name; "" for values of the whole deployment
	Attrib     string
	Leaf       *Leaf
	Generate   string
	Authority  string
}

// Work is one run of a node-role, frozen when it began.
type Work struct {
	NodeRole   NodeRole
	Node       Node
	Role       Role
	Deployment Deployment
	Run        ID
	Attempt    uint64
	Attribs    Data
	Secrets    []string // values that no log may show
	// SecretNames is the attribs whose values are secret, also those that the run gives back.
	SecretNames []string
	// Tree is what OpenCrowbar's jigs stage for a role's scripts: Attribs at their maps, and below them what is known of the other
	// roles on the node that it comes after, but their secrets. Maps is attrib name -> map, of Attribs. Of jig script alone.
	Tree   Data
	Maps   map[string]string
	Peers  []Peer
	First  bool
	Again  bool
	Remove bool // take the role off the node instead of applying it
	Last   bool // with Remove: no other node-role of its role is settled
	Force  bool // do everything, also where nothing has changed since the last run
	// Via is, with Remove of what is on a node that is forgotten, a peer that takes it out in its stead; nil = nobody needs to.
	Via *Work
}

// Outcome is how a run ended.
type Outcome struct {
	Failure string // "" = well
	Status  string // one line
	Changes []string
	Wall    Data
	// Given is a digest of all that the run was given, and of the role's version; "" = not known.
	Given string
	// Lost: it did not run to an end (its connection, plugin or daemon went away); it goes back to todo without blame.
	Lost bool
	// Final: with what it was given it would fail again, so that it is not tried again by itself.
	Final bool
}

// Artifact is one file of the catalogue of binaries and images.
type Artifact struct {
	Name    string `json:"name"` // "component/file"
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // hex
	Size    int64  `json:"size"`
}
