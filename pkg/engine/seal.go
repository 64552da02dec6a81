package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Ring is the keys that seal secret values at rest: the first seals, all of them open. An error of kind Unavailable from
// Open or Lacks means that this daemon does not have the key; another may.
type Ring interface {
	attrib.Sealer
	KeyID(sealed []byte) string // "" for a value of before there were ids
	IDs() []string              // the key that seals first
	Lacks(id string) error      // nil if it has the key
	Source() string             // where the keys come from, for people
	Reload() error              // from there
	Renew() error               // a new key in front
	Forget(id string) error
}

// sealed gives the changes with every secret value sealed. Nothing goes to the store but through here.
func (e *Engine) sealed(at, now *crowbar.Snapshot, changes []crowbar.Change) ([]crowbar.Change, error) {
	var where *attrib.Secrets
	out := changes
	for i, c := range changes {
		if c.Put == nil || crowbar.Parts(c.Put) == nil {
			continue
		}
		if where == nil {
			where = attrib.SecretsOf(now)
		}
		o, err := where.Seal(c.Put, at.Get(c.Put.Kind(), c.Put.Key()), e.Ring)
		if err != nil {
			return nil, err
		}
		if o == c.Put {
			continue
		}
		if &out[0] == &changes[0] {
			out = slices.Clone(changes)
		}
		out[i].Put = o
	}
	return out, nil
}

// sealNow seals what changes put before the rest of a verb compares it with what was there.
func (e *Engine) sealNow(d *draft, changes []crowbar.Change, err error) ([]crowbar.Change, error) {
	if err != nil {
		return nil, err
	}
	return e.sealed(d.s, d.s, changes)
}

// sealFresh seals the values of attribs that an import made secret, wherever they lie.
func (e *Engine) sealFresh(d *draft, was *crowbar.Snapshot) error {
	fresh := false
	for a := range d.s.Attribs() {
		if attrib.IsSecret(a) {
			old := was.Attrib(a.ID)
			fresh = fresh || old == nil || !attrib.IsSecret(old) || old.Map != a.Map || old.Name != a.Name
		}
	}
	if !fresh {
		return nil
	}
	var all []crowbar.Change
	for _, k := range []crowbar.Kind{crowbar.KindNode, crowbar.KindRole, crowbar.KindDeploymentRole, crowbar.KindNodeRole} {
		for o := range d.s.All(k) {
			all = append(all, crowbar.Change{Put: o})
		}
	}
	sealed, err := e.sealed(d.s, d.s, all)
	if err != nil {
		return err
	}
	for i, c := range sealed {
		if c.Put != all[i].Put {
			d.put(c.Put)
		}
	}
	return nil
}

// open opens what a run is given.
func (e *Engine) open(in *attrib.Inputs) error {
	for name, at := range in.Sealed {
		v, err := attrib.Open(in.Attribs[name], at, e.Ring)
		if err != nil {
			return fmt.Errorf("attrib %q: %w", name, err)
		}
		in.Attribs[name] = v
	}
	return nil
}

// openPeers opens the walls of a run's peers, and adds what was secret in them to what no log may show.
func (e *Engine) openPeers(peers []crowbar.Peer, secrets []string) ([]crowbar.Peer, []string, error) {
	out := peers
	for i, p := range peers {
		if len(p.Wall) == 0 || !crowbar.HasSealed(p.Wall) {
			continue
		}
		if &out[0] == &peers[0] {
			out = slices.Clone(peers)
		}
		wall := maps.Clone(p.Wall)
		for name, v := range p.Wall {
			if !crowbar.HasSealed(v) {
				continue
			}
			plain, err := attrib.Open(v, crowbar.Place{Kind: crowbar.KindNodeRole, ID: p.NodeRole, Part: crowbar.PartWall, Path: name}, e.Ring)
			if err != nil {
				return nil, nil, fmt.Errorf("wall of %s on %s: %w", p.Role, p.Node, err)
			}
			wall[name], secrets = plain, crowbar.Texts(secrets, plain)
		}
		out[i].Wall = wall
	}
	return out, secrets, nil
}

// sealOutcome seals the secrets in what a run gave back, before it is compared with what it gave the last time, and takes
// them out of its lines.
func (e *Engine) sealOutcome(s *crowbar.Snapshot, nr *crowbar.NodeRole, o crowbar.Outcome) (crowbar.Outcome, error) {
	if len(o.Wall) == 0 {
		return o, nil
	}
	said := &crowbar.NodeRole{ID: nr.ID, Wall: o.Wall}
	sealed, err := attrib.SecretsOf(s).Seal(said, nr, e.Ring)
	if err != nil || sealed == crowbar.Object(said) {
		return o, err
	}
	wall := sealed.(*crowbar.NodeRole).Wall
	var pairs []string
	for name, v := range o.Wall {
		if crowbar.HasSealed(wall[name]) {
			for _, t := range crowbar.Texts(nil, v) {
				if len(t) >= 4 {
					pairs = append(pairs, t, masked)
				}
			}
		}
	}
	hide := strings.NewReplacer(pairs...)
	o.Wall, o.Status, o.Failure, o.Changes = wall, hide.Replace(o.Status), hide.Replace(o.Failure), slices.Clone(o.Changes)
	for i, c := range o.Changes {
		o.Changes[i] = hide.Replace(c)
	}
	return o, nil
}
