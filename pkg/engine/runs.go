package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// Begin starts a run: attribs are frozen, what the host computes is made, the attempt number grows and the node-role is
// in transition, all in one commit before anything is touched. Where the attribs cannot be had, the node-role goes to
// error with the reason, which is also the answer.
func (e *Engine) Begin(ctx context.Context, id crowbar.ID) (*crowbar.Work, error) {
	// gofail: var beforeBegin struct{}
	var work *crowbar.Work
	var broken error
	err := e.nodeRoleVerb(ctx, "begin", id, func(d *draft) error {
		work, broken = nil, nil
		if err := d.add(graph.Begin(d.s, id, e.Owner)); err != nil {
			return err
		}
		begun := *d
		work, broken = e.work(d, id)
		if broken == nil {
			return nil
		}
		if crowbar.KindOf(broken) == crowbar.Unavailable { // this daemon's trouble: it lacks a key, another may have it
			err := broken
			broken = nil
			return err
		}
		*d = begun
		return e.ended(d, id, d.s.NodeRole(id).Attempt, crowbar.Outcome{Failure: broken.Error(), Status: oneLine(broken.Error())})
	})
	if err != nil {
		return nil, err
	}
	// gofail: var afterBegin struct{}
	if broken != nil {
		return nil, fmt.Errorf("begin: %w", broken)
	}
	return work, nil
}

// work gathers what one run is given.
func (e *Engine) work(d *draft, id crowbar.ID) (*crowbar.Work, error) {
	nr := d.s.NodeRole(id)
	in, err := attrib.Collect(d.s, nr)
	if err != nil {
		return nil, err
	}
	if err := e.open(&in); err != nil {
		return nil, err
	}
	w := &crowbar.Work{Attempt: nr.Attempt, Attribs: crowbar.Data{}, Again: nr.RunCount > 0, Remove: nr.Removing, Force: nr.Force}
	for n, v := range in.Attribs {
		w.Attribs[n] = v
		if in.Secret[n] {
			w.Secrets = crowbar.Texts(w.Secrets, v)
		}
	}
	w.SecretNames = slices.Sorted(maps.Keys(in.Secret))
	for _, c := range in.Computed {
		// gofail: var beforeSecret struct{}
		v, changes, err := e.PKI.Value(d.s, c)
		if err := d.add(changes, err); err != nil {
			return nil, fmt.Errorf("make attrib %q: %w", c.Attrib, err)
		}
		w.Attribs[c.Attrib] = v
		w.Secrets = append(w.Secrets, secretsOf(c, v)...)
	}
	w.Attribs, err = frozen(w.Attribs)
	if err != nil {
		return nil, err
	}
	nr = d.s.NodeRole(id)
	node, role, dep := d.s.Node(nr.Node), d.s.Role(nr.Role), d.s.Deployment(nr.Deployment)
	if node == nil || role == nil || dep == nil {
		return nil, crowbar.Errorf(crowbar.Internal, "node-role %d has lost its node, role or deployment", id)
	}
	w.NodeRole, w.Node, w.Role, w.Deployment = *nr, *node, *role, *dep
	if w.Peers, w.Secrets, err = e.openPeers(graph.Peers(d.s, nr), w.Secrets); err != nil {
		return nil, err
	}
	if dr := d.s.DeploymentRoleOf(nr.Deployment, nr.Role); dr != nil {
		w.First = dr.First == id
	}
	if role.Jig == "script" {
		w.Tree, w.Maps = attrib.Tree(d.s, nr, w.Attribs)
	}
	w.Run, w.Last = nr.Run, nr.Removing && graph.Last(d.s, nr)
	if by := graph.Survivor(d.s, nr); by != nil && nr.Removing && node.Forgotten {
		if w.Via, err = e.work(d, by.ID); err != nil {
			return nil, fmt.Errorf("have %s take it out: %w", place(d.s, by), err)
		}
		w.Secrets = append(w.Secrets, w.Via.Secrets...)
	}
	return w, nil
}

