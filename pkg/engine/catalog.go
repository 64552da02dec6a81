package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// System is the name of the deployment at the root of all others.
const System = "system"

// Import takes a barclamp's catalog into the state, and makes the system deployment the first time. The same catalog
// again changes nothing. What is active and would be given something else runs again with its deployment's next commit: an
// import alone touches no node.
func (e *Engine) Import(ctx context.Context, c *crowbar.Catalog) error {
	// gofail: var beforeImport struct{}
	var outdated []crowbar.ID
	err := e.change(ctx, func(d *draft) error {
		if d.s.DeploymentNamed(System) == nil {
			e.makeDeployment(d, &crowbar.Deployment{Name: System, Description: "The root of all deployments", Stored: crowbar.DeploymentCommitted, System: true})
		}
		before := d.s
		if err := d.add(graph.Import(d.s, c)); err != nil {
			return err
		}
		if len(c.Hammers) > 0 {
			for n := range d.s.Nodes() {
				d.hammered(n)
			}
		}
		outdated = attrib.Shifted(before, d.s)
		if err := d.add(graph.Outdate(d.s, outdated), nil); err != nil {
			return err
		}
		return e.sealFresh(d, before)
	})
	if err != nil {
		return fmt.Errorf("import barclamp %q: %w", c.Barclamp.Name, err)
	}
	if len(outdated) > 0 {
		e.Log.Info("the barclamp changes what node-roles are given; they run again with the next commit of their deployment", "barclamp", c.Barclamp.Name, "node_roles", len(outdated))
	}
	return nil
}

// makeDeployment puts a deployment and its phantom, the node on which its service roles live.
func (e *Engine) makeDeployment(d *draft, made *crowbar.Deployment) {
	made.ID = d.s.Next()
	made.Phantom = made.ID + 1
	d.put(made)
	d.put(&crowbar.Node{ID: made.Phantom, Name: phantomName(made.Name), Description: "Service roles of deployment " + made.Name,
		System: true, Deployment: made.ID, Alive: true, Available: true, BootEnv: "local", Jig: "noop"})
}

func phantomName(deployment string) string { return deployment + "-phantom.internal.local" }
