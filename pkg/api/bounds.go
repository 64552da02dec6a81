package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// What a request may be at the most. A body's size is limited where it is read.
const (
	maxParams  = 1000
	maxMessage = 8 << 10          // of an error: what it cites of the request is the caller's
	bodyPause  = 10 * time.Second // between two pieces of a body
	bodyStart  = time.Minute      // for a body of any size, and a second more for each
	bodyRate   = 16 << 10         // bytes
)

// unfit says what is wrong with a request before anybody looks at what it asks for.
func unfit(r *http.Request) error {
	bad := func(format string, args ...any) error {
		return legacy(crowbar.Errorf(crowbar.Invalid, format, args...), http.StatusBadRequest)
	}
	p := r.URL.Path
	switch clean := path.Clean(p); {
	case !plainText(p):
		return bad("path: want UTF-8 without NUL")
	case p != clean && p != clean+"/":
		return bad("path: want it without '.', '..' and '//'")
	case strings.Count(r.URL.RawQuery, "&") >= maxParams:
		return bad("there are more than %d parameters", maxParams)
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("query: %w", err)
	}
	for k, v := range q {
		if !plainText(k + strings.Join(v, "")) {
			return bad("parameter %q: want UTF-8 without NUL", k)
		}
	}
	if err := conditions(r); err != nil {
		return err
	}
	return typed(r)
}

var (
	ranges = regexp.MustCompile(`^[a-z]+=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*$`)
	etags  = regexp.MustCompile(`^(\*|(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*)$`)
)

// conditions refuses what cannot hold: objects have no versions here, so that "only if it has not changed" is never known
// to be true. What only spares an answer is not needed, but must be well formed.
func conditions(r *http.Request) error {
	h := r.Header
	for _, name := range []string{"If-Match", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return &coded{crowbar.Errorf(crowbar.Conflict, "%s: objects have no versions here; to change one only if it is as you know it, send a JSON patch with a test", name), http.StatusPreconditionFailed}
		}
	}
	if v := h.Get("If-None-Match"); v != "" && !etags.MatchString(v) {
		return legacy(crowbar.Errorf(crowbar.Invalid, `If-None-Match: want "tag", or *`), http.StatusBadRequest)
	}
	if v := h.Get("If-Modified-Since"); v != "" {
		if _, err := http.ParseTime(v); err != nil {
			return legacy(crowbar.Errorf(crowbar.Invalid, "If-Modified-Since: want a time such as Mon, 02 Jan 2006 15:04:05 GMT"), http.StatusBadRequest)
		}
	}
	if v := h.Get("Range"); v != "" && !ranges.MatchString(v) {
		return &coded{crowbar.Errorf(crowbar.Invalid, "Range: want bytes=FIRST-LAST; answers are whole in any case"), http.StatusRequestedRangeNotSatisfiable}
	}
	return nil
}

// typed refuses a body that is neither JSON nor a form. Old clients say nothing of what they send, or say that their JSON
// is a form.
func typed(r *http.Request) error {
	said := r.Header.Get("Content-Type")
	if said == "" || r.ContentLength == 0 {
		return nil
	}
	t, more, err := mime.ParseMediaType(said)
	charset := more["charset"]
	switch {
	case err != nil:
	case charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "us-ascii"):
	case t == "application/json", t == "application/jsonl", t == "text/json", t == "text/plain", t == "application/x-www-form-urlencoded", strings.HasSuffix(t, "+json"):
		return nil
	}
	return &coded{crowbar.Errorf(crowbar.Invalid, "Content-Type %s: want application/json or application/x-www-form-urlencoded, in UTF-8", said), http.StatusUnsupportedMediaType}
}

// paced is a body that breaks off when it comes too slowly, so that nobody holds a connection for ever.
type paced struct {
	io.ReadCloser
	clock *http.ResponseController
	began time.Time
	count int64
}

// pace has a request's body come in time. What cannot be limited (a recorder in a test) is not.
func pace(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 { // nothing is awaited: a limit would end what the handler does
		return
	}
	p := &paced{ReadCloser: r.Body, clock: http.NewResponseController(w), began: time.Now()}
	p.limit()
	r.Body = p
}

func (p *paced) limit() {
	last := p.began.Add(bodyStart + time.Duration(p.count/bodyRate)*time.Second)
	if soon := time.Now().Add(bodyPause); soon.Before(last) {
		last = soon
	}
	_ = p.clock.SetReadDeadline(last)
}

// Read reads on. At the end of the body the limit is lifted: what comes next may take its time.
func (p *paced) Read(b []byte) (int, error) {
	p.limit()
	n, err := p.ReadCloser.Read(b)
	p.count += int64(n)
	if errors.Is(err, io.EOF) {
		_ = p.clock.SetReadDeadline(time.Time{})
	}
	return n, err
}

// late says that a body came too slowly.
func late(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// short is a message of bounded length.
func short(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "..."
}
