//go:build linux

package conformance

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// bad is a request that is answered with what is wrong with it.
type bad struct {
	line string // "METHOD path", below /api/v2/ where it does not begin with a slash
	head string // header lines with \n between; "-" leaves the usual ones out
	body string
	code int
	says string
}

// mostSaid is how long an answer to a bad request may be.
const mostSaid = 20 << 10

// TestBadInput sends 16 kinds of what no client of good will sends, again and again. Each gets a 4xx that says what is
// wrong, nothing changes, and the daemon's memory stays flat.
func TestBadInput(t *testing.T) {
	t.Parallel()
	d := start(t)
	d.good("POST nodes", `{"name":"n.bad.org","alive":true,"description":"as it was"}`)
	before := d.good("GET nodes").body
	slow, slow2 := make(chan answer, 1), make(chan answer, 1)
	go func() { slow2 <- d.slowly() }()
	go func() {
		slow <- d.raw(d.text(bad{line: "PUT nodes/n.bad.org", head: "Content-Length: 100", body: `{"description":`}), false)
	}()
	kinds := badInput(d)
	if len(kinds) != 15 {
		t.Errorf("there are %d kinds, and the slow body", len(kinds))
	}
	round := func() {
		for kind, tries := range kinds {
			for i, b := range tries {
				b.hold(t, fmt.Sprintf("%s %d", kind, i), d.raw(d.text(b), true))
			}
		}
	}
	round()
	d.idle()
	first := d.memory()
	for range 4 {
		var all sync.WaitGroup
		for range 2 {
			all.Go(round)
		}
		all.Wait()
	}
	bad{code: http.StatusRequestTimeout, says: "too slowly"}.hold(t, "slow body", <-slow)
	bad{code: http.StatusRequestTimeout, says: "too slowly"}.hold(t, "slow body over HTTP/2", <-slow2)
	d.idle()
	if last := d.memory(); last > first+64<<20 {
		t.Errorf("the daemon had %d MiB after the first round and has %d MiB after eight more", first>>20, last>>20)
	} else {
		t.Logf("the daemon had %d MiB after the first round and has %d MiB after eight more", first>>20, last>>20)
	}
	if after := d.good("GET nodes").body; after != before {
		t.Errorf("nodes were\n%s\nand are\n%s", before, after)
	}
}

// hold says what is wrong with an answer.
func (b bad) hold(t *testing.T, name string, a answer) {
	t.Helper()
	says := a.message()
	if says == "" {
		says = a.body // net/http's own answers are plain text
	}
	if a.code == http.StatusTooManyRequests && b.code == http.StatusUnauthorized {
		return // so many wrong passwords are answered with the wait that they cost
	}
	if a.code != b.code || !strings.Contains(says, b.says) || strings.TrimSpace(says) == "" || len(a.body) > mostSaid {
		t.Errorf("%s, %.80q: %d, %d bytes, %.300q; want %d with %q", name, b.line, a.code, len(a.body), a.body, b.code, b.says)
	}
}

// text is the request as it goes over the wire.
func (d *daemon) text(b bad) string {
	method, path, _ := strings.Cut(b.line, " ")
	if !strings.HasPrefix(path, "/") {
		path = "/api/v2/" + path
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\n", method, path)
	head, bare := strings.CutPrefix(b.head, "-")
	if !bare {
		fmt.Fprintf(&out, "Host: %s\r\nAuthorization: Bearer %s\r\n", strings.TrimPrefix(d.url, "https://"), d.key)
		if b.body != "" && !strings.Contains(head, "Content-Length") && !strings.Contains(head, "Transfer-Encoding") {
			fmt.Fprintf(&out, "Content-Length: %d\r\n", len(b.body))
		}
	}
	for line := range strings.SplitSeq(head, "\n") {
		if line != "" {
			out.WriteString(line + "\r\n")
		}
	}
	return out.String() + "\r\n" + b.body
}

// raw sends a text over a connection of its own; with ended, the daemon sees that nothing more comes.
func (d *daemon) raw(text string, ended bool) answer {
	conf := d.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	conf.NextProtos = []string{"http/1.1"}
	c, err := tls.Dial("tcp", strings.TrimPrefix(d.url, "https://"), conf)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(40 * time.Second))
	go func() {
		// The daemon may have answered, and closed, before it has read all.
		if _, err := io.WriteString(c, text); err == nil && ended {
			_ = c.CloseWrite()
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20)) // a connection that is closed ends the answer as well
	return parsed(resp, b)
}

