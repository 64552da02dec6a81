package api

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The one tenant, and the two providers, that there are for Digital Rebar's clients: nothing here makes servers, and rights are
// a user's, not a tenant's.
const (
	systemTenant    = 1
	metalProvider   = 1
	phantomProvider = 2
)

// The structs below are the keys that Digital Rebar's objects have beyond OpenCrowbar's.

type rebarObject struct {
	UUID string `json:"uuid"`
}

type rebarRole struct {
	rebarObject
	Icon            string       `json:"icon"`
	Metadata        crowbar.Data `json:"metadata"`
	LeaveRunLog     bool         `json:"leaverunlog"`
	ReplaceNodeIcon bool         `json:"replace_node_icon"`
	Preceeds        []string     `json:"preceeds"`
	Requires        []string     `json:"requires"`
	Attribs         []string     `json:"attribs"`
	Wanted          []string     `json:"wanted_attribs"`
}

type rebarNode struct {
	rebarObject
	rebarTraits
	Tenant   ref `json:"tenant_id"`
	Provider ref `json:"provider_id"`
	Control  any `json:"node-control-address"`
	State    int `json:"state"`
}

// rebarTraits are what a client says of a node that nothing here goes by. They are kept in its notes, and shown as they were said.
type rebarTraits struct {
	Variant  string   `json:"variant"`
	Arch     string   `json:"arch"`
	OSFamily string   `json:"os_family"`
	Icon     string   `json:"icon"`
	Profiles []string `json:"profiles"`
}

type rebarDeployment struct {
	rebarObject
	Tenant   ref      `json:"tenant_id"`
	Profiles []string `json:"profiles"`
}

type rebarDeploymentRole struct {
	rebarObject
	Proposed   bool   `json:"proposed"`
	IsProposed bool   `json:"_proposed"`
	RoleName   string `json:"_role_name"`
	RoleIcon   string `json:"_role_icon"`
}

type rebarNodeRole struct {
	rebarObject
	Tenant   ref    `json:"tenant_id"`
	RoleName string `json:"_role_name"`
	RoleIcon string `json:"_role_icon"`
}

// rebarRange: nothing here leases addresses, so that these are what a fresh range had.
type rebarRange struct {
	rebarObject
	AnonTime   int  `json:"anon_lease_time"`
	BoundTime  int  `json:"bound_lease_time"`
	AllowAnon  bool `json:"allow_anon_leases"`
	AllowBound bool `json:"allow_bound_leases"`
}

type rebarUser struct {
	rebarObject
	Tenant  ref `json:"tenant_id"`
	Current ref `json:"current_tenant_id"`
}

// rebarKeys is what of a state is looked up for many objects of one answer.
type rebarKeys struct {
	roles   map[crowbar.ID]map[string]crowbar.Data // of a barclamp's document, by name
	attribs map[crowbar.ID][]string                // of a role
}

// rebarShape adds Digital Rebar's keys to an object that has OpenCrowbar's.
func (m *masker) rebarShape(o crowbar.Object, v any) any {
	base := rebarObject{uuid(o)}
	switch o := o.(type) {
	case *crowbar.Role:
		return plus{v, m.rebarRole(o)}
	case *crowbar.Node:
		return plus{v, m.rebarNode(o)}
	case *crowbar.Deployment:
		return plus{v, rebarDeployment{base, systemTenant, []string{}}}
	case *crowbar.DeploymentRole:
		name, icon := m.roleLooks(o.Role)
		return plus{v, rebarDeploymentRole{base, o.Proposed != nil, o.Proposed != nil, name, icon}}
	case *crowbar.NodeRole:
		name, icon := m.roleLooks(o.Role)
		return plus{v, rebarNodeRole{base, systemTenant, name, icon}}
	case *crowbar.Range:
		return plus{v, rebarRange{base, 60, 2592000, false, false}}
	case *crowbar.User:
		return plus{v, rebarUser{base, systemTenant, systemTenant}}
	}
	return plus{v, base}
}

