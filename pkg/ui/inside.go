package ui

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// ask reads something from the REST API on behalf of who looks at a page, with their own credentials: what is secret it
// masks, and what they may not see it refuses. A *[]byte takes the answer as it is, all else the JSON in it.
func (u *UI) ask(r *http.Request, path string, v any) error {
	return u.call(r, http.MethodGet, path, nil, v)
}

// call asks the REST API for anything; of a change it says whose page has asked for it, as the browser says it.
func (u *UI) call(r *http.Request, method, path string, body io.Reader, v any) error {
	in, err := http.NewRequestWithContext(r.Context(), method, path, body)
	if err != nil {
		return err
	}
	if body != nil {
		in.Header.Set("Content-Type", "application/json")
	}
	for _, h := range []string{"Cookie", "Authorization", "Origin", "Sec-Fetch-Site", "X-Csrf-Token"} {
		if x := r.Header.Get(h); x != "" {
			in.Header.Set(h, x)
		}
	}
	in.RemoteAddr, in.TLS, in.Host = r.RemoteAddr, r.TLS, r.Host
	in.Header.Set("Accept", "application/vnd.kubeclamp+json")
	out := &answer{head: http.Header{}}
	u.API.ServeHTTP(out, in)
	if raw, is := v.(*[]byte); is && out.code < 400 {
		*raw = out.b.Bytes()
		return nil
	}
	if out.code < 400 {
		if err := json.Unmarshal(out.b.Bytes(), v); err != nil {
			return fmt.Errorf("answer of %s: %w", path, err)
		}
		return nil
	}
	var said struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(out.b.Bytes(), &said) // without a message the code has to do
	kind := crowbar.Internal
	switch out.code {
	case http.StatusNotFound:
		kind = crowbar.NotFound
	case http.StatusUnprocessableEntity, http.StatusForbidden:
		kind = crowbar.Invalid
	case http.StatusConflict:
		kind = crowbar.Conflict
	case http.StatusServiceUnavailable:
		kind = crowbar.Unavailable
	}
	return crowbar.Errorf(kind, "%s", cmp.Or(said.Message, fmt.Sprintf("%s: %d", path, out.code)))
}

// answer takes what the API writes.
type answer struct {
	head http.Header
	code int
	b    bytes.Buffer
}

// Header is the answer's.
func (a *answer) Header() http.Header { return a.head }

// WriteHeader takes the status.
func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

// Write takes b.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.b.Write(b)
}

// Flush does nothing: nobody reads before the end.
func (*answer) Flush() {}