// slowly sends a body over HTTP/2 that stops after its first bytes.
func (d *daemon) slowly() answer {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.http.Transport.(*http.Transport).TLSClientConfig.RootCAs}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	from, into := io.Pipe()
	defer into.Close()
	go func() { _, _ = io.WriteString(into, `{"description":`) }()
	req, err := http.NewRequestWithContext(context.WithoutCancel(d.t.Context()), http.MethodPut, d.url+"/api/v2/nodes/n.bad.org", from)
	if err != nil {
		return answer{body: err.Error()}
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	a := parsed(resp, b)
	if resp.ProtoMajor != 2 {
		a.body = "it was " + resp.Proto + ": " + strings.TrimSpace(a.body)
		a.v = nil
	}
	return a
}

// idle waits until the daemon's memory does not change any more.
func (d *daemon) idle() {
	d.t.Helper()
	last := d.memory()
	await(d.t, "the daemon's memory to come to rest", func() error {
		time.Sleep(200 * time.Millisecond)
		now := d.memory()
		if now != last {
			was := last
			last = now
			return fmt.Errorf("it had %d bytes and has %d", was, now)
		}
		return nil
	})
}

// memory is what the daemon has of its own, in bytes.
func (d *daemon) memory() int {
	d.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	if err != nil {
		d.t.Fatal(err)
	}
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		d.t.Fatalf("no RssAnon in\n%s", b)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		d.t.Fatal(err)
	}
	return kb << 10
}

// many is n texts, each made of its number.
func many(n int, format, between string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, between)
}

const (
	asJSON = "Content-Type: application/json"
	asForm = "Content-Type: application/x-www-form-urlencoded"
	theBad = "PUT nodes/n.bad.org"
)

