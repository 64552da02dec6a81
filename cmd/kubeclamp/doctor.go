package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const (
	fine    = crowbar.GradeOK
	dubious = crowbar.GradeWarning
	wrong   = crowbar.GradeWrong
	skipped = crowbar.GradeSkipped
)

var gradeMarks = map[string]string{fine: "+", dubious: "!", wrong: "x", skipped: "-"}

func (a *app) doctorCommand() *cobra.Command {
	var timeout time.Duration
	var fix bool
	cmd := &cobra.Command{Use: "doctor", Short: "Look for what is wrong: configuration, way to the daemon, its state, its servers, its clusters", Args: cobra.NoArgs,
		Long: `Look for what is wrong, here and at the daemon, and say what to do about it; nothing is changed.

Here: the configuration and who may read it. On the way: TLS, how long the daemon's certificate lasts, both clocks, both
versions. There: daemons and their leader, etcd, broken plugins, certificates that are soon out, keys of secrets, runs whose
daemon is gone, roles in error, servers that do not answer, deployments that are halted. In the clusters: members of etcd,
Kubernetes Nodes, API servers, addresses in the pool, leases of flannel and certificates that are of no node, and nodes that the
cluster lacks. Ends with 1 where anything is wrong.

With --fix what a cluster has of no node is taken out by its peers, as 'kubeclamp nodes forget' does, while nothing of its
deployment runs; what is alive stays, and is named.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if fix && !cmd.Flags().Changed("timeout") {
				timeout = 5 * time.Minute
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			d := &doctor{ctx: ctx, fix: fix}
			d.examine(a)
			rows := make([][]string, 0, len(d.found))
			bad := 0
			for _, f := range d.found {
				says := f.Says
				if f.Remedy != "" {
					says += ": " + f.Remedy
				}
				rows = append(rows, []string{f.Check, gradeMarks[f.Grade] + " " + f.Grade, says})
				if f.Grade == wrong {
					bad++
				}
			}
			if err := a.print(cmd.OutOrStdout(), d.found, "CHECK\tGRADE\tFOUND", rows); err != nil {
				return err
			}
			if bad > 0 {
				return &exitError{exitFailed, fmt.Errorf("%s wrong", plural(bad, "thing")+map[bool]string{true: " is", false: " are"}[bad == 1])}
			}
			return nil
		}}
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "give up after this long; with --fix 5m")
	cmd.Flags().BoolVar(&fix, "fix", false, "take out of the clusters what is of no node")
	return cmd
}

// doctor looks, and notes what it finds.
type doctor struct {
	ctx   context.Context
	fix   bool
	c     *client.Client
	found []crowbar.Finding
}

func (d *doctor) note(check, grade, remedy, format string, args ...any) {
	d.found = append(d.found, crowbar.Finding{Check: check, Grade: grade, Says: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (d *doctor) examine(a *app) {
	if !d.configuration(a) || !d.way() {
		return
	}
	d.daemons()
	d.within()
	d.secrets()
	d.servers()
	d.work()
}

func (d *doctor) configuration(a *app) bool {
	_, from, err := a.read()
	if err == nil {
		d.c, err = a.client()
	}
	if err != nil {
		d.note("configuration", wrong, "", "%v", err)
		return false
	}
	info, err := os.Stat(from)
	switch {
	case err != nil: // everything was said by flags and the environment
		d.note("configuration", fine, "", "daemon %s, no file", d.c.Endpoint())
	case info.Mode().Perm()&0o077 != 0:
		d.note("configuration", wrong, "chmod 600 "+from, "%s has the administrator's token in it, and others may read it (mode %04o)", from, info.Mode().Perm())
	default:
		d.note("configuration", fine, "", "daemon %s, by %s", d.c.Endpoint(), from)
	}
	return true
}

// soon is how long before its end a certificate is spoken of.
const soon = 30 * 24 * time.Hour

// way looks at the connection and what one answer tells.
func (d *doctor) way() bool {
	p, err := d.c.Probe(d.ctx)
	if err != nil {
		d.note("connection", wrong, "", "%v", err)
		return false
	}
	d.note("connection", fine, "", "%s, answered in %s", p.TLS, p.Took.Round(time.Millisecond))
	switch left := time.Until(p.Expires); {
	case left < 0:
		d.note("certificate", wrong, "start the daemon again: it makes a new one", "the daemon's certificate ended on %s", p.Expires.Local().Format(time.DateOnly))
	case left < soon:
		d.note("certificate", dubious, "start the daemon again: it makes a new one", "the daemon's certificate ends on %s", p.Expires.Local().Format(time.DateOnly))
	default:
		d.note("certificate", fine, "", "the daemon's certificate is good until %s", p.Expires.Local().Format(time.DateOnly))
	}
	if p.Skew != 0 {
		d.note("clock", dubious, "run a time service on both", "the daemon's clock is %s away from the one here", p.Skew)
	} else {
		d.note("clock", fine, "", "the daemon's clock is as the one here")
	}
	return true
}

// daemons are to be of one version, this program's, and one of them leads.
func (d *doctor) daemons() {
	var all []crowbar.Daemon
	if !d.list("daemons", crowbar.KindDaemon, &all) {
		return
	}
	if len(all) == 0 {
		d.note("daemons", skipped, "", "the daemon does not say who works on the state")
		return
	}
	var names, others []string
	leader := ""
	for _, one := range all {
		names = append(names, one.Name)
		if one.Leader {
			leader = one.Name
		}
		if mine := ownVersion(); one.Version != "" && mine != "" && one.Version != mine {
			others = append(others, fmt.Sprintf("%s is %s", one.Name, one.Version))
		}
	}
	slices.Sort(names)
	if leader == "" {
		d.note("daemons", wrong, "wait a minute; if it stays so, look at their logs and at etcd", "none of %s leads", strings.Join(names, ", "))
	} else {
		d.note("daemons", fine, "", "%s; %s leads", strings.Join(names, ", "), leader)
	}
	if len(others) > 0 {
		d.note("versions", dubious, "use one version everywhere", "this program is %s, %s", ownVersion(), strings.Join(others, ", "))
	} else {
		d.note("versions", fine, "", "one version")
	}
	d.orphans(all)
}

// orphans are runs whose daemon is gone: another one takes them up after a moment.
func (d *doctor) orphans(alive []crowbar.Daemon) {
	var all []crowbar.NodeRole
	if !d.list("runs", crowbar.KindNodeRole, &all) {
		return
	}
	lost, running := []string{}, 0
	for _, nr := range all {
		if nr.State != crowbar.Transition {
			continue
		}
		running++
		if nr.Owner != "" && !slices.ContainsFunc(alive, func(one crowbar.Daemon) bool { return one.Owner == nr.Owner }) {
			lost = append(lost, nr.ID.String())
		}
	}
	if len(lost) > 0 {
		d.note("runs", wrong, "they begin again by themselves within a minute; if not, start the daemon again", "the daemon of these runs is gone: node-roles %s", strings.Join(lost, ", "))
		return
	}
	d.note("runs", fine, "", "%s, each with its daemon", plural(running, "run"))
}

// within is what the daemon finds of itself: etcd, plugins, certificates.
func (d *doctor) within() {
	all, err := d.c.Health(d.ctx)
	if err != nil {
		d.note("daemon", skipped, "", "%v", err)
		return
	}
	d.found = append(d.found, all...)
}

func (d *doctor) secrets() {
	s, err := d.c.SealStatus(d.ctx)
	switch {
	case err != nil:
		d.note("secrets", skipped, "", "%v", err)
		return
	case s.Error != "":
		d.note("secrets", wrong, "see docs/secrets.md", "sealing them anew: %s", s.Error)
		return
	}
	for _, k := range s.Keys {
		if !k.Here && k.Values > 0 {
			d.note("secrets", wrong, "put that key into the key file", "the daemon has not got key %s, which seals %s", k.ID, plural(k.Values, "value"))
			return
		}
	}
	d.note("secrets", fine, "", "the daemon has all keys")
}

func (d *doctor) servers() {
	var all []crowbar.Node
	if !d.list("servers", crowbar.KindNode, &all) {
		return
	}
	var dark, warned []string
	n := 0
	for _, one := range all {
		if one.System {
			continue
		}
		n++
		if !one.Alive {
			dark = append(dark, one.Short())
		}
		for _, w := range one.Warnings {
			warned = append(warned, one.Short()+": "+w)
		}
	}
	switch {
	case len(dark) > 0:
		d.note("servers", wrong, "bring them up and say 'kubeclamp nodes update NODE --alive', or 'kubeclamp nodes forget NODE'", "these do not answer: %s", list(dark, 30))
	default:
		d.note("servers", fine, "", "%s, none is dark", plural(n, "server"))
	}
	for _, w := range warned {
		d.note("servers", dubious, "", "%s", w)
	}
}

// work is what deployments say of themselves.
func (d *doctor) work() {
	var all []crowbar.Deployment
	if !d.list("deployments", crowbar.KindDeployment, &all) {
		return
	}
	for _, dep := range all {
		if dep.System {
			continue
		}
		s, err := d.c.Status(d.ctx, dep.Name, 0)
		if err != nil {
			d.note("deployment "+dep.Name, skipped, "", "%v", err)
			continue
		}
		var failed []string
		for _, nr := range s.NodeRoles {
			if nr.State == crowbar.Error {
				failed = append(failed, nr.Node+"/"+nr.Role)
			}
		}
		switch {
		case len(failed) > 0:
			d.note("deployment "+dep.Name, wrong, "'kubeclamp why "+dep.Name+"' says what to do", "in error: %s", list(failed, 10))
		case s.Paused:
			d.note("deployment "+dep.Name, dubious, "'kubeclamp deployments resume "+dep.Name+"' lets it go on", "it is paused")
		default:
			d.note("deployment "+dep.Name, fine, "", "%s", s.State)
		}
		d.strays(dep.Name)
	}
}

// list reads all objects of a kind; what cannot be read is noted.
func (d *doctor) list(check string, k crowbar.Kind, into any) bool {
	if err := d.c.List(d.ctx, k, into); err != nil {
		grade := wrong
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("no answer in time")
		}
		d.note(check, grade, "", "%v", err)
		return false
	}
	return true
}

func ownVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}
