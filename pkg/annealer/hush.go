package annealer

import "sync"

// hushPast is how many runs that have ended are still hushed: what a role's process printed may arrive after its run's end.
const hushPast = 64

// Hush takes the secrets of all runs under way, and of the last ones that ended, out of texts of which nobody knows to
// which run they belong, such as what a role's process prints. The zero value is ready; it is safe for concurrent use.
type Hush struct {
	mu   sync.Mutex
	live map[*transcript]bool
	past []*transcript
}

// Mask gives the text without secrets.
func (h *Hush) Mask(text string) string {
	h.mu.Lock()
	all := make([]*transcript, 0, len(h.live)+len(h.past))
	for t := range h.live {
		all = append(all, t)
	}
	all = append(all, h.past...)
	h.mu.Unlock()
	for _, t := range all {
		text = t.mask(text)
	}
	return text
}

func (h *Hush) begin(t *transcript) {
	if !t.secret() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.live == nil {
		h.live = map[*transcript]bool{}
	}
	h.live[t] = true
}

func (h *Hush) end(t *transcript) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.live[t] {
		return
	}
	delete(h.live, t)
	h.past = append(h.past, t)
	if n := len(h.past) - hushPast; n > 0 {
		h.past = append([]*transcript(nil), h.past[n:]...)
	}
}