// frozen is a copy that shares nothing with the state.
func frozen(in crowbar.Data) (crowbar.Data, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var out crowbar.Data
	return out, json.Unmarshal(b, &out)
}

// secretsOf is what no log may show of a computed value: a certificate is public, its key is not.
func secretsOf(c crowbar.Computed, v any) []string {
	switch {
	case c.Authority != "":
		return nil
	case c.Leaf != nil:
		switch m := v.(type) {
		case map[string]any:
			return crowbar.Texts(nil, m["key"])
		case map[string]string:
			return crowbar.Texts(nil, m["key"])
		}
	}
	out := crowbar.Texts(nil, v)
	if text, _ := v.(string); c.Generate == "ring-32" { // NAME:KEY, line by line
		for line := range strings.Lines(text) {
			if _, key, named := strings.Cut(strings.TrimSpace(line), ":"); named {
				out = append(out, key)
			}
		}
	}
	return out
}

// Finish ends a run. An attempt that is not the newest is a Conflict, and changes nothing.
func (e *Engine) Finish(ctx context.Context, id crowbar.ID, attempt uint64, o crowbar.Outcome) error {
	return e.nodeRoleVerb(ctx, "finish", id, func(d *draft) error {
		o, err := e.sealOutcome(d.s, d.s.NodeRole(id), o)
		if err != nil {
			return err
		}
		o.Given = e.closed(o.Given)
		return e.ended(d, id, attempt, o)
	})
}

func (e *Engine) ended(d *draft, id crowbar.ID, attempt uint64, o crowbar.Outcome) error {
	node := d.s.NodeRole(id).Node
	if err := d.add(graph.Finish(d.s, id, attempt, o)); err != nil {
		return err
	}
	gone := d.s.NodeRole(id) == nil
	runs := d.s.RunsOf(id)
	for i, r := range runs {
		if gone || i < len(runs)-e.KeepRuns {
			d.drop(r)
		}
	}
	if n := d.s.Node(node); gone && n != nil && n.Removing && len(d.s.NodeRolesOn(node)) == 0 {
		dropNode(d, n)
	}
	return nil
}

// Reclaim takes back the runs of all other daemons: call it once, before the annealer starts, where the store is held
// alone.
func (e *Engine) Reclaim(ctx context.Context) error {
	// gofail: var beforeReclaim struct{}
	return e.ReclaimFrom(ctx, func(owner string) bool { return owner != e.Owner })
}

// ReclaimFrom takes back the runs of those owners that are gone, which must be for good: a name is never used again.
func (e *Engine) ReclaimFrom(ctx context.Context, gone func(owner string) bool) error {
	err := e.change(ctx, func(d *draft) error { return d.add(graph.Orphans(d.s, gone), nil) })
	if err != nil {
		return fmt.Errorf("reclaim runs of daemons that are gone: %w", err)
	}
	return nil
}

// Reveal opens one attrib of a node-role as a run of it would be given it, such as an administrator's certificate; a value
// that the host computes is made if it is not there yet.
func (e *Engine) Reveal(ctx context.Context, id crowbar.ID, name string) (any, error) {
	var value any
	err := e.nodeRoleVerb(ctx, "reveal attrib "+name+" of", id, func(d *draft) error {
		in, err := attrib.Collect(d.s, d.s.NodeRole(id))
		if err != nil {
			return err
		}
		if v, ok := in.Attribs[name]; ok {
			value, err = attrib.Open(v, in.Sealed[name], e.Ring)
			return err
		}
		for _, c := range in.Computed {
			if c.Attrib == name {
				v, changes, err := e.PKI.Value(d.s, c)
				value = v
				return d.add(changes, err)
			}
		}
		return crowbar.Errorf(crowbar.NotFound, "its role neither has nor wants an attrib of this name")
	})
	if err != nil {
		return nil, err
	}
	return value, nil
}
