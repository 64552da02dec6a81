package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"net/netip"
)

const (
	strikes   = 6
	locked    = 10 * time.Minute
	mostPeers = 10000
)

// throttle counts wrong credentials by where they come from, or whom they are for.
type throttle struct {
	mu   sync.Mutex
	seen map[string]strike
}

type strike struct {
	count int
	since time.Time
}

// wait is how long nothing is taken from there.
func (t *throttle) wait(from string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen[from]
	if s.count < strikes {
		return 0
	}
	if left := locked - now.Sub(s.since); left > 0 {
		return left
	}
	delete(t.seen, from)
	return 0
}

// failed notes wrong credentials.
func (t *throttle) failed(from string, now time.Time) {
	if a, err := netip.ParseAddr(from); err == nil && a.IsLoopback() { // whoever is on this machine shares it with everybody there
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string]strike{}
	}
	s := t.seen[from]
	if now.Sub(s.since) > locked {
		s = strike{}
	}
	if len(t.seen) >= mostPeers {
		for k, o := range t.seen {
			if now.Sub(o.since) > locked {
				delete(t.seen, k)
			}
		}
	}
	t.seen[from] = strike{s.count + 1, now}
}

// forgive forgets: the credentials were good.
func (t *throttle) forgive(from string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, from)
}

func tooOften(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
	write(w, http.StatusTooManyRequests, "framework.error", map[string]any{"status": http.StatusTooManyRequests, "kind": "unavailable",
		"message": "too many wrong passwords: nothing more is taken for " + wait.Round(time.Second).String()})
}