func (m *masker) roleLooks(id crowbar.ID) (name, icon string) {
	if r := m.s.Role(id); r != nil {
		return r.Name, m.icon(r)
	}
	return "", defaultIcon
}

const defaultIcon = "memory"

// icons of roles whose barclamp says none, by the beginning of the name of their jig.
var icons = []struct{ jig, icon string }{{"script", "sim_card"}, {"chef", "restaurant_menu"}, {"ansible", "gamepad"}, {"role-provided", "developer_board"},
	{"noop", "beenhere"}, {"test", "healing"}}

func (m *masker) icon(r *crowbar.Role) string {
	if icon := text(m.document(r)["icon"]); icon != "" {
		return icon
	}
	for _, i := range icons {
		if strings.HasPrefix(r.Jig, i.jig) {
			return i.icon
		}
	}
	return defaultIcon
}

// document is what a role's barclamp says of it.
func (m *masker) document(r *crowbar.Role) crowbar.Data {
	if m.added.roles == nil {
		m.added.roles = map[crowbar.ID]map[string]crowbar.Data{}
	}
	if m.added.roles[r.Barclamp] == nil {
		all := map[string]crowbar.Data{}
		if b := m.s.Barclamp(r.Barclamp); b != nil {
			list, _ := b.Document["roles"].([]any)
			for _, one := range list {
				if d, ok := one.(crowbar.Data); ok {
					all[text(d["name"])] = d
				}
			}
		}
		m.added.roles[r.Barclamp] = all
	}
	return m.added.roles[r.Barclamp][r.Name]
}

func (m *masker) rebarRole(o *crowbar.Role) rebarRole {
	if m.added.attribs == nil {
		m.added.attribs = map[crowbar.ID][]string{}
		for a := range m.s.Attribs() {
			m.added.attribs[a.Role] = append(m.added.attribs[a.Role], a.Name)
		}
	}
	d := m.document(o)
	flags, _ := d["flags"].([]any)
	metadata, _ := d["metadata"].(crowbar.Data)
	if metadata == nil {
		metadata = crowbar.Data{}
	}
	var attribs []string
	if o.ID != 0 { // of none are those of nodes
		attribs = m.added.attribs[o.ID]
	}
	return rebarRole{rebarObject{uuid(o)}, m.icon(o), metadata, slices.Contains(flags, any("leaverunlog")), slices.Contains(flags, any("replace_node_icon")),
		nonNil(o.Preceeds), nonNil(o.Requires), nonNil(attribs), nonNil(o.Wants)}
}

func (m *masker) rebarNode(o *crowbar.Node) rebarNode {
	n := rebarNode{rebarObject: rebarObject{uuid(o)}, rebarTraits: traitsOf(o), Tenant: systemTenant, Provider: metalProvider, Control: orNull(o.Address)}
	if o.System {
		n.Provider = phantomProvider
	}
	n.State = int(nodeState(m.s, o.ID))
	return n
}

// traitsOf is what was said of a node, with what Digital Rebar takes where nothing was.
func traitsOf(o *crowbar.Node) rebarTraits {
	said, _ := o.Notes[traitsNote].(crowbar.Data)
	t := rebarTraits{Variant: "metal", Arch: "x86_64", OSFamily: "linux", Icon: defaultIcon, Profiles: []string{}}
	if o.System {
		t.Variant = "phantom"
	}
	for goarch, uname := range arches {
		if o.Arch == goarch {
			t.Arch = uname
		}
	}
	for key, to := range map[string]*string{"variant": &t.Variant, "arch": &t.Arch, "os_family": &t.OSFamily, "icon": &t.Icon} {
		if v, ok := said[key].(string); ok && v != "" {
			*to = v
		}
	}
	return t
}

// traitsNote is the key of a node's notes below which its traits are.
const traitsNote = "rebar"

// arches are the names of machines: Go's, and those of uname.
var arches = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}
