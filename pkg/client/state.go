package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// ExportState copies the whole state as lines of JSON. One that breaks off is an error.
func (c *Client) ExportState(ctx context.Context, w io.Writer) (objects int, err error) {
	resp, err := c.send(ctx, http.MethodGet, "/api/v2/state", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	last := &lastLine{}
	if _, err := io.Copy(io.MultiWriter(w, last), resp.Body); err != nil {
		return 0, crowbar.Errorf(crowbar.Unavailable, "the export broke off: %w", err)
	}
	var end struct {
		End *int `json:"end"`
	}
	if json.Unmarshal(last.text, &end) != nil || end.End == nil {
		return 0, crowbar.Errorf(crowbar.Unavailable, "the export broke off: its last line is missing; see the daemon's log")
	}
	return *end.End, nil
}

// ImportState makes the state what an export says, all of it or nothing; with replace also where there is one.
func (c *Client) ImportState(ctx context.Context, r io.Reader, replace bool) (done crowbar.StateCopy, err error) {
	p := "/api/v2/state"
	if replace {
		p += "?replace=true"
	}
	resp, err := c.stream(ctx, http.MethodPut, p, "application/jsonl", r)
	if err != nil {
		return done, err
	}
	defer resp.Body.Close()
	return done, json.NewDecoder(resp.Body).Decode(&done)
}

// lastLine keeps the last line of what is written.
type lastLine struct{ text []byte }

// Write takes b.
func (l *lastLine) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 || i == len(b)-1 {
			break
		}
		l.text, b = l.text[:0], b[i+1:]
	}
	if k := len(l.text); k > 0 && l.text[k-1] == '\n' && len(b) > 0 {
		l.text = l.text[:0]
	}
	l.text = append(l.text, b...)
	return n, nil
}
