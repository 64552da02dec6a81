package annealer

import (
	"context"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// statusLine hands what a role says to the state, once a second at most; the newest line wins.
type statusLine struct {
	text chan string
	end  chan struct{}
	done chan struct{}
	once sync.Once
}

func newStatus(ctx context.Context, e Engine, id crowbar.ID) *statusLine {
	s := &statusLine{text: make(chan string, 1), end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for {
			select {
			case text := <-s.text:
				// gofail: var beforeStatus struct{}
				_ = e.Status(ctx, id, text) // a status that is not shown is no failure
			case <-s.end:
				return
			}
			select {
			case <-time.After(time.Second):
			case <-s.end:
				return
			}
		}
	}()
	return s
}

// set shows a line, soon.
func (s *statusLine) set(text string) {
	for {
		select {
		case s.text <- text:
			return
		default:
		}
		select {
		case <-s.text:
		default:
		}
	}
}

// stop ends it: what the run ended with comes from Finish.
func (s *statusLine) stop() {
	s.once.Do(func() { close(s.end) })
	<-s.done
}
