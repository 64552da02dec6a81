package api

import (
	"context"
	"encoding/json"
	"sort"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/event"
)

// Moves is the state revision by revision.
type Moves interface {
	// Moves gives the state now, and every revision from then on.
	Moves(ctx context.Context) (*crowbar.Snapshot, <-chan crowbar.Moved)
	// Since gives every revision after one up to now; NotFound where they are forgotten.
	Since(ctx context.Context, after crowbar.Rev, each func(crowbar.Moved) bool) error
}

// written is an event, written once for all who hear it.
type written struct {
	crowbar.Event
	text []byte
}

func tell(m crowbar.Moved) []written {
	events := event.Of(m)
	out := make([]written, 0, len(events))
	for _, e := range events {
		if b, err := json.Marshal(e); err == nil { // it always is: texts, numbers and times
			out = append(out, written{e, b})
		}
	}
	return out
}

// ring is the newest events. It works only while somebody listens: with nobody there, events cost nothing.
type ring struct {
	moves Moves
	most  int

	mu     sync.Mutex
	events []written
	from   crowbar.EventID // all that came after this is in events
	upto   crowbar.EventID // all that came before this has been told
	grown  chan struct{}   // closed and replaced when upto moves
	heard  int             // listeners
	stop   context.CancelFunc
}

// join begins to listen; it gives where the present is.
func (r *ring) join() crowbar.EventID {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard++; r.heard == 1 {
		ctx, stop := context.WithCancel(context.Background())
		at, moves := r.moves.Moves(ctx)
		r.stop, r.events, r.grown = stop, nil, make(chan struct{})
		r.from = crowbar.EventID{Rev: at.Rev() + 1}
		r.upto = r.from
		go r.fill(ctx, moves)
	}
	return r.upto
}

// Listeners is how many follow events now.
func (a *API) Listeners() int {
	a.ring.mu.Lock()
	defer a.ring.mu.Unlock()
	return a.ring.heard
}

// many says that there are more listeners than that.
func (r *ring) many(most int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.heard > most
}

// lag is how long a daemon waits for what another one has told already.
const lag = 3 * time.Second

// reach waits until the present is at an event, or past it; false where that does not come.
func (r *ring) reach(ctx context.Context, id crowbar.EventID) bool {
	ctx, cancel := context.WithTimeout(ctx, lag)
	defer cancel()
	for {
		_, upto, more, _ := r.after(id)
		if !id.After(upto) {
			return true
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// leave ends listening.
func (r *ring) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard--; r.heard == 0 {
		r.stop()
		r.events = nil
	}
}

func (r *ring) fill(ctx context.Context, moves <-chan crowbar.Moved) {
	for m := range moves {
		more := tell(m)
		r.mu.Lock()
		if ctx.Err() == nil { // else another one fills it by now
			r.events = append(r.events, more...)
			if over := len(r.events) - r.most; over > 0 {
				r.from = r.events[over-1].ID
				r.events = append([]written(nil), r.events[over:]...)
			}
			r.upto = crowbar.EventID{Rev: m.Now.Rev() + 1}
			close(r.grown)
			r.grown = make(chan struct{})
		}
		r.mu.Unlock()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil { // the store was closed
		close(r.grown)
		r.grown = nil
	}
}

// after is what came after an event, and up to where that is; kept is false where the ring does not reach back that far.
// more is closed when there is more; it is nil at the end of everything.
func (r *ring) after(id crowbar.EventID) (out []written, upto crowbar.EventID, more <-chan struct{}, kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from.After(id) {
		return nil, r.upto, r.grown, false
	}
	i := sort.Search(len(r.events), func(i int) bool { return r.events[i].ID.After(id) })
	return r.events[i:len(r.events):len(r.events)], r.upto, r.grown, true
}
