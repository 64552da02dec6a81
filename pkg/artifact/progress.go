package artifact

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// board is the state of one Ensure that its events are made from.
type board struct {
	report func(Event)
	total  int
	start  time.Time

	mu    sync.Mutex
	ready int
	jobs  map[*Component]*job
}

// job is one component on its way.
type job struct {
	*board
	c        *Component
	arch     string
	expected time.Duration
	done     chan struct{} // closed when it is ready

	phase Phase // "" = not begun
	began time.Time
}

// to moves the job to a phase and says so.
func (j *job) to(p Phase) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.phase == p {
		return
	}
	if j.began.IsZero() || j.phase == Waiting {
		j.began = time.Now() // time spent waiting for others is not this one's
	}
	j.phase = p
	if p == Ready {
		j.ready++
	}
	j.say()
}

func (j *job) elapsed() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.began.IsZero() {
		return 0
	}
	return time.Since(j.began)
}

// say reports the job as it is; the board is locked.
func (j *job) say() {
	if j.report == nil {
		return
	}
	j.report(Event{Component: j.c.title(), Version: j.c.Version, Arch: j.arch, Phase: j.phase, Elapsed: time.Since(j.began),
		Expected: j.expected, Done: j.ready, Total: j.total, Spent: time.Since(j.start), Left: j.left()})
}

// left is what the unfinished jobs are expected to take, one after the other.
func (b *board) left() time.Duration {
	var sum time.Duration
	for _, j := range b.jobs {
		switch {
		case j.phase == Ready || j.phase == Failed:
		case j.began.IsZero() || j.phase == Waiting:
			sum += j.expected
		default:
			sum += max(j.expected-time.Since(j.began), time.Second)
		}
	}
	return sum
}

// tick reports what is under way once a second until it is stopped.
func (b *board) tick() (stop func()) {
	if b.report == nil {
		return func() {}
	}
	t, end, ended := time.NewTicker(time.Second), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-t.C:
				b.mu.Lock()
				for _, j := range b.jobs {
					if j.phase != "" && j.phase != Ready && j.phase != Failed {
						j.say()
					}
				}
				b.mu.Unlock()
			}
		}
	}()
	return func() { t.Stop(); close(end); <-ended }
}

// Progress writes events for a human: one line that is drawn anew on a terminal, otherwise a line when a component changes
// its phase and one a half minute in between.
func Progress(w io.Writer, isTerminal bool) func(Event) {
	if isTerminal {
		return func(e Event) {
			if e.Phase == Ready || e.Phase == Failed {
				fmt.Fprintf(w, "\r\x1b[K%s\n", line(e))
				return
			}
			fmt.Fprintf(w, "\r\x1b[K%s %s", bar(e), line(e))
		}
	}
	type seen struct {
		phase Phase
		at    time.Duration
	}
	last := map[string]seen{}
	return func(e Event) {
		key := e.Component + e.Version + e.Arch
		if s, ok := last[key]; ok && s.phase == e.Phase && e.Spent-s.at < 30*time.Second {
			return
		}
		last[key] = seen{e.Phase, e.Spent}
		fmt.Fprintln(w, line(e))
	}
}

func line(e Event) string {
	s := fmt.Sprintf("[%d/%d] %s %s %s", e.Done, e.Total, e.Component, e.Version, e.Phase)
	switch e.Phase {
	case Ready, Failed:
		return s + " after " + short(e.Elapsed)
	case Waiting:
		return s
	}
	return s + " " + short(e.Elapsed) + ", about " + short(e.Left) + " left for everything"
}

// bar is 20 characters of how much of the whole is behind.
func bar(e Event) string {
	const width = 20
	whole := e.Spent + e.Left
	n := 0
	if whole > 0 {
		n = int(int64(width) * int64(e.Spent) / int64(whole))
	}
	return "[" + strings.Repeat("=", n) + strings.Repeat(" ", width-n) + "]"
}

// short is a duration in whole seconds, with minutes where there are some.
func short(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	if s < 60 {
		return fmt.Sprintf("%d s", s)
	}
	return fmt.Sprintf("%d min %02d s", s/60, s%60)
}
