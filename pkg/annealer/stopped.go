package annealer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// stopped is why a run was told to stop: somebody cancelled it, or it took too long; nil where neither is so.
func stopped(outer, run context.Context, tooLong error) error {
	switch {
	case errors.Is(context.Cause(outer), errCancelled):
		return context.Cause(outer)
	case outer.Err() == nil && run.Err() != nil && errors.Is(context.Cause(run), tooLong):
		return tooLong
	}
	return nil
}

// told remembers the step in which a run was told to stop.
func (r *recorder) told(ctx context.Context, began time.Time, step string) {
	if ctx.Err() == nil {
		return
	}
	step = strings.Join(strings.Fields(step), " ")
	if len(step) > 200 {
		step = step[:200] + "..."
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == "" {
		r.at = fmt.Sprintf("%s (for %s)", step, time.Since(began).Round(100*time.Millisecond))
	}
}

// ended says why a run ended that was told to stop, what it was at, and what the role said to that.
func (r *recorder) ended(why, said error) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := line(why.Error())
	if r.at != "" {
		text += ": it was at " + r.at
	} else {
		text += ": nothing was under way on the node"
	}
	more := said.Error()
	if _, after, again := strings.Cut(more, why.Error()); again { // it says what we say
		return text + after
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if strings.HasSuffix(more, known.Error()) { // also where it came over a wire
			return text
		}
	}
	return text + ": " + more
}
