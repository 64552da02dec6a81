// Package webhook tells event sinks what happens, by requests to their addresses: each event that one of a sink's selectors
// takes, in order, at least once. It does not know where events come from, or how sinks are made.
package webhook

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/event"
)

// Engine is what a sender needs of the engine.
type Engine interface {
	View() *crowbar.Snapshot
	Watch(ctx context.Context) <-chan *crowbar.Snapshot
	OpenSink(o *crowbar.EventSink) (password, secret string, err error)
	Delivered(ctx context.Context, now crowbar.Delivery) error
}

// Moves is the state revision by revision.
type Moves interface {
	Moves(ctx context.Context) (*crowbar.Snapshot, <-chan crowbar.Moved)
	Since(ctx context.Context, after crowbar.Rev, each func(crowbar.Moved) bool) error
}

// Config is what a sender stands on.
type Config struct {
	Engine Engine
	Moves  Moves
	Log    *slog.Logger
	// First and Most are the shortest and longest wait between two tries, GiveUp is how long a sink may fail until it is given
	// up; 0 = 1 s, 5 min, 72 h.
	First, Most, GiveUp time.Duration
	Client              *http.Client // nil = one that follows no redirects and reaches no link-local address
}

// Sender tells sinks. One daemon of those that share a state has one that runs.
type Sender struct {
	Config
	done sync.WaitGroup
}

// New makes a sender.
func New(c Config) *Sender {
	c.First, c.Most, c.GiveUp = cmp.Or(c.First, time.Second), cmp.Or(c.Most, 5*time.Minute), cmp.Or(c.GiveUp, 72*time.Hour)
	if c.Client == nil {
		c.Client = plainClient()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Sender{Config: c}
}

// worker is one sink that is being told.
type worker struct {
	stop context.CancelFunc
	as   crowbar.EventSink
}

// Run tells every active sink until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	defer s.done.Wait()
	working := map[crowbar.ID]worker{}
	for view := range s.Engine.Watch(ctx) {
		for id, w := range working {
			if now := view.EventSink(id); now == nil || !now.Active || !now.UpdatedAt.Equal(w.as.UpdatedAt) {
				w.stop()
				delete(working, id)
			}
		}
		for o := range view.EventSinks() {
			if at := view.DeliveryTo(o.ID); !o.Active || at != nil && at.Dead {
				continue
			}
			if _, on := working[o.ID]; on {
				continue
			}
			each, stop := context.WithCancel(ctx)
			working[o.ID] = worker{stop, *o}
			s.done.Go(func() { s.tell(each, *o) })
		}
	}
	return ctx.Err()
}

// told is how far one sink is.
type told struct {
	*Sender
	sink  crowbar.EventSink
	at    crowbar.Delivery
	saved time.Time
}

// keepUp is how often it is noted how far a sink is that nothing is told.
const keepUp = 10 * time.Minute

// tell tells one sink until ctx ends or it is given up.
func (s *Sender) tell(ctx context.Context, sink crowbar.EventSink) {
	t := &told{Sender: s, sink: sink, at: crowbar.Delivery{Sink: sink.ID}, saved: time.Now()}
	if was := s.Engine.View().DeliveryTo(sink.ID); was != nil {
		t.at = *was
	} else {
		t.at.Upto = crowbar.EventID{Rev: s.Engine.View().Rev() + 1}
		t.save(ctx)
	}
	for ctx.Err() == nil && !t.at.Dead {
		if err := t.follow(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("events for a sink", "endpoint", sink.Endpoint, "error", err)
			pause(ctx, s.First)
		}
	}
}

// follow tells what came since it was told last, and then what comes, until there is a hole in it.
func (t *told) follow(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	at, moves := t.Moves.Moves(ctx)
	if t.at.Upto.Rev <= at.Rev() {
		err := t.Moves.Since(ctx, t.at.Upto.Rev-1, func(m crowbar.Moved) bool { return t.moved(ctx, m) })
		switch {
		case crowbar.KindOf(err) == crowbar.NotFound && err != nil:
			was := crowbar.NewSnapshot().Apply(t.at.Upto.Rev)
			if !t.moved(ctx, crowbar.Moved{Was: was, Now: was.Apply(at.Rev()), Lost: true}) {
				return ctx.Err()
			}
		case err != nil:
			return err
		}
	}
	for m := range moves {
		if m.Now.Rev() < t.at.Upto.Rev {
			continue
		}
		if m.Lost || !t.moved(ctx, m) {
			return ctx.Err() // what is lost here may still be in the state's past
		}
	}
	return ctx.Err()
}

// moved tells the sink what happened in one revision, and notes that. It is false when there is no use in going on.
func (t *told) moved(ctx context.Context, m crowbar.Moved) bool {
	sent := t.at.Sent
	for _, e := range event.Of(m) {
		if !m.Lost && !e.ID.After(t.at.Upto) {
			continue
		}
		if selector := t.selected(e); selector != nil {
			if !t.send(ctx, e, selector) {
				return false
			}
			t.at.Sent++
		}
		t.at.Upto = e.ID
	}
	t.at.Upto = crowbar.EventID{Rev: m.Now.Rev() + 1}
	if t.at.Sent != sent || time.Since(t.saved) > keepUp {
		t.save(ctx)
	}
	return ctx.Err() == nil
}

// selected is the first selector of the sink that takes an event; that events were lost every sink is told.
func (t *told) selected(e crowbar.Event) crowbar.Data {
	if e.Type == crowbar.EventsLost {
		return crowbar.Data{"event": "*"}
	}
	params := event.Params(e)
	for sel := range t.Engine.View().EventSelectors() {
		if sel.Sink == t.sink.ID && event.Selected(sel.Selector, params) {
			return sel.Selector
		}
	}
	return nil
}

// send tries until the sink has taken an event; false when ctx ended, or the sink was given up.
func (t *told) send(ctx context.Context, e crowbar.Event, selector crowbar.Data) bool {
	wait := &backoff.ExponentialBackOff{InitialInterval: t.First, RandomizationFactor: 0.3, Multiplier: 2, MaxInterval: t.Most}
	wait.Reset()
	for ctx.Err() == nil {
		gone, err := t.post(ctx, e, selector)
		if err == nil {
			t.at.Failures, t.at.Since, t.at.LastError = 0, time.Time{}, ""
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		now := time.Now().UTC()
		if t.at.Failures++; t.at.Failures == 1 {
			t.at.Since = now
		}
		t.at.LastError, t.at.Dead = err.Error(), gone || now.Sub(t.at.Since) > t.GiveUp
		if t.at.Dead || t.at.Failures&(t.at.Failures-1) == 0 { // the first, second, fourth, eighth...
			t.Log.Warn("an event sink does not take an event", "endpoint", t.sink.Endpoint, "event", e.ID, "tries", t.at.Failures, "given_up", t.at.Dead, "error", err)
			t.save(ctx)
		}
		if t.at.Dead {
			return false
		}
		pause(ctx, wait.NextBackOff())
	}
	return false
}

func (t *told) save(ctx context.Context) {
	if err := t.Engine.Delivered(ctx, t.at); err != nil {
		if ctx.Err() == nil {
			t.Log.Warn("how far an event sink was told is not noted", "endpoint", t.sink.Endpoint, "error", err)
		}
		return
	}
	t.saved = time.Now()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
