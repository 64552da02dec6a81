package linux

import (
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// after plans what follows the files: kernel settings, removals, and the units; and the marks that go before them.
func (p *planner) after(want State) {
	var marks, ops []Op
	ops = append(ops, p.own...)
	ops = append(ops, p.kernel(want)...)
	p.dropIdle(want)
	units, daemon := p.units(want)
	for _, u := range p.restart {
		if !p.have.Marks[u] {
			marks = append(marks, Op{"mark", u})
		}
	}
	for _, u := range p.reload {
		if !p.have.Marks[reloadMark+u] {
			marks = append(marks, Op{"mark", reloadMark + u})
		}
	}
	p.todo.Before = append(p.todo.Before, marks...)
	ops = append(ops, p.absent...)
	if daemon {
		ops = append(ops, Op{"daemon-reload"})
	}
	p.todo.After = append(ops, units...)
}

// dropIdle forgets the units of others that do not run: they will read their files when they start.
func (p *planner) dropIdle(want State) {
	idle := func(name string) bool {
		own := slices.ContainsFunc(want.Units, func(u Unit) bool { return u.Name == name })
		return !p.have.Systemd || !own && !running(p.have.Units[name])
	}
	p.restart = slices.DeleteFunc(p.restart, idle)
	p.reload = slices.DeleteFunc(p.reload, idle)
}

func running(u UnitFact) bool {
	return u.Active == "active" || u.Active == "activating" || u.Active == "reloading"
}

func (p *planner) kernel(want State) []Op {
	var ops []Op
	for _, m := range want.Modules {
		if !p.have.Modules[m] {
			p.change("module", m, "load", "")
			ops = append(ops, Op{"module", m})
		}
	}
	for _, s := range want.Sysctls {
		have, ok := p.have.Sysctls[s.Key]
		if ok && have.Value == strings.Join(strings.Fields(s.Value), " ") {
			continue
		}
		if ok && !have.Writable {
			p.fail(crowbar.Conflict, "sysctl %s is %q, has to be %q, and is read-only here: set it on the machine that this node's kernel belongs to", s.Key, have.Value, s.Value)
		}
		p.change("sysctl", s.Key, "change", have.Value+" -> "+s.Value)
		ops = append(ops, Op{"sysctl", s.Key, s.Value})
	}
	return ops
}

// units plans daemon-reload, enable, start, restart, reload and waiting; own units first, in the order of the State.
func (p *planner) units(want State) (ops []Op, daemon bool) {
	own := map[string]bool{}
	daemon = p.daemon
	for _, u := range want.Units {
		own[u.Name] = true
		daemon = daemon || p.have.Units[u.Name].NeedsReload
		ops = append(ops, p.unit(u)...)
	}
	for _, name := range p.foreign(own) {
		have := p.have.Units[name]
		daemon = daemon || have.NeedsReload
		ops = append(ops, p.follow(name, have)...)
	}
	if len(ops) > 0 && !p.have.Systemd && len(want.Units) > 0 {
		p.fail(crowbar.Invalid, "unit %s: systemd is not PID 1 on this node: a node has to run systemd", want.Units[0].Name)
	}
	if !p.have.Systemd {
		return nil, false
	}
	return ops, daemon && (p.daemon || len(ops) > 0 || len(want.Units) > 0)
}

func (p *planner) unit(u Unit) []Op {
	var ops []Op
	have := p.have.Units[u.Name]
	due := slices.Contains(p.restart, u.Name) || p.have.Marks[u.Name]
	installs := u.Content == "" || strings.Contains(u.Content, "\n[Install]")
	switch {
	case have.Enabled == "masked" || have.Enabled == "masked-runtime":
		if !u.Disabled || !u.Stopped {
			p.fail(crowbar.Conflict, "unit %s is masked: run `systemctl unmask %s` if that is not on purpose", u.Name, u.Name)
		}
	case !u.Disabled && installs && (have.Enabled == "disabled" || have.Enabled == "" || u.Content != "" && have.Enabled == "static"):
		p.change("unit", u.Name, "enable", "")
		ops = append(ops, Op{"enable", u.Name})
	case u.Disabled && (have.Enabled == "enabled" || have.Enabled == "enabled-runtime" || !have.Loaded && len(p.todo.Install) > 0): // its package may bring it enabled
		p.change("unit", u.Name, "disable", "")
		ops = append(ops, Op{"disable", u.Name})
	}
	switch {
	case u.Stopped && running(have):
		p.change("unit", u.Name, "stop", "")
		ops = append(ops, Op{"stop", u.Name})
	case u.Stopped:
	case !running(have):
		p.change("unit", u.Name, "start", "")
		ops = append(ops, Op{"start", u.Name})
	case due:
		p.change("unit", u.Name, "restart", "")
		ops = append(ops, Op{"restart", u.Name})
	case slices.Contains(p.reload, u.Name) || p.have.Marks[reloadMark+u.Name]:
		p.change("unit", u.Name, "reload", "")
		ops = append(ops, Op{"reload", u.Name})
	}
	if !u.Stopped && !u.NoWait && (len(ops) > 0 || have.Active != "active") {
		how := "await"
		if slices.Contains(p.other, u.Name) {
			how = "steady" // it may be a version that ends again and again
		}
		ops = append(ops, Op{how, u.Name, wait(u.Limit)})
	}
	return append(ops, p.unmarks(u.Name)...)
}

// foreign is the units that are not in the State and have to follow a change, or still have to since a run that died.
func (p *planner) foreign(own map[string]bool) []string {
	var out []string
	for _, name := range p.have.asked.Units {
		due := slices.Contains(p.restart, name) || slices.Contains(p.reload, name) || p.have.Marks[name] || p.have.Marks[reloadMark+name]
		if !own[name] && due {
			out = append(out, name)
		}
	}
	return out
}

// follow restarts or reloads a unit of somebody else, if it runs.
func (p *planner) follow(name string, have UnitFact) []Op {
	var ops []Op
	if running(have) {
		do := "reload"
		if slices.Contains(p.restart, name) || p.have.Marks[name] {
			do = "restart"
		}
		p.change("unit", name, do, "")
		ops = append(ops, Op{do, name}, Op{"await", name, wait(0)})
	}
	return append(ops, p.unmarks(name)...)
}

func (p *planner) unmarks(name string) []Op {
	var ops []Op
	if slices.Contains(p.restart, name) || p.have.Marks[name] {
		ops = append(ops, Op{"unmark", name})
	}
	if slices.Contains(p.reload, name) || p.have.Marks[reloadMark+name] {
		ops = append(ops, Op{"unmark", reloadMark + name})
	}
	return ops
}
