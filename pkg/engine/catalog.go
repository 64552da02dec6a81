package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// System is the name of the deployment at the root of all others.
const System = "system"

// Import takes a barclamp's catalog into the state, and makes the system deployment the first time. The same catalog
// again changes nothing.
func (e *Engine) Import(ctx context.Context, c *crowbar.Catalog) error {
	// gofail: var beforeImport struct{}
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
		return e.sealFresh(d, before)
	})
	if err != nil {
		return fmt.Errorf("import barclamp %q: %w", c.Barclamp.Name, err)
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
