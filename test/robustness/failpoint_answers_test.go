package robustness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// answered compares the state with what daemons answered, and learns what nobody could know.
func (w *world) answered(d *daemon) error {
	nodes, apps, err := w.state(d)
	if err != nil {
		return err
	}
	var bad []error
	same := func(what string, said map[string]told, is map[string]bool) {
		for name, k := range said {
			if k == unknown {
				said[name] = map[bool]told{true: there, false: gone}[is[name]]
			} else if (k == there) != is[name] {
				bad = append(bad, fmt.Errorf("%s %s: it was answered that it is %s, and there it is: %t", what, name, []string{"", "there", "gone"}[k], is[name]))
			}
		}
	}
	same("node", w.nodes, nodes)
	same("rec-app on", w.apps, apps)
	for name, may := range w.values {
		kind, key, attrib := crowbar.KindNode, name, "rec-zone"
		if name == "color" {
			kind, key, attrib = crowbar.KindDeployment, deployment, "rec-color"
		} else if !nodes[name] {
			delete(w.values, name)
			continue
		}
		v, err := d.client.Attrib(w.t.Context(), kind, key, attrib)
		text, _ := v.(string)
		if err != nil || !slices.Contains(may, text) {
			bad = append(bad, fmt.Errorf("%s is %v (%v), and was set to %v", name, v, err, may))
		}
		w.values[name] = []string{text}
	}
	return errors.Join(bad...)
}

// state is the nodes, and those to which rec-app is bound, without what is on its way out.
func (w *world) state(d *daemon) (nodes, apps map[string]bool, err error) {
	var all []crowbar.Node
	var bound []crowbar.NodeRole
	var roles []crowbar.Role
	for kind, into := range map[crowbar.Kind]any{crowbar.KindNode: &all, crowbar.KindNodeRole: &bound, crowbar.KindRole: &roles} {
		if err := d.client.List(w.t.Context(), kind, into); err != nil {
			return nil, nil, err
		}
	}
	nodes, apps = map[string]bool{}, map[string]bool{}
	named := map[crowbar.ID]string{}
	for _, n := range all {
		named[n.ID] = n.Short()
		nodes[n.Short()] = !n.Removing
	}
	for _, nr := range bound {
		if slices.ContainsFunc(roles, func(r crowbar.Role) bool { return r.ID == nr.Role && r.Name == "rec-app" }) && !nr.Removing {
			apps[named[nr.Node]] = true
		}
	}
	return nodes, apps, nil
}

// field compares what lies on the nodes with the state at rest.
func (w *world) field(d *daemon) error {
	var bad []error
	folders, err := os.ReadDir(filepath.Join(w.dir, "nodes"))
	if err != nil {
		return err
	}
	for _, f := range folders {
		node := f.Name()
		app, err := w.read(node, "rec-app")
		if has := err == nil; has != (w.apps[node] == there) {
			bad = append(bad, fmt.Errorf("rec-app was left on %s: %t (%v), and it is bound there: %t", node, has, err, w.apps[node] == there))
		}
		if err != nil {
			continue
		}
		color, zone := "none", "none"
		if v := w.values["color"]; v != nil {
			color = v[0]
		}
		if v := w.values[node]; v != nil {
			zone = v[0]
		}
		if app["rec-color"] != color || app["rec-zone"] != zone {
			bad = append(bad, fmt.Errorf("%s was given %v; color is %s, its zone is %s", node, app, color, zone))
		}
		if member, err := w.read(node, "rec-member"); err == nil && member["rec-color"] != color {
			bad = append(bad, fmt.Errorf("rec-member on %s was given %v; color is %s", node, member, color))
		}
		for name, of := range map[string]string{"rec-secret": deployment, "rec-ca": deployment, "rec-leaf": node} {
			if had, know := w.kept[name+"@"+of]; know && had != app[name] || app[name] == "" {
				bad = append(bad, fmt.Errorf("%s on %s is %q now, and was %q", name, node, app[name], had))
			}
			w.kept[name+"@"+of] = app[name]
		}
	}
	return errors.Join(bad...)
}
