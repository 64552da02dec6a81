package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// timed is a connection that can be told how long a write may take.
type timed struct {
	*httptest.ResponseRecorder
	deadline time.Time
	written  []time.Time // the deadlines of writes
}

func (t *timed) SetWriteDeadline(at time.Time) error { t.deadline = at; return nil }
func (t *timed) Write(b []byte) (int, error) {
	t.written = append(t.written, t.deadline)
	return t.ResponseRecorder.Write(b)
}

// A write has its time; a stream on which nothing happens is not ended by it, as HTTP/2 would do.
func TestAnIdleStreamHasNoDeadline(t *testing.T) {
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	l := &listener{w: w, rc: http.NewResponseController(w)}
	if err := l.send("data: x\n\n"); err != nil {
		t.Fatal(err)
	}
	if len(w.written) != 1 || w.written[0].IsZero() || !w.deadline.IsZero() {
		t.Errorf("written with %v, left with %v", w.written, w.deadline)
	}
}
