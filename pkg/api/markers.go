package api

import (
	"sync"
	"time"
)

// markers remember when each was first seen; the oldest are forgotten.
type markers struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

const mostMarkers = 1000

func (m *markers) since(name string, now time.Time) time.Duration {
	if name == "" {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.seen[name]
	if ok {
		return now.Sub(at)
	}
	if len(m.seen) >= mostMarkers {
		oldest, when := "", now
		for k, t := range m.seen {
			if !t.After(when) {
				oldest, when = k, t
			}
		}
		delete(m.seen, oldest)
	}
	if m.seen == nil {
		m.seen = map[string]time.Time{}
	}
	m.seen[name] = now
	return 0
}
