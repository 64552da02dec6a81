package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/event"
)

const (
	beat      = 15 * time.Second // a sign of life, and a look whether the caller may still listen
	mostHears = 500              // listeners at once
	slowest   = 10 * time.Second // that one write may take
)

// listener is one who follows events.
type listener struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	filter event.Filter
	at     crowbar.EventID // all before it, and itself, is told
}

// events streams what happens, as server-sent events: from now on, or from what Last-Event-ID (or ?since=) says.
func (a *API) events(w http.ResponseWriter, r *http.Request) {
	if a.Moves == nil {
		a.fail(w, r, crowbar.Errorf(crowbar.Unavailable, "this daemon tells no events"))
		return
	}
	since, err := sinceOf(r, a.Engine.View().Rev())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	now := a.ring.join()
	defer a.ring.leave()
	if a.ring.many(mostHears) {
		w.Header().Set("Retry-After", "10")
		a.fail(w, r, crowbar.Errorf(crowbar.Unavailable, "%d listeners are here already: come again later", mostHears))
		return
	}
	l := &listener{w: w, rc: http.NewResponseController(w), at: now}
	q := r.URL.Query()
	l.filter = event.Filter{Types: words(q["type"]), Deployments: a.names(crowbar.KindDeployment, q["deployment"]), Nodes: a.names(crowbar.KindNode, q["node"]), Right: caller(r).Right}
	w.Header().Set("Content-Type", "text/event-stream")
	if since != nil {
		l.at = *since
	}
	if l.send("retry: 2000\nid: "+l.at.String()+"\n\n") != nil {
		return
	}
	if err := a.catchUp(r.Context(), l, now); err != nil {
		return
	}
	a.follow(r, l)
}

// follow tells what the ring has, as long as the caller stays and may.
func (a *API) follow(r *http.Request, l *listener) {
	once := r.URL.Query().Get("follow") == "false"
	alive := time.NewTicker(beat)
	defer alive.Stop()
	for {
		events, upto, more, kept := a.ring.after(l.at)
		if !kept {
			_ = l.send("event: cut\nid: " + l.at.String() + "\ndata: you are too slow: come again with Last-Event-ID " + l.at.String() + "\n\n")
			return
		}
		if l.tell(events, upto) != nil || once || more == nil {
			return
		}
		select {
		case <-more:
		case <-alive.C:
			if !a.still(r) || l.send(": "+time.Now().UTC().Format(time.RFC3339)+"\nid: "+l.at.String()+"\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// catchUp tells what came before the ring begins, out of the state's own past; what that does not know any more is told as
// lost.
func (a *API) catchUp(ctx context.Context, l *listener, now crowbar.EventID) error {
	for range 3 {
		_, _, _, kept := a.ring.after(l.at)
		if !a.ring.reach(ctx, l.at) { // of another state, or of a time that a restored backup does not know
			return l.lost(now)
		}
		if kept {
			return nil
		}
		select {
		case a.past <- struct{}{}: // one at a time: it reads the whole state as it was then
		case <-ctx.Done():
			return ctx.Err()
		}
		var broke error
		err := a.Moves.Since(ctx, l.at.Rev-1, func(m crowbar.Moved) bool {
			broke = l.tell(after(tell(m), l.at), crowbar.EventID{Rev: m.Now.Rev() + 1})
			return broke == nil
		})
		<-a.past
		switch {
		case broke != nil:
			return broke
		case crowbar.KindOf(err) == crowbar.NotFound && err != nil:
			return l.lost(now)
		case err != nil:
			return err
		}
	}
	return nil
}

func after(events []written, id crowbar.EventID) []written {
	for len(events) > 0 && !events[0].ID.After(id) {
		events = events[1:]
	}
	return events
}

// lost says that there is a hole, and goes on from the present.
func (l *listener) lost(now crowbar.EventID) error {
	s := crowbar.NewSnapshot().Apply(l.at.Rev)
	e := event.Of(crowbar.Moved{Was: s, Now: s, Lost: true})[0]
	e.ID = now
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return l.tell([]written{{e, b}}, now)
}

// tell sends those of the events that the filter takes.
func (l *listener) tell(events []written, upto crowbar.EventID) error {
	var b strings.Builder
	for _, e := range events {
		if l.filter.Takes(e.Event) {
			fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", e.ID, e.text)
		}
		l.at = e.ID
		if b.Len() > 1<<16 {
			if err := l.send(b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	l.at = upto
	if b.Len() == 0 {
		return nil
	}
	return l.send(b.String())
}

func (l *listener) send(text string) error {
	_ = l.rc.SetWriteDeadline(time.Now().Add(slowest)) // not every connection has one
	// One that is left behind ends a stream of HTTP/2 at its time, though nothing is being written.
	defer func() { _ = l.rc.SetWriteDeadline(time.Time{}) }()
	if _, err := l.w.Write([]byte(text)); err != nil {
		return err
	}
	return l.rc.Flush()
}

// sinceOf is where the caller left off, or with -N that many revisions ago; nil for one who comes for the first time.
func sinceOf(r *http.Request, now crowbar.Rev) (*crowbar.EventID, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	if text == "" {
		return nil, nil
	}
	if back, err := strconv.ParseInt(text, 10, 32); err == nil && back < 0 {
		return &crowbar.EventID{Rev: max(now+crowbar.Rev(back), 2)}, nil
	}
	id, err := crowbar.ParseEventID(text)
	if err != nil {
		return nil, err
	}
	return &id, nil
}

// names is the names of objects that are given by id or name; what there is none of yet is taken for a name.
func (a *API) names(k crowbar.Kind, keys []string) []string {
	var out []string
	s := a.Engine.View()
	for _, key := range words(keys) {
		if o, err := find(s, k, key); err == nil {
			key = natural(s, o)
		}
		out = append(out, key)
	}
	return out
}

// words takes lists apart: ?type=a,b is as good as ?type=a&type=b.
func words(lists []string) []string {
	var out []string
	for _, l := range lists {
		for w := range strings.SplitSeq(l, ",") {
			if w = strings.TrimSpace(w); w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

// still says that the caller of a long request may do what it began: it was let in at the start, and may have been locked out.
func (a *API) still(r *http.Request) bool {
	c := caller(r)
	now, ok := c, true
	switch scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " "); {
	case scheme == "Bearer":
		if sum := sha256.Sum256([]byte(value)); sum != a.token {
			now, ok = a.Users.Token(sum)
		}
	default:
		if now, ok = a.Users.Caller(c.Name); ok && c.Via == "session" {
			_, ok = a.ticket(r, time.Now())
		}
	}
	return ok && now.Right.Has(c.Right)
}
