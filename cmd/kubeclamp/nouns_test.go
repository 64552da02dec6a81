package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite what goldens say")

// transcript is what the commands of a script have said since the last golden.
type transcript struct{ text bytes.Buffer }

// say runs a command in this process and notes what it says: "say kubeclamp ...". A first word @TEXT keeps of a list only
// what has the text in it, @1 only its first.
func say(ts *testscript.TestScript, _ bool, args []string) {
	only := ""
	if strings.HasPrefix(args[0], "@") {
		only, args = args[0][1:], args[1:]
	}
	for i, arg := range args {
		if arg == "RUN" {
			for r := range of(ts).engine.View().Runs() {
				args[i] = r.ID.String()
				break
			}
		}
	}
	var out, errs bytes.Buffer
	if code := run(append([]string{"--config", ts.Getenv("KUBECLAMP_CONFIG")}, args[1:]...), strings.NewReader(""), &out, &errs); code != 0 {
		ts.Fatalf("exit code %d: %s", code, errs.String())
	}
	text := out.String()
	if only != "" {
		text = kept(text, only)
	}
	t := &ts.Value("transcript").(*transcript).text
	plain := func(text string) string { return scrub(strings.ReplaceAll(text, ts.Getenv("WORK")+"/", "")) }
	t.WriteString("$ " + plain(strings.Join(args, " ")) + "\n" + plain(text))
}

// both is say, as a table and as JSON.
func both(ts *testscript.TestScript, neg bool, args []string) {
	say(ts, neg, args)
	say(ts, neg, append(slices.Clone(args), "-o", "json"))
}

func kept(text, only string) string {
	var all []any
	if json.Unmarshal([]byte(text), &all) == nil {
		out := []any{}
		for _, o := range all {
			b, _ := json.Marshal(o)
			if only == "1" && len(out) == 0 || only != "1" && bytes.Contains(b, []byte(only)) {
				out = append(out, o)
			}
		}
		b, _ := json.MarshalIndent(out, "", "  ")
		return string(b) + "\n"
	}
	var out []string
	for i, line := range strings.SplitAfter(text, "\n") {
		if i == 0 || strings.Contains(line, only) && only != "1" || i == 1 && only == "1" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

var scrubs = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`("(?:id|[a-z_]+_id|rev)": )[1-9][0-9]*`), "${1}N"},
	{regexp.MustCompile(`(?m)^((?:id|[a-z_]+_id): )[1-9][0-9]*$`), "${1}N"},
	{regexp.MustCompile(`(?m)^(\s+)[0-9]{2,}(,?)$`), "${1}N${2}"}, // in lists of ids
	{regexp.MustCompile(`(?m)^[0-9]{2,}  `), "N  "},
	{regexp.MustCompile(`(?m)^N  [0-9]{2,}  `), "N  N  "}, // the id of an object that a row belongs to
	{regexp.MustCompile(`runs show [0-9]+`), "runs show N"},
	{regexp.MustCompile(`"?20\d\d-\d\d-\d\dT[0-9:.]+Z"?`), "TIME"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d  20\d\d-\d\d-\d\d`), "DAY  DAY"},
	{regexp.MustCompile(`kubeclamp \S+, go1\S+, \S+`), "kubeclamp VERSION"},
	{regexp.MustCompile(`("(?:go|platform|version)": )"(go1[^"]*|linux/[^"]*|\(devel\)|v0[^"]*)"`), `${1}"..."`},
	{regexp.MustCompile(`("(?:expected|took)": )"[0-9.µmns]+"`), `${1}"..."`},
	{regexp.MustCompile(`since \d\d:\d\d\b`), "since TIME"},
	{regexp.MustCompile(`("seal": )"[^"]*"`), `${1}"..."`},
	{regexp.MustCompile(`\b(?:[0-9a-f]{64}|[0-9a-f]{16})\b`), "HASH"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]{4,5}`), "ADDRESS"},
	{regexp.MustCompile(`barclamp\.yaml:[0-9]+`), "barclamp.yaml:LINE"},
	{regexp.MustCompile(`kc_[A-Za-z0-9_-]{43}`), "TOKEN"},
	{regexp.MustCompile(`"given": "[^"]*"`), `"given": "..."`},
	{regexp.MustCompile(` {2,}([^ \n])`), "  $1"}, // widths follow what was scrubbed
	{regexp.MustCompile(`(?m) +$`), ""},
}