func badInput(d *daemon) map[string][]bad {
	big := strings.Repeat("x", 5<<20)
	deep := strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000)
	return map[string][]bad{
		"oversized": {
			{theBad, asJSON, `{"description":"` + big + `"}`, 413, "too large"}, {theBad, asForm, "description=" + big, 413, "too large"},
			{"PATCH nodes/n.bad.org", asJSON, `[{"op":"add","path":"/description","value":"` + big + `"}]`, 413, "too large"},
			{"PUT deployments/k8s/apply", asJSON, `{"deployment":"` + big + `"}`, 413, "too large"},
		},
		"deep JSON": {
			{theBad, asJSON, deep, 400, "nested deeper"}, {theBad, asJSON, `{"description":` + strings.Repeat("[", 200_000), 400, "nested deeper"},
			{"POST nodes/match", asJSON, deep, 400, "nested deeper"}, {"PUT deployments/k8s/apply", asJSON, deep, 400, "nested deeper"},
		},
		"wrong types": {
			{"POST nodes", asJSON, `{"name":{"a":1}}`, 400, "name"}, {theBad, asJSON, `{"alive":"perhaps"}`, 400, "alive"}, {theBad, asJSON, `[1,2]`, 400, "JSON object"},
			{theBad, asJSON, `"text"`, 400, "JSON object"}, {theBad, asJSON, `{"description":`, 400, "request body"}, {theBad, asJSON, `{"description":1e999}`, 400, "request body"},
			{"POST node_roles", asJSON, `{"node":"n.bad.org","role":[]}`, 400, "role"}, {"GET nodes", "x-return-attributes: name", "", 400, "x-return-attributes"},
			{"GET nodes/99999999999999999999999", "", "", 404, "99999"}, {"GET node_roles/1/log?attempt=first", "", "", 404, "node_role"},
		},
		"path tricks":     badPaths(),
		"header tricks":   badHeaders(d),
		"huge header":     {{"GET nodes", "X-Much: " + strings.Repeat("x", 100<<10), "", 431, "Too Large"}, {"GET nodes", many(5000, "X-H%d: yes, it is one more", "\n"), "", 431, "Too Large"}},
		"many parameters": {{"GET nodes?" + many(2000, "a%d=b", "&"), "", "", 400, "parameters"}, {theBad, asForm, many(200_000, "a%d=b", "&"), 400, "parameters"}},
		"duplicate keys": {
			{theBad, asJSON, `{"description":"a","description":"b"}`, 400, "twice"}, {theBad, asJSON, `{"a":{"x":1,"y":2,"x":3}}`, 400, "twice"},
			{"PATCH nodes/n.bad.org", asJSON, `[{"op":"add","op":"remove","path":"/description"}]`, 400, "twice"},
			{"PUT deployments/k8s/apply", asJSON, `{"deployment":"k8s","deployment":"k8s"}`, 400, "twice"},
		},
		"invalid UTF-8": {{theBad, asJSON, "{\"description\":\"\xff\xfe\"}", 400, "UTF-8"}, {theBad, asForm, "description=%ff%fe", 400, "UTF-8"}, {"GET nodes?a=%ff", "", "", 400, "UTF-8"}},
		"NUL":           {{theBad, asJSON, `{"description":"a\u0000b"}`, 400, "NUL"}, {theBad, asJSON, "{\"description\":\"a\x00b\"}", 400, "request body"}, {theBad, asForm, "description=a%00b", 400, "NUL"}, {"GET nodes?a=%00", "", "", 400, "NUL"}},
		"content types": {
			{theBad, "Content-Type: text/xml", "<description>x</description>", 415, "text/xml"}, {theBad, "Content-Type: multipart/form-data; boundary=x", "--x--", 415, "multipart"},
			{theBad, "Content-Type: application/json; charset=utf-16", "{}", 415, "UTF-8"}, {theBad, "Content-Type: /;;", "{}", 415, "Content-Type"}, {theBad, "Content-Type: application/octet-stream", "\x00\x01", 415, "octet"},
		},
		"chunked lies": {
			{theBad, "Transfer-Encoding: chunked", "zz\r\n{}\r\n0\r\n\r\n", 400, "request body"}, {theBad, "Transfer-Encoding: chunked", "10\r\n{}", 400, "broke off"},
			{theBad, "Transfer-Encoding: chunked", "ffffffffffffffffff\r\n{}\r\n", 400, "request body"}, {theBad, "Content-Length: 100", "{}", 400, "broke off"}, {theBad, "Content-Length: -5", "{}", 400, "Bad Request"},
			{theBad, "Content-Length: 2\nContent-Length: 3", "{}", 400, "Bad Request"}, {theBad, "Transfer-Encoding: chunked", "2;" + strings.Repeat("x", 64<<10) + "\r\n{}\r\n0\r\n\r\n", 400, "request body"},
		},
		"method tricks": {
			{"BREW nodes", "", "", 405, "BREW"}, {"get nodes", "", "", 405, "get"}, {"TRACE nodes", "", "", 405, "TRACE"}, {"OPTIONS nodes", "", "", 405, "OPTIONS"}, {"DELETE nodes", "", "", 405, "DELETE"},
			{"POST nodes/n.bad.org", "X-HTTP-Method-Override: DELETE", "", 405, "POST"}, {"POST nodes/n.bad.org?_method=delete", "", "", 405, "POST"}, {"G@T nodes", "", "", 400, "Bad Request"}, {"CONNECT nodes", "", "", 405, ""},
		},
		"ranges and conditions": {
			{"GET nodes", "Range: bytes=zzz", "", 416, "Range"}, {"GET nodes", "Range: bytes=9-2,,x", "", 416, "Range"}, {theBad, `If-Match: "1"`, `{"description":"x"}`, 412, "no versions"},
			{theBad, "If-Unmodified-Since: yesterday", `{"description":"x"}`, 412, "no versions"}, {"GET nodes", "If-Modified-Since: yesterday", "", 400, "If-Modified-Since"}, {"GET nodes", "If-None-Match: unquoted", "", 400, "If-None-Match"},
		},
		"broken digest": badDigests(d),
	}
}

