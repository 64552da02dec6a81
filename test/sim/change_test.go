package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// reimport is a new version of the barclamp: other defaults, limits and timeouts, and maybe one more role. Daemons that
// start later bring it along. What it changes reaches the nodes with the next commit.
func (d *drive) reimport() {
	c := *d.catalog
	c.Roles, c.Attribs = slices.Clone(c.Roles), slices.Clone(c.Attribs)
	c.Barclamp.Version = fmt.Sprint(d.asked)
	a := &c.Attribs[d.rng.IntN(len(c.Attribs))].Attrib
	if !a.Secret {
		a.Default = float64(d.rng.IntN(5))
	}
	r := &c.Roles[d.rng.IntN(len(c.Roles))]
	if r.Exclusive = slices.Clone(r.Exclusive); len(r.Exclusive) > 0 {
		r.Exclusive[0].Limit = 1 + d.rng.IntN(3)
	}
	r.Timeout = crowbar.Duration(time.Duration(30+d.rng.IntN(60)) * time.Second)
	if name := fmt.Sprintf("r%d", len(c.Roles)); d.rng.IntN(3) == 0 {
		c.Roles = append(c.Roles, crowbar.Role{Name: name, Jig: "ssh", Timeout: crowbar.Duration(time.Minute), Requires: []string{"r0"}})
		c.Attribs = append(c.Attribs, crowbar.CatalogAttrib{RoleName: name, Attrib: attribOf("of-" + name)})
	}
	yes, no := d.ask("import version "+c.Barclamp.Version, func(e *daemon) error { return e.Import(e.ctx, &c) })
	if no {
		d.wrong("a barclamp that changes little is refused")
	}
	if yes && d.mem.View().BarclampNamed("random").Version != c.Barclamp.Version {
		d.wrong("version %s was imported, and is not there", c.Barclamp.Version)
	}
	d.catalog = &c
}

// move puts a node into another deployment; what has run stays where it is, and what has not may bring along what it needs there.
func (d *drive) move() {
	n, ok := pick(d, d.servers())
	if !ok {
		return
	}
	to, before := d.deployment(), d.mem.View()
	yes, no := d.ask("move "+n.Name+" to "+to.Name, func(e *daemon) error {
		_, err := e.UpdateNode(e.ctx, n.ID, func(n *crowbar.Node) error { n.Deployment = to.ID; return nil })
		return err
	})
	if now := d.mem.View().Node(n.ID); yes && now.Deployment != to.ID {
		d.wrong("%s was moved to %s, and is not there", n.Name, to.Name)
	}
	if !no {
		d.learn(before, "", yes)
	}
}

// meddle is a file that somebody changes by hand: the next rerun puts it right.
func (d *drive) meddle() {
	active := slices.DeleteFunc(slices.Collect(d.mem.View().NodeRoles()), func(nr *crowbar.NodeRole) bool {
		return nr.State != crowbar.Active || d.mem.View().Role(nr.Role).Flags.Destructive
	})
	nr, ok := pick(d, active)
	if !ok {
		return
	}
	s := d.mem.View()
	m, name := d.machine(s.Node(nr.Node).Short()), s.Role(nr.Role).Name
	d.note("somebody changes %s by hand", label(s, nr))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files["/"+name+".a"] = "meddled"
	d.stale = true
}

// mend reruns everything where a rerun alone can bring what was changed to the nodes.
func (d *drive) mend() {
	if d.stale && !d.spoiled() {
		d.rerunAll()
	}
	d.stale = false
}

func (d *drive) rerunAll() {
	for _, name := range []string{"k", "sub"} {
		for {
			if yes, _ := d.ask("rerun "+name, func(e *daemon) error { return e.Rerun(e.ctx, d.mem.View().DeploymentNamed(name).ID) }); yes {
				break
			}
		}
	}
	d.rest()
}

// again runs everything once more: nothing may change, but what was changed by hand.
func (d *drive) again() {
	for round := range 2 {
		runs := map[crowbar.ID]bool{}
		for run := range d.mem.View().Runs() {
			runs[run.ID] = true
		}
		if round == 1 {
			d.meddle()
		}
		changed, called := 0, d.called()
		d.rerunAll()
		if d.spoiled() {
			return
		}
		for run := range d.mem.View().Runs() {
			if runs[run.ID] || run.Outcome == "unchanged" {
				continue
			}
			changed++
			if run.Outcome != "changed" || changed > round {
				d.wrong("run %d of %s in a rerun of what has converged: %s", run.ID, label(d.mem.View(), d.mem.View().NodeRole(run.NodeRole)), run.Outcome)
			}
		}
		d.note("rerun %d called %d roles", round, d.called()-called)
	}
	if !d.spoiled() {
		d.judge()
	}
}