func scrub(text string) string {
	for _, s := range scrubs {
		if strings.HasPrefix(strings.TrimSpace(text), "{") || strings.HasPrefix(strings.TrimSpace(text), "[") {
			if s.with == "  $1" {
				continue // JSON is indented
			}
		}
		text = s.what.ReplaceAllString(text, s.with)
	}
	return text
}

// golden holds what was said since the last one to a file of testdata/nouns.
func golden(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		tr := ts.Value("transcript").(*transcript)
		got := tr.text.String()
		tr.text.Reset()
		file := filepath.Join("testdata", "nouns", args[0]+".golden")
		if *update {
			ts.Check(os.WriteFile(file, []byte(got), 0o644))
			return
		}
		want, err := os.ReadFile(file)
		ts.Check(err)
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s (go test ./cmd/kubeclamp -run TestScripts/nouns -update rewrites it):\n%s", file, d)
		}
	}
}

// TestEveryVerbHasItsGolden: each verb that is no noun's is in a script, as a table and as JSON.
func TestEveryVerbHasItsGolden(t *testing.T) {
	script, err := os.ReadFile("testdata/verbs.txtar")
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{ // what says neither, and the script that holds it
		"converge": "verbs.txtar", "destroy": "destroy.txtar", "doctor": "doctor.txtar", "events": "events.txtar", "graph": "graph.txtar",
		"kubeconfig": "walk.txtar", "logs": "walk.txtar", "man": "man.txtar", "report": "verbs.txtar", "state": "state.txtar",
		"completion": "completion.txtar", "backup": "backup.txtar", "restore": "backup.txtar", "etcd": "recover.txtar", "upgrade": "upgrade.txtar",
		"import": "../import_test.go", // needs a server to take over
	}
	for _, cmd := range newRoot().Commands() {
		name := cmd.Name()
		if name == "lab" || name == "help" || isNoun(name) { // test/e2e holds the lab's
			continue
		}
		if file := other[name]; file != "" {
			text, err := os.ReadFile("testdata/" + file)
			if err != nil || !regexp.MustCompile(`(?m)kubeclamp (__complete )?`+name+`\b`).Match(text) {
				t.Errorf("kubeclamp %s is not in testdata/%s: %v", name, file, err)
			}
			continue
		}
		if !regexp.MustCompile(`(?m)^(say|both) kubeclamp ` + name + `\b`).Match(script) {
			t.Errorf("kubeclamp %s is not in testdata/verbs.txtar", name)
		}
	}
}

func isNoun(name string) bool {
	return slices.ContainsFunc(slices.Concat(nouns, shared), func(n noun) bool { return n.name == name })
}

// TestEveryNounAndVerbHasItsGolden: each verb that nouns have in common is in the script, as a table and as JSON.
func TestEveryNounAndVerbHasItsGolden(t *testing.T) {
	script, err := os.ReadFile("testdata/nouns.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range slices.Concat(nouns, shared) {
		for _, verb := range strings.Fields(n.verbs) {
			said := regexp.MustCompile(`(?m)^(say|both) (@\S+ )?kubeclamp `+n.name+` `+verb+`( .*)?$`).FindAllString(string(script), -1)
			table, asJSON := false, verb == "destroy" // which says nothing
			for _, line := range said {
				is := strings.Contains(line, " -o json")
				both := strings.HasPrefix(line, "both")
				table, asJSON = table || !is, asJSON || is || both
			}
			if !table || !asJSON {
				t.Errorf("kubeclamp %s %s: as a table: %t, as JSON: %t; say it in testdata/nouns.txtar", n.name, verb, table, asJSON)
			}
		}
	}
}