func badPaths() []bad {
	return []bad{
		{"GET nodes/../../../etc/passwd", "", "", 400, "path"}, {"GET nodes/%2e%2e/roles", "", "", 400, "path"}, {"GET //api//v2/nodes", "", "", 400, "path"}, {"GET nodes/%00", "", "", 400, "NUL"},
		{"GET nodes/%ff", "", "", 400, "UTF-8"}, {"GET nodes/a%2f..%2fb", "", "", 400, "path"}, {"GET nodes/%zz", "", "", 400, "Bad Request"}, {"GET nodes/" + strings.Repeat("k", 30<<10), "", "", 404, "Could not find node"},
		{"GET /api/v2\\nodes", "", "", 404, "nothing"}, {"GET nodes/..;/roles", "", "", 404, "Could not find node"}, {"GET /etc/passwd", "", "", 404, "nothing"}, {"GET nodes?a=%zz", "", "", 400, "query"},
	}
}

func badHeaders(d *daemon) []bad {
	host := "Host: " + strings.TrimPrefix(d.url, "https://")
	auth := "Authorization: Bearer " + d.key
	return []bad{
		{"GET nodes", "-" + host + "\nX-Authenticated-Username: crowbar\nX-Authenticated-Right: admin", "", 401, "who are you"},
		{"GET nodes", "-" + host + "\nAuthorization: Bearer nonsense\n" + auth, "", 401, "who are you"},
		{"GET nodes", "X Bad: 1", "", 400, "Bad Request"}, {"GET nodes", "X-Bad: a\x00b", "", 400, "Bad Request"}, {"GET nodes", ": nameless", "", 400, "Bad Request"},
		{"GET nodes", host, "", 400, "Bad Request"}, {"GET nodes", "-" + auth, "", 400, "Bad Request"}, {"GET nodes", "-Host: a b\n" + auth, "", 400, "Bad Request"},
		{"GET nodes", "no colon at all", "", 400, "Bad Request"}, {"GET nodes", "x-return-attributes: [[", "", 400, "x-return-attributes"},
	}
}

// badDigests are answers to the challenge that are all wrong in one thing.
func badDigests(d *daemon) []bad {
	good := d.signed("victim", d.developer("victim"), "GET", "/api/v2/nodes") // whoever is locked out by this, it is not who tests
	host := "-Host: " + strings.TrimPrefix(d.url, "https://") + "\nAuthorization: "
	field := func(name, value string) string {
		return regexp.MustCompile(name+`=("[^"]*"|[^,]*)`).ReplaceAllLiteralString(good, name+"="+value)
	}
	var out []bad
	for _, header := range []string{
		"Digest", "Digest ", "Digest username", `Digest username="`, strings.ToLower(good[:6]) + good[6:], "Basic " + url.QueryEscape(d.user), "Negotiate abc", "Digest " + strings.Repeat("a=b,", 10_000),
		field("realm", `"Other"`), field("nonce", `"AAAA"`), field("nonce", `""`), field("uri", `"/api/v2/roles"`), field("uri", `"%zz"`), field("uri", `"http://elsewhere/api/v2/nodes?x"`), field("qop", "auth-int"),
		field("response", `"00000000000000000000000000000000"`), field("nc", "zzzzzzzz"), field("cnonce", `"other"`), field("algorithm", "MD5-sess"), field("username", `"nobody"`), field("username", `"`+strings.Repeat("u", 30_000)+`"`),
	} {
		out = append(out, bad{"GET nodes", host + header, "", 401, "who are you"})
	}
	return out
}
