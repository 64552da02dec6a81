package linux

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

//go:embed make.sh
var makeScript string

//go:embed install.sh
var installScript string

// Op is one operation on a node and its arguments; arity has their number, as make.sh has it.
type Op []string

var arity = map[string]int{
	"dir": 3, "keep": 4, "back": 3, "steady": 2, "parent": 1, "own": 3, "link": 2, "rm": 1, "rmdir": 1, "user": 2, "group": 1, "mark": 1, "unmark": 1, "stamp": 3,
	"module": 1, "sysctl": 2, "daemon-reload": 0, "unban": 0, "enable": 1, "disable": 1, "start": 1, "restart": 1, "reload": 1, "stop": 1, "await": 2,
}

// Make does what Plan found, with as few round trips as there are files to write, and three more.
func Make(ctx context.Context, on role.Target, t Todo) error {
	if len(t.Install) > 0 {
		on.Logf("install %s", strings.Join(t.Install, " "))
		if err := install(ctx, on, t); err != nil {
			return fmt.Errorf("install %s on node %s: %w", strings.Join(t.Install, " "), on.Node, err)
		}
	}
	if err := do(ctx, on, t.Before); err != nil {
		return err
	}
	for _, p := range t.Puts {
		if err := put(ctx, on, p); err != nil {
			return fmt.Errorf("write %s on node %s: %w", p.Path, on.Node, err)
		}
	}
	return do(ctx, on, t.After)
}

// install may wait long for another package manager: what it says of that is logged as it comes.
func install(ctx context.Context, on role.Target, t Todo) error {
	quiet := "0"
	if t.NoStart {
		quiet = "1"
	}
	c := command(installScript, append([]string{"install", StateDir, t.Packager, quiet}, t.Install...))
	said := &teller{log: on.Logf}
	c.Stderr = said
	exit, err := on.Conn.Exec(ctx, c)
	if err != nil {
		return err
	}
	if exit.Code != 0 {
		return fmt.Errorf("ended with %d: %s", exit.Code, strings.TrimSpace(said.all.String()+string(exit.Stderr)))
	}
	return nil
}

// teller keeps what is written to it, and logs whole lines that tell of waiting.
type teller struct {
	all  strings.Builder
	line string
	log  func(string, ...any)
}

func (t *teller) Write(b []byte) (int, error) {
	if t.all.Len() < 1<<20 {
		t.all.Write(b)
	}
	t.line += string(b)
	for {
		l, rest, ok := strings.Cut(t.line, "\n")
		if !ok {
			return len(b), nil
		}
		if strings.HasPrefix(l, "waiting: ") {
			t.log("%s", l)
		}
		t.line = rest
	}
}

func put(ctx context.Context, on role.Target, p Put) error {
	if p.Artifact == "" {
		return on.Conn.Put(ctx, p.Path, p.Mode, strings.NewReader(p.Content))
	}
	on.Logf("put %s to %s", p.Artifact, p.Path)
	if on.Artifacts == nil {
		return crowbar.Errorf(crowbar.Unavailable, "this run has no catalogue of artifacts")
	}
	return on.Artifacts.Put(ctx, p.Artifact, p.Path, p.Mode)
}

func do(ctx context.Context, on role.Target, ops []Op) error {
	if len(ops) == 0 {
		return nil
	}
	if _, err := jig.Run(ctx, on.Conn, OpsCmd(ops)); err != nil {
		return fmt.Errorf("node %s: %w", on.Node, short(err))
	}
	return nil
}

// OpsCmd is the command that does operations.
func OpsCmd(ops []Op) jig.Cmd {
	args := []string{"make", StateDir}
	for _, o := range ops {
		args = append(args, o...)
	}
	return command(makeScript, args)
}

// ParseOps reads operations back from a command's arguments; false if it is another command.
func ParseOps(argv []string) ([]Op, bool) {
	if len(argv) < 5 || argv[3] != "make" {
		return nil, false
	}
	var ops []Op
	for rest := argv[5:]; len(rest) > 0; {
		n, ok := arity[rest[0]]
		if !ok || len(rest) < n+1 {
			return nil, false
		}
		ops = append(ops, Op(rest[:n+1]))
		rest = rest[n+1:]
	}
	return ops, true
}

// ParseInstall reads an installation of packages back from a command's arguments; false if it is another command.
func ParseInstall(argv []string) (packages []string, quiet, ok bool) {
	if len(argv) < 8 || argv[3] != "install" {
		return nil, false, false
	}
	return argv[7:], argv[6] == "1", true
}

// short leaves the script's arguments out of an error: what went wrong is on stderr.
func short(err error) error {
	e, ok := err.(*jig.ExitError)
	if !ok {
		return err
	}
	out := strings.TrimSpace(string(e.Exit.Stderr))
	if out == "" {
		out = strings.TrimSpace(string(e.Exit.Stdout))
	}
	return fmt.Errorf("ended with %d: %s", e.Exit.Code, out)
}

// Converge brings a node to a State: Read, Plan, and unless on.DryRun, Make.
func Converge(ctx context.Context, on role.Target, want State, probes ...Probe) (Facts, []role.Change, error) {
	return ConvergeAfter(ctx, on, want, func(Facts) (State, error) { return want, nil }, probes...)
}

// ConvergeAfter is Converge for a State that depends on facts. The sketch has to name everything that the State may name:
// paths, units, packages, keys; contents and values do not matter in it.
func ConvergeAfter(ctx context.Context, on role.Target, sketch State, think func(Facts) (State, error), probes ...Probe) (Facts, []role.Change, error) {
	have, err := Read(ctx, on, sketch, probes...)
	if err != nil {
		return have, nil, err
	}
	want, err := think(have)
	if err != nil {
		return have, nil, err
	}
	todo, err := Compare(ctx, on, want, have)
	if err != nil {
		return have, nil, fmt.Errorf("node %s: %w", on.Node, err)
	}
	if on.DryRun {
		return have, todo.Changes, nil
	}
	return have, todo.Changes, Make(ctx, on, todo)
}

// Check is the Drift from a State: what Converge would change.
func Check(ctx context.Context, on role.Target, want State, probes ...Probe) (role.Drift, error) {
	on.DryRun = true
	_, changes, err := Converge(ctx, on, want, probes...)
	return role.Drift{Changes: changes}, err
}

// Remove takes a State off a node: units are stopped, disabled and deleted, then files, links, binaries, and folders that
// are empty by then. Packages, users, groups and loaded modules stay. A unit without Content is stopped and disabled only.
func Remove(ctx context.Context, on role.Target, want State) error {
	have, err := Read(ctx, on, State{Files: want.Files, Units: want.Units, Dirs: want.Dirs, Links: want.Links, Modules: want.Modules, Sysctls: want.Sysctls, Absent: paths(want.Binaries)})
	if err != nil {
		return err
	}
	return do(ctx, on, removal(want, have))
}

func paths(b []Binary) []string {
	var out []string
	for _, x := range b {
		out = append(out, x.Path)
	}
	return out
}
