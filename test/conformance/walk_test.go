//go:build linux

package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWalk: a whole life of a deployment, by curl and by a script in the grammar of OpenCrowbar's clients.
func TestWalk(t *testing.T) {
	t.Parallel()
	d := start(t)
	t.Run("curl", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), "bash", "testdata/walk.sh")
		cmd.Env = append(os.Environ(), "URL="+d.url, "CROWBAR_KEY="+d.user+":"+d.pass, "CA="+d.ca, "GATE="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "done\n") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for name, say := range map[string]func(d *daemon, line line){"grammar": (*daemon).say, "kubeclamp": (*daemon).typed} {
		t.Run(name, func(t *testing.T) {
			lines := script(t)
			if len(lines) < 30 {
				t.Errorf("the script has %d commands", len(lines))
			}
			for _, l := range lines {
				say(d.on(t), l)
			}
		})
	}
}

// line is one command of the grammar, and what it says of its answer.
type line struct {
	number int
	words  []string
	code   int    // of the answer
	says   string // a part of it
}

func (l line) String() string {
	return fmt.Sprintf("line %d, %s", l.number, strings.Join(l.words, " "))
}

func script(t *testing.T) (out []line) {
	t.Helper()
	b, err := os.ReadFile("testdata/walk.crowbar")
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range strings.Split(string(b), "\n") {
		if text == "" || text[0] == '#' {
			continue
		}
		l := line{number: i + 1, code: http.StatusOK}
		if rest, refused := strings.CutPrefix(text, "! "); refused {
			if _, err := fmt.Sscan(rest, &l.code); err != nil {
				t.Fatalf("line %d: %v", i+1, err)
			}
			text = rest[4:]
		}
		text, l.says, _ = strings.Cut(text, " ~ ")
		if l.words, err = split(text); err != nil {
			t.Fatalf("line %d, %s: %v", i+1, text, err)
		}
		out = append(out, l)
	}
	return out
}

// say does one line as OpenCrowbar's client did, by requests.
func (d *daemon) say(l line) {
	d.t.Helper()
	switch l.words[0] {
	case "converge":
		if code := d.converge(l.words[1]); code != 0 {
			d.t.Fatalf("%s: it ends with %d", l, code)
		}
		return
	case "gone":
		d.gone(l.words[1] + "/" + l.words[2])
		return
	}
	request, body := d.meant(l.words)
	if request == "" {
		d.t.Fatalf("%s: the grammar has no such command", l)
	}
	var bodies []string
	if body != "" {
		bodies = []string{body}
	}
	if a := d.ask(request, bodies...); a.code != l.code || !strings.Contains(a.body, l.says) {
		d.t.Fatalf("%s: %s; want %d with %s", l, a, l.code, l.says)
	}
}

// typed does one line by our own command line.
func (d *daemon) typed(l line) {
	d.t.Helper()
	if l.words[0] == "gone" {
		d.gone(l.words[1] + "/" + l.words[2])
		return
	}
	cmd := exec.CommandContext(d.t.Context(), filepath.Join(programs, "kubeclamp"), append([]string{"--config", filepath.Join(d.dir, "data", "admin.json"), "-o", "json"}, l.words...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	want := 0
	if l.code != http.StatusOK {
		want = 4 // not found, or in conflict with what is there
	}
	tight := strings.ReplaceAll(out.String(), `": `, `":`)
	if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(tight, l.says) {
		d.t.Fatalf("kubeclamp, %s: it ends with %d (%v), want %d with %s\n%s%s", l, got, err, want, l.says, out.String(), errs.String())
	}
}

// split takes a line apart into words; quotes keep blanks.
func split(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		var word string
		if rest, quoted := strings.CutPrefix(line, "'"); quoted {
			var closed bool
			if word, line, closed = strings.Cut(rest, "'"); !closed {
				return nil, fmt.Errorf("a quote is not closed")
			}
		} else {
			word, line, _ = strings.Cut(line, " ")
		}
		words = append(words, word)
	}
	return words, nil
}

// things is the clients' nouns, and the API's.
var things = map[string]string{"nodes": "nodes", "deployments": "deployments", "roles": "roles", "deploymentroles": "deployment_roles", "noderoles": "node_roles",
	"barclamps": "barclamps", "users": "users", "attribs": "attribs", "jigs": "jigs", "networks": "networks", "hammers": "hammers"}

// meant is the request of a command, as the Ruby client made it; "" where there is no such command.
func (d *daemon) meant(w []string) (request, body string) {
	noun, known := things[w[0]]
	if !known || len(w) < 2 {
		return "", ""
	}
	arg := func(i int) string {
		if i < len(w) {
			return url.PathEscape(w[i])
		}
		return ""
	}
	at := noun + "/" + arg(2)
	number := func(noun, name string) string { return id(d.good("GET " + noun + "/" + url.PathEscape(name)).obj()) }
	switch verb := w[1]; {
	case len(w) == 2 && verb == "list":
		return "GET " + noun, ""
	case len(w) == 2 && verb == "sample":
		return "GET " + noun + "/sample", ""
	case len(w) == 3 && (verb == "match"):
		return "POST " + noun + "/match", w[2]
	case len(w) == 3 && verb == "create":
		return "POST " + noun, w[2]
	case len(w) == 3 && verb == "show":
		return "GET " + at, ""
	case len(w) == 4 && verb == "update":
		return "PUT " + at, w[3]
	case len(w) == 3 && verb == "destroy":
		return "DELETE " + at, ""
	case len(w) == 3 && (verb == "propose" || verb == "commit" || verb == "retry" || verb == "recall" || verb == "redeploy"):
		return "PUT " + at + "/" + verb, ""
	case len(w) == 3 && (verb == "attribs" || verb == "nodes"):
		return "GET " + at + "/" + verb, ""
	case len(w) == 3 && verb == "noderoles":
		return "GET " + at + "/node_roles", ""
	case len(w) == 5 && verb == "get" && w[3] == "attrib":
		return "GET " + at + "/attribs/" + arg(4), ""
	case len(w) == 7 && verb == "set" && w[3] == "attrib" && w[5] == "to":
		return "PUT " + at + "/attribs/" + arg(4), w[6]
	case len(w) == 5 && verb == "move" && w[3] == "to":
		return "PUT " + at, fmt.Sprintf(`{"deployment_id":%s}`, number("deployments", w[4]))
	case len(w) == 5 && verb == "bind" && w[3] == "to":
		return bound(number, noun, w[2], w[4])
	}
	return "", ""
}

// bound is the request of NOUN bind A to B.
func bound(number func(noun, name string) string, noun, a, b string) (request, body string) {
	switch noun {
	case "nodes":
		return "POST node_roles", fmt.Sprintf(`{"node_id":%s,"role_id":%s}`, number("nodes", a), number("roles", b))
	case "roles":
		return "POST node_roles", fmt.Sprintf(`{"node_id":%s,"role_id":%s}`, number("nodes", b), number("roles", a))
	case "deployments":
		return "POST deployment_roles", fmt.Sprintf(`{"deployment_id":%s,"role_id":%s}`, number("deployments", a), number("roles", b))
	}
	return "", ""
}
