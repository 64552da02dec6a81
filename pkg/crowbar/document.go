package crowbar

// ClusterNetwork is one network of a Cluster; see Network for what its words mean. Its role, "network-" and its name, is bound
// to nodes like any other.
type ClusterNetwork struct {
	Name        string          `json:"name" yaml:"name"`
	Description string          `json:"description,omitempty" yaml:"description,omitempty"`
	Category    string          `json:"category,omitempty" yaml:"category,omitempty"`
	Group       string          `json:"group,omitempty" yaml:"group,omitempty"`
	Conduit     string          `json:"conduit" yaml:"conduit"`
	Order       int             `json:"order,omitempty" yaml:"order,omitempty"`
	VLAN        int             `json:"vlan,omitempty" yaml:"vlan,omitempty"`
	UseVLAN     bool            `json:"use_vlan,omitempty" yaml:"use_vlan,omitempty"`
	UseBridge   bool            `json:"use_bridge,omitempty" yaml:"use_bridge,omitempty"`
	TeamMode    int             `json:"team_mode,omitempty" yaml:"team_mode,omitempty"`
	UseTeam     bool            `json:"use_team,omitempty" yaml:"use_team,omitempty"`
	V6Prefix    string          `json:"v6prefix,omitempty" yaml:"v6prefix,omitempty"`
	Configure   bool            `json:"configure,omitempty" yaml:"configure,omitempty"`
	PBR         string          `json:"pbr,omitempty" yaml:"pbr,omitempty"`
	Ranges      []ClusterRange  `json:"ranges,omitempty" yaml:"ranges,omitempty"`
	Routers     []ClusterRouter `json:"routers,omitempty" yaml:"routers,omitempty"`
}

// ClusterRange is a run of addresses of a ClusterNetwork; what is nil is as the network has it.
type ClusterRange struct {
	Name      string  `json:"name" yaml:"name"`
	First     string  `json:"first" yaml:"first"`
	Last      string  `json:"last" yaml:"last"`
	Conduit   *string `json:"conduit,omitempty" yaml:"conduit,omitempty"`
	VLAN      *int    `json:"vlan,omitempty" yaml:"vlan,omitempty"`
	TeamMode  *int    `json:"team_mode,omitempty" yaml:"team_mode,omitempty"`
	UseVLAN   *bool   `json:"use_vlan,omitempty" yaml:"use_vlan,omitempty"`
	UseBridge *bool   `json:"use_bridge,omitempty" yaml:"use_bridge,omitempty"`
	UseTeam   *bool   `json:"use_team,omitempty" yaml:"use_team,omitempty"`
	Overlap   bool    `json:"overlap,omitempty" yaml:"overlap,omitempty"`
}

// ClusterRouter is a way out of a ClusterNetwork.
type ClusterRouter struct {
	Address string `json:"address" yaml:"address"`
	Pref    int    `json:"pref,omitempty" yaml:"pref,omitempty"`
}

// Exported is a deployment as the document that makes it, and what no document holds.
type Exported struct {
	Cluster Cluster   `json:"cluster"`
	Secrets []LeftOut `json:"secrets"` // set, and left out of the document
	Foreign []string  `json:"foreign"` // roles of this deployment on nodes of others: "n1.example.org/etcd"
}

// LeftOut is the value of a secret attrib that is set somewhere.
type LeftOut struct {
	Attrib string `json:"attrib"`
	Kind   Kind   `json:"kind"` // what carries it: deployments, nodes, node_roles
	On     string `json:"on"`   // its key: "k8s", "n1.example.org", "n1.example.org/etcd"
}
