package crowbar

// Mending is what was done about what was changed by hand in a deployment.
type Mending struct {
	Deployment string   `json:"deployment"`
	Waits      string   `json:"waits,omitempty"` // why nothing may be mended now: it is paused, or not at rest
	Busy       bool     `json:"busy,omitempty"`  // it waits for runs alone, which end by themselves
	Asked      int      `json:"asked"`           // node-roles; those that a person holds are not
	Mends      []string `json:"mends"`           // node/role that run again now
	Left       []Left   `json:"left"`            // what was not as it should be, or could not be asked, and stays as it is
}

// Left is a node-role that was left as it is.
type Left struct {
	Place string `json:"place"` // node/role
	Why   string `json:"why"`
}
