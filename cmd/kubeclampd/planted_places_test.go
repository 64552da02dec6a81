package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
)

// forms is a text as programs print it: as it is, in JSON, in a shell's quotes, in a URL, in hex, in base64.
func forms(text string) []string {
	quoted, _ := json.Marshal(text)
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text)
	all := []string{text, strings.Trim(string(quoted), `"`), plain.String()[1 : plain.Len()-2], strings.ReplaceAll(text, "'", `'\''`), url.QueryEscape(text), url.PathEscape(text),
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte(text)))}
	for offset := range 3 {
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			all = append(all, e.EncodeToString([]byte("user:"[:offset]+text+"!")))
		}
	}
	return all
}

// traces is what of a text's forms is found wherever it is in something: of base64 the part that nothing beside it changes.
func traces(text string) []string {
	all := forms(text)[:8]
	for offset := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := e.EncodeToString([]byte("???"[:offset] + text))
			all = append(all, whole[(8*offset+5)/6:8*(offset+len(text))/6])
		}
	}
	for line := range strings.Lines(text) { // of a key in PEM
		if line = strings.TrimSpace(line); len(line) >= 16 && line != text && !strings.HasPrefix(line, "-----") {
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// lookFor looks for every secret in every form in every place.
func lookFor(t *testing.T, secrets, places map[string]string) {
	t.Helper()
	for name, secret := range secrets {
		for _, trace := range traces(secret) {
			for place, text := range places {
				if at := strings.Index(text, trace); at >= 0 {
					t.Errorf("%s has the secret %q: ...%q...", place, name, text[max(0, at-80):at])
				}
			}
		}
	}
	t.Logf("%d secrets, %d places looked at", len(secrets), len(places))
}

// proveItBlabbed makes sure that there was something to hide, in each place where a role can say something.
func proveItBlabbed(t *testing.T, places map[string]string) {
	t.Helper()
	for place, marks := range map[string][]string{
		"admin: GET /api/v2/node_roles/n1%2Fblab/log": {"--password=" + hiddenInTheLogs, "put /etc/blab/" + hiddenInTheLogs, "the password is " + hiddenInTheLogs, "then " + hiddenInTheLogs},
		"admin: GET /api/v2/node_roles/n2%2Fblab/log": {blabbed + hiddenInTheLogs, "KEY=" + hiddenInTheLogs, "HEX=" + hiddenInTheLogs},
		"why, once":                               {"it refused"},
		"the daemon's log":                        {"stderr has " + hiddenInTheLogs, "stdout has " + hiddenInTheLogs},
		"plan of a rerun with dry runs":           {"password " + hiddenInTheLogs},
		"viewer: GET /api/v2/events":              {"it refused"},
		"admin: GET /api/v2/state":                {"blab-shown"},
		"admin: GET /api/v2/audit":                {"/api/v2/secrets/rotate"},
		"admin: GET /api/v2/event_sinks":          {"hook"},
		"operator: GET /api/v2/node_roles":        {"1 change"},
		"operator: GET /api/v2/users/otto":        {"otto"},
		"arguments and environments of processes": {"kubeclamp-role", "TEST_DAEMON"},
	} {
		for _, mark := range marks {
			if !strings.Contains(places[place], mark) {
				t.Errorf("%s does not have %q, so that it proves nothing: %.4000s", place, mark, places[place])
			}
		}
	}
}

// asker asks one daemon over HTTP, as one user.
type asker struct {
	name, token, endpoint string
	http                  *http.Client
}

// ask gives what the API answers to an administrator, an operator with a token and a viewer who has signed in, on every route
// that is read, and what proves the viewer's session.
func (p *process) ask(t *testing.T, since, token string) (out map[string]string, session string) {
	t.Helper()
	out = map[string]string{}
	for _, name := range []string{"admin", "operator", "viewer"} {
		a := p.asker(t, name)
		switch name {
		case "operator":
			a.token = token
		case "viewer":
			a.token = ""
			session = a.signIn(t, "vera", viewerPassword)
		}
		answered := a.everything(t, since, out)
		if answered < map[string]int{"admin": 100, "operator": 80, "viewer": 80}[name] {
			t.Errorf("%s was answered %d times only", name, answered)
		}
	}
	return out, session
}

func (p *process) asker(t *testing.T, name string) *asker {
	t.Helper()
	var c client.Config
	b, err := os.ReadFile(filepath.Join(p.dir, "admin.json"))
	if err = errors.Join(err, json.Unmarshal(b, &c)); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(c.CA))
	jar, _ := cookiejar.New(nil)
	return &asker{name: name, token: c.Token, endpoint: c.Endpoint, http: &http.Client{Jar: jar, Timeout: time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}}}}
}

