//go:build linux

package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// num is a number in an object.
func num(m map[string]any, key string) int { f, _ := m[key].(float64); return int(f) }

// id is an object's id as it stands in an address.
func id(m map[string]any) string { return fmt.Sprint(num(m, "id")) }

// keys holds the keys of an object against what they must be.
func (d *daemon) keys(m map[string]any, want string) {
	d.t.Helper()
	have, all := slices.Sorted(maps.Keys(m)), strings.Fields(want)
	slices.Sort(all)
	if !slices.Equal(have, all) {
		d.t.Errorf("keys are %v,\nwant %v", have, all)
	}
}

// is holds some values of an object against what they must be.
func (d *daemon) is(m map[string]any, want map[string]any) {
	d.t.Helper()
	for k, v := range want {
		if fmt.Sprint(m[k]) != fmt.Sprint(v) {
			d.t.Errorf("%s is %v, want %v, in %v", k, m[k], v, m)
		}
	}
}

// The keys of each object, as in OpenCrowbar.
const (
	stamps             = " created_at updated_at"
	nodeKeys           = "id name description admin system target_role_id deployment_id allocated alive available bootenv quirks" + stamps
	deploymentKeys     = "id state name description system parent_id" + stamps
	deploymentRoleKeys = "id deployment_id role_id" + stamps
	nodeRoleKeys       = "id deployment_id node_id role_id state status runlog available order cohort run_count node_error" + stamps
	roleKeys           = "id name description jig_name barclamp_id cohort provides conflicts library implicit bootstrap discovery cluster destructive abstract milestone powersave service" + stamps
	attribKeys         = "id barclamp_id role_id name description writable schema order map ui_renderer default" + stamps
	groupKeys          = "id name description category order" + stamps
	networkKeys        = "id name deployment_id description order vlan use_vlan use_bridge team_mode use_team conduit v6prefix configure category group pbr" + stamps
	rangeKeys          = "id network_id name first last conduit vlan team_mode use_vlan use_bridge use_team overlap" + stamps
	routerKeys         = "id network_id address pref" + stamps
	userKeys           = "id email username is_admin is_locked" + stamps
)

// node makes a node that is alive, and forgets it at the end.
func (d *daemon) node(name string, more ...string) string {
	d.t.Helper()
	name += ".example.org"
	body := fmt.Sprintf(`{"name":%q,"alive":true`, name)
	for _, m := range more {
		body += "," + m
	}
	d.good("POST nodes", body+"}")
	d.t.Cleanup(func() { d.ask("DELETE nodes/" + name + "?force=true") })
	return name
}

// ready makes a node that is alive and available.
func (d *daemon) ready(name string, more ...string) string {
	d.t.Helper()
	return d.node(name, append(more, `"available":true`)...)
}

// deployment makes a deployment, which goes at the end: after its nodes.
func (d *daemon) deployment(name string, more ...string) string {
	d.t.Helper()
	body := fmt.Sprintf(`{"name":%q`, name)
	for _, m := range more {
		body += "," + m
	}
	d.good("POST deployments", body+"}")
	d.t.Cleanup(func() { d.ask("DELETE deployments/" + name) })
	return name
}

// bind puts a role on a node in a deployment.
func (d *daemon) bind(role, node, deployment string) map[string]any {
	d.t.Helper()
	return d.good("POST node_roles", fmt.Sprintf(`{"role":%q,"node":%q,"deployment":%q}`, role, node, deployment)).obj()
}

// nodeRole is a role on a node.
func (d *daemon) nodeRole(node, role string) map[string]any {
	d.t.Helper()
	return d.good("GET nodes/" + node + "/node_roles/" + role).obj()
}

// at holds the states of node-roles against what they must be: "role" -> state.
func (d *daemon) at(node string, want map[string]int) {
	d.t.Helper()
	for role, state := range want {
		if nr := d.nodeRole(node, role); num(nr, "state") != state {
			d.t.Errorf("%s on %s is in state %d, want %d", role, node, num(nr, "state"), state)
		}
	}
}

// reach waits until a node-role is in a state.
func (d *daemon) reach(node, role string, state int) map[string]any {
	d.t.Helper()
	var nr map[string]any
	await(d.t, fmt.Sprintf("%s on %s to be in state %d", role, node, state), func() error {
		if nr = d.nodeRole(node, role); num(nr, "state") != state {
			return fmt.Errorf("it is in state %d: %v", num(nr, "state"), nr)
		}
		return nil
	})
	return nr
}

// gone waits until there is no such object any more.
func (d *daemon) gone(path string) {
	d.t.Helper()
	await(d.t, path+" to be gone", func() error {
		if a := d.ask("GET " + path); a.code != http.StatusNotFound {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
}

// settle waits until nothing is todo or in transition.
func (d *daemon) settle() answer {
	d.t.Helper()
	var last answer
	await(d.t, "the annealer to come to rest", func() error {
		if last = d.ask("GET anneal"); last.code == http.StatusAccepted {
			return fmt.Errorf("%s", last)
		}
		return nil
	})
	return last
}

// names is a key of each in a list, sorted.
func names(l []any, key string) []string {
	var out []string
	for _, o := range l {
		m, _ := o.(map[string]any)
		out = append(out, fmt.Sprint(m[key]))
	}
	slices.Sort(out)
	return out
}
