//go:build linux

// Package conformance asks a real kubeclampd what OpenCrowbar's clients ask, over TLS with HTTP digest, and holds the
// answers against the facts of OpenCrowbar's API. It does not know how the daemon works.
package conformance

import (
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
)

// daemon is a kubeclampd that this test started, as one user sees it.
type daemon struct {
	t    *testing.T
	pid  int
	dir  string
	url  string
	ca   string // PEM file
	http *http.Client
	user string
	pass string
	key  string // the administrator's bearer token

	asked *challenge
}

// challenge is what the daemon asked of who signs; it is good for some minutes.
type challenge struct {
	mu     sync.Mutex
	fields map[string]string
	count  int
}

// programs is the folder of the daemon and the roles, which are built once.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kcc")
	for out, pkg := range map[string]string{"kubeclampd": "../../cmd/kubeclampd", "kubeclamp": "../../cmd/kubeclamp", "testrole": "./testrole"} {
		if err != nil {
			break
		}
		var said []byte
		if said, err = exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, out), pkg).CombinedOutput(); err != nil {
			err = fmt.Errorf("build %s: %w\n%s", pkg, err, said)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// start runs a daemon with OpenCrowbar's barclamps and a first user whose password it has made; more are flags.
func start(t *testing.T, more ...string) *daemon {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programs, "kubeclampd"), append([]string{"--data-dir", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--role-plugin", filepath.Join(programs, "testrole"),
		"--plugin-dir", "", "--barclamp", "../../barclamp.yaml", "--barclamp", "barclamps", "--artifact-cache", filepath.Join(dir, "cache")}, more...)...)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, cmd, log.Name()) })
	d := &daemon{t: t, pid: cmd.Process.Pid, dir: dir, asked: &challenge{}}
	await(t, "the daemon to be ready", func() error {
		b, err := os.ReadFile(log.Name())
		if err == nil && !strings.Contains(string(b), "msg=ready") {
			err = fmt.Errorf("it said:\n%s", b)
		}
		return err
	})
	d.introduce()
	return d
}

func stop(t *testing.T, cmd *exec.Cmd, log string) {
	_ = cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		<-done
	}
	if b, err := os.ReadFile(log); err == nil && t.Failed() {
		t.Logf("the daemon said:\n%s", b[max(0, len(b)-8000):])
	}
}

// introduce reads what the daemon has written for whoever comes first.
func (d *daemon) introduce() {
	var conf client.Config
	b, err := os.ReadFile(filepath.Join(d.dir, "data", "admin.json"))
	if err == nil {
		err = json.Unmarshal(b, &conf)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(d.dir, "data", "crowbar.install.key"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.user, d.pass, _ = strings.Cut(strings.TrimSpace(string(key)), ":")
	d.ca = filepath.Join(d.dir, "ca.pem")
	if err := os.WriteFile(d.ca, []byte(conf.CA), 0o600); err != nil {
		d.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(conf.CA))
	d.url, d.key = conf.Endpoint, conf.Token
	d.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 8}, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	d.t.Cleanup(d.http.CloseIdleConnections)
}

// on is the daemon for a test of its own.
func (d *daemon) on(t *testing.T) *daemon {
	c := *d
	c.t = t
	return &c
}

func await(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited a minute for %s: %v", what, err)
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
	v      any // of JSON
}

// obj is the answer as an object; nil where it is none.
func (a answer) obj() map[string]any { m, _ := a.v.(map[string]any); return m }

func (a answer) list() []any { l, _ := a.v.([]any); return l }

func (a answer) message() string { m, _ := a.obj()["message"].(string); return m }

func (a answer) String() string { return fmt.Sprintf("%d %.300s", a.code, a.body) }

func md5hex(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }

// send sends one request, "METHOD path", as it is.
func (d *daemon) send(request, body string, header map[string]string) answer {
	d.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(context.WithoutCancel(d.t.Context()), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := d.http.Do(req)
	if err != nil {
		d.t.Fatalf("%s: %v", request, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s: %v", request, err)
	}
	return parsed(resp, b)
}

func parsed(resp *http.Response, b []byte) answer {
	a := answer{code: resp.StatusCode, header: resp.Header, body: string(b)}
	_ = json.Unmarshal(b, &a.v) // not all answers are JSON
	return a
}

// challenge is the fields of the daemon's challenge, read as OpenCrowbar's Go client reads them.
func (d *daemon) challenge() map[string]string {
	d.t.Helper()
	a := d.send("HEAD /api/v2/digest", "", nil)
	out := map[string]string{"status": fmt.Sprint(a.code)}
	for _, part := range strings.Split(strings.TrimPrefix(a.header.Get("WWW-Authenticate"), "Digest "), ", ") {
		k, v, _ := strings.Cut(part, "=")
		out[k] = strings.Trim(v, `"`)
	}
	return out
}

// signed is the header with which a user signs a request over uri; the nonce is used again and again, as the clients do.
func (d *daemon) signed(user, pass, method, uri string) string {
	d.asked.mu.Lock()
	defer d.asked.mu.Unlock()
	if d.asked.fields == nil {
		d.asked.fields = d.challenge()
	}
	c := d.asked.fields
	d.asked.count++
	nc := fmt.Sprintf("%08x", d.asked.count)
	ha1, ha2 := md5hex(user+":"+c["realm"]+":"+pass), md5hex(method+":"+uri)
	resp := md5hex(strings.Join([]string{ha1, c["nonce"], nc, "deadbeef", c["qop"], ha2}, ":"))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=%s, cnonce="deadbeef", opaque="%s", algorithm=MD5`,
		user, c["realm"], c["nonce"], uri, resp, nc, c["opaque"])
}

// ask sends a request below /api/v2 (or an absolute one, with a slash) by digest.
func (d *daemon) ask(request string, body ...string) answer {
	d.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	if !strings.HasPrefix(path, "/") {
		path = "/api/v2/" + path
	}
	header := map[string]string{"Authorization": d.signed(d.user, d.pass, method, path)}
	text := ""
	if len(body) > 0 {
		text = body[0]
		header["Content-Type"] = "application/json"
	}
	for _, h := range body[min(1, len(body)):] {
		k, v, _ := strings.Cut(h, ": ")
		header[k] = v
	}
	return d.send(method+" "+path, text, header)
}

// good is ask, for what must be answered with 200.
func (d *daemon) good(request string, body ...string) answer {
	d.t.Helper()
	a := d.ask(request, body...)
	if a.code != http.StatusOK {
		d.t.Fatalf("%s %v: %s", request, body, a)
	}
	return a
}

// want holds an answer against a status code and a part of its message.
func (d *daemon) want(code int, says, request string, body ...string) answer {
	d.t.Helper()
	a := d.ask(request, body...)
	if a.code != code || !strings.Contains(a.body, says) {
		d.t.Errorf("%s %v: %s; want %d with %q", request, body, a, code, says)
	}
	return a
}
