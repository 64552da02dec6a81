package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubeclamp/kubeclamp/pkg/api/apitest"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// said is one command of a document.
type said struct {
	file, line string
	block      bool // not in the middle of a sentence
}

// documents is what a newcomer reads.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	readmes, err := filepath.Glob("../../roles/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(files, readmes...), "../../README.md")
}

var span = regexp.MustCompile("`([^`]+)`")

// commands finds the commands of programs of ours in a document: indented, fenced, or between backquotes.
func commands(t *testing.T, file string) []said {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []said
	fenced := false
	for line := range strings.SplitSeq(string(b), "\n") {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if text, indented := strings.CutPrefix(line, "    "); indented || fenced {
			if ours(text) {
				out = append(out, said{file, text, true})
			}
			continue
		}
		for _, m := range span.FindAllStringSubmatch(line, -1) {
			if ours(m[1]) {
				out = append(out, said{file, m[1], false})
			}
		}
	}
	return out
}

func ours(text string) bool {
	program, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "bin/"), " ")
	return program == "kubeclamp" || program == "kubeclampd" || program == "make"
}

// words splits a command; what stands behind two spaces, a # or a > is no part of it.
func words(line string) []string {
	line = strings.TrimPrefix(strings.TrimSpace(line), "bin/")
	line, _, _ = strings.Cut(line, "  ")
	line, _, _ = strings.Cut(line, " #")
	line, _, _ = strings.Cut(line, " > ")
	out := strings.Fields(line)
	for i, w := range out {
		out[i] = strings.Trim(w, "[]'")
	}
	return out
}

// TestDocumentsNameWhatExists: each command of README.md, docs and the roles' READMEs is one, with flags that it has.
func TestDocumentsNameWhatExists(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var daemon []byte
	sources, _ := filepath.Glob("../kubeclampd/*.go")
	for _, f := range sources {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		daemon = append(daemon, b...)
	}
	seen := map[string]int{}
	for _, file := range documents(t) {
		for _, c := range commands(t, file) {
			w := words(c.line)
			seen[w[0]]++
			var wrong string
			switch w[0] {
			case "kubeclamp":
				wrong = unknown(w[1:])
			case "kubeclampd":
				for _, f := range w[1:] {
					if name, ok := strings.CutPrefix(f, "--"); ok && !bytes.Contains(daemon, []byte(`"`+name+`"`)) {
						wrong = "no flag " + f
					}
				}
			case "make":
				for _, target := range w[1:] {
					if !bytes.Contains(makefile, []byte("\n"+target+":")) {
						wrong = "no target " + target
					}
				}
			}
			if wrong != "" {
				t.Errorf("%s: %q: %s", c.file, c.line, wrong)
			}
		}
	}
	if seen["kubeclamp"] < 50 || seen["make"] < 3 || seen["kubeclampd"] < 1 {
		t.Errorf("only these were found: %v", seen)
	}
}

// unknown says what of a command does not exist.
func unknown(args []string) string {
	root := newRoot()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err.Error()
	}
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.AddFlagSet(cmd.Flags())
	flags.AddFlagSet(cmd.InheritedFlags())
	flags.AddFlagSet(cmd.PersistentFlags())
	for _, w := range rest {
		name, long := strings.CutPrefix(w, "--")
		name, _, _ = strings.Cut(name, "=")
		short, isShort := strings.CutPrefix(w, "-")
		switch {
		case name == "help", w == "-":
		case long && flags.Lookup(name) == nil:
			return "no flag --" + name
		case !long && isShort && flags.ShorthandLookup(short[:1]) == nil:
			return "no flag -" + short
		case !isShort && cmd.HasSubCommands() && !strings.HasPrefix(w, "NODE"):
			return "no verb " + w
		}
	}
	return ""
}

// TestEveryCommandHasHelp, and no flag is without a word about it.
func TestEveryCommandHasHelp(t *testing.T) {
	n := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		n++
		if c.Short == "" && !c.Hidden {
			t.Errorf("%s says nothing of itself", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s says nothing of itself", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	if n < 40 {
		t.Errorf("only %d commands", n)
	}
	manual, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range newRoot().Commands() {
		if !strings.Contains(string(manual), "`kubeclamp "+c.Name()) && !c.Hidden {
			t.Errorf("docs/cli.md has no %s", c.CommandPath())
		}
	}
}

// referenceHead is the line of docs/cli.md behind which everything is generated.
const referenceHead = "## All commands\n"

// TestReferenceIsThere: the end of docs/cli.md is what the commands say of themselves.
func TestReferenceIsThere(t *testing.T) {
	const file = "../../docs/cli.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(b), referenceHead)
	if !found {
		t.Fatalf("%s has no line %q", file, referenceHead)
	}
	var want strings.Builder
	want.WriteString(head + referenceHead + "\nGenerated by `go test ./cmd/kubeclamp -run TestReferenceIsThere -update`. ")
	reference(&want)
	if *update {
		if err := os.WriteFile(file, []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want.String(), string(b)); d != "" {
		t.Errorf("%s (go test ./cmd/kubeclamp -run TestReferenceIsThere -update rewrites it):\n%s", file, d)
	}
}

// walkIn has the commands of a page reach a daemon that anneals, from a folder.
func walkIn(t *testing.T, dir string) *rehearsal {
	t.Helper()
	config := filepath.Join(dir, "admin.json")
	r, end, err := rehearse(config, func(h http.Handler) http.Handler { return apitest.Check(t, h) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	r.anneal(nil, nil)
	t.Setenv("KUBECLAMP_CONFIG", config)
	t.Chdir(dir)
	return r
}

// TestOwnServersWalk does what docs/own-servers.md says, command by command, with its own cluster.yaml.
func TestOwnServersWalk(t *testing.T) {
	dir := t.TempDir()
	const doc = "../../docs/own-servers.md"
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatal("there is no cluster.yaml in it")
	}
	if err := os.WriteFile(filepath.Join(dir, "cluster.yaml"), m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	steps := commands(t, doc)
	r := walkIn(t, dir)
	walked := 0
	for _, s := range steps {
		w := words(s.line)
		if !s.block || w[0] != "kubeclamp" || strings.Contains(s.line, "--watch") {
			continue
		}
		walked++
		if out, errs, code := cli(t, w[1:]...); code != 0 {
			t.Fatalf("%s: exit code %d\n%s%s", s.line, code, out, errs)
		}
	}
	if walked < 15 {
		t.Errorf("only %d commands were tried", walked)
	}
	left := []string{}
	for n := range r.engine.View().Nodes() {
		if !n.System {
			left = append(left, n.Short())
		}
	}
	if got := strings.Join(left, " "); got != "m1 m3 w1 w3" {
		t.Errorf("at the end there are %s", got)
	}
	for nr := range r.engine.View().NodeRoles() {
		if nr.State != crowbar.Active && nr.State != crowbar.Todo && nr.State != crowbar.Transition && nr.State != crowbar.Blocked {
			t.Errorf("node-role %d is %s at the end", nr.ID, nr.State)
		}
	}
}
