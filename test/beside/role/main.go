// Command role is a role of the comparison, as a plugin: its file name, kubeclamp-role-beside-N, says which part of the work
// is its own.
package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/test/beside/work"
)

func main() {
	name, _ := strings.CutPrefix(filepath.Base(os.Args[0]), "kubeclamp-role-")
	n, err := strconv.Atoi(strings.TrimPrefix(name, "beside-"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: want to be called kubeclamp-role-beside-1 to -%d\n", os.Args[0], work.Roles)
		os.Exit(2)
	}
	plugin.Serve(beside{name, work.Of("kubeclamp", n)})
}

type beside struct {
	name string
	work work.Part
}

func (b beside) Describe() role.Info { return role.Info{Name: b.name, Version: "1.0"} }

// Apply does the part.
func (b beside) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	have, changes, err := linux.ConvergeAfter(ctx, on, b.state(""), func(have linux.Facts) (linux.State, error) {
		return b.state(have.Probe["shared"]), nil
	}, b.probes()...)
	res := role.Result{Changes: changes}
	if err != nil || on.DryRun {
		return res, err
	}
	missing := strings.Fields(have.Probe["missing"])
	for _, c := range b.work.Commands {
		if !slices.Contains(missing, c.Creates) {
			continue
		}
		if _, err := jig.Run(ctx, on.Conn, jig.Script(c.Text)); err != nil {
			return res, err
		}
		res.Changes = append(res.Changes, role.Change{What: "command", Name: c.Text, Do: "run"})
	}
	return res, nil
}

func (b beside) probes() []linux.Probe {
	var made []string
	for _, c := range b.work.Commands {
		made = append(made, c.Creates)
	}
	return []linux.Probe{
		{Name: "shared", Script: `cat "$1" 2>/dev/null`, Args: []string{b.work.Shared}},
		{Name: "missing", Script: `for f; do [ -e "$f" ] || echo "$f"; done`, Args: made},
	}
}

// state is all but the commands; shared is the shared file as it is.
func (b beside) state(shared string) linux.State {
	var s linux.State
	for _, d := range b.work.Dirs {
		s.Dirs = append(s.Dirs, linux.Dir{Path: d, Mode: 0o755})
	}
	for _, f := range b.work.Files {
		s.Files = append(s.Files, linux.File{Path: f.Path, Content: f.Content})
	}
	lines := strings.Split(shared, "\n")
	for _, l := range b.work.Lines {
		if !slices.Contains(lines, l) {
			shared += l + "\n"
		}
	}
	s.Files = append(s.Files, linux.File{Path: b.work.Shared, Content: shared})
	for _, u := range b.work.Units {
		s.Units = append(s.Units, linux.Unit{Name: path.Base(u.Path), Content: u.Content})
	}
	return s
}