// signIn begins a session, and gives what proves it.
func (a *asker) signIn(t *testing.T, user, password string) string {
	t.Helper()
	resp, err := a.http.PostForm(a.endpoint+"/my/users/sign_in", url.Values{"user[username]": {user}, "user[password]": {password}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	u, _ := url.Parse(a.endpoint)
	for _, c := range a.http.Jar.Cookies(u) {
		if i := strings.LastIndex(c.Value, "."); i >= 0 {
			return c.Value[i+1:]
		}
	}
	b, _ := io.ReadAll(resp.Body)
	t.Fatalf("%s cannot sign in: %s %s", user, resp.Status, b)
	return ""
}

// get is one answer, with its head.
func (a *asker) get(t *testing.T, path string) (code int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		t.Fatalf("%s: %s", path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %s", path, err)
	}
	return resp.StatusCode, fmt.Sprint(resp.Header) + string(b)
}

// named is by which keys objects are asked for.
var named = map[string][]string{"nodes": {"n1", "n2"}, "deployments": {"k", "system"}, "node_roles": {"n1%2Fblab", "n2%2Fblab"}, "deployment_roles": {"k%2Fblab"},
	"roles": {"blab"}, "barclamps": {"blabbing"}, "attribs": {"blab-password", "blab-leaf", "blab-key"}, "users": {"vera", "otto"}, "jigs": {"noop"},
	"available_hammers": {"bmc"}, "hammers": {"n1%2Fbmc"}, "event_sinks": {"127.0.0.1:9%2Fhook"}, "event_selectors": {"127.0.0.1:9%2Fhook%23*"}}

// everything asks on every path of the API's own description that is read, and counts the answers that are no refusals.
func (a *asker) everything(t *testing.T, since string, out map[string]string) (answered int) {
	t.Helper()
	_, text := a.get(t, "/api/v2/openapi.json")
	var spec struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &spec); err != nil {
		t.Fatal(err)
	}
	for path, how := range spec.Paths {
		if how["get"] == nil || strings.Contains(path, "openapi") {
			continue
		}
		for _, full := range filled(path) {
			q := map[string]string{"/api/v2/events": "?follow=false&since=" + since}[full]
			code, answer := a.get(t, full+q)
			if code < 400 {
				answered++
			}
			out[a.name+": GET "+full] = answer
		}
	}
	return answered
}

// filled is a path with every key that fits in place of its parameters.
func filled(path string) []string {
	before, rest, has := strings.Cut(path, "{")
	if !has {
		return []string{path}
	}
	parameter, after, _ := strings.Cut(rest, "}")
	words := strings.Split(strings.Trim(before, "/"), "/")
	kind := words[len(words)-1]
	keys := named[kind]
	switch {
	case parameter != "id" && named[parameter+"s"] != nil:
		keys = named[parameter+"s"]
	case kind == "queue", keys == nil:
		keys = []string{"1"}
	}
	var all []string
	for _, k := range keys {
		all = append(all, filled(before+k+after)...)
	}
	return all
}

// keep notes what was answered, in the forms in which strings can be told apart.
func keep(t *testing.T, out map[string]string, name string, v any, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	out[name] = fmt.Sprint(v) + string(b)
}

// files reads the whole data folder, and makes sure that what is not secret is found in it.
func files(t *testing.T, dir string, out map[string]string) {
	t.Helper()
	kinds, seen := map[string]int{}, false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && !d.Type().IsRegular() {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		out["file "+name] = string(bytes.TrimRight(b, "\x00"))
		folder := strings.Split(name, "/")[0]
		kinds[folder]++
		seen = seen || folder == "etcd" && bytes.Contains(b, []byte(`"blab-shown":"open"`))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if kinds["etcd"] == 0 || kinds["runs"] == 0 || !seen {
		t.Errorf("files were looked at: %v; what is not secret was found in etcd's: %v; this proves nothing of them", kinds, seen)
	}
}

// watchArguments gathers the arguments and environments of the daemon and its children until it is asked for them.
func (p *process) watchArguments(t *testing.T) func() string {
	t.Helper()
	all := map[string]bool{}
	look := func() {
		for _, dir := range append(p.children(t), fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)) {
			for _, f := range []string{"cmdline", "environ"} {
				if b, err := os.ReadFile(filepath.Join(dir, f)); err == nil && len(b) > 0 {
					all[strings.ReplaceAll(string(b), "\x00", " ")] = true
				}
			}
		}
	}
	stop, done := make(chan struct{}), make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(stop) }); <-done }
	t.Cleanup(end)
	go func() {
		defer close(done)
		for {
			look()
			select {
			case <-stop:
				look()
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() string {
		end()
		var out []string
		for text := range all {
			out = append(out, text)
		}
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
}

// nextEvent is the id that an event stream begins with.
func (a *asker) nextEvent(t *testing.T) string {
	t.Helper()
	_, text := a.get(t, "/api/v2/events?follow=false")
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if id, is := strings.CutPrefix(s.Text(), "id: "); is {
			return id
		}
	}
	t.Fatalf("the stream of events begins with no id: %s", text)
	return ""
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
