package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// running is one process that answers.
type running struct {
	child   *process
	client  *goplugin.Client
	wire    wire
	can     ability
	said    *lines
	meet    chan struct{} // one token: brokered connections are made one after the other
	noted   chan struct{} // closed when its end has been counted
	cleared chan struct{} // closed when nothing is left of it

	mu     sync.Mutex
	calls  int    // under way, without those that are stuck
	doomed bool   // it is killed when the last call has ended
	fault  string // why it was ended
	hits   int    // how often it ran into a limit, when that was last asked
}

func newRunning(log *slog.Logger, mask func(string) string) *running {
	p := &running{said: &lines{log: log, mask: mask}, meet: make(chan struct{}, 1), noted: make(chan struct{}), cleared: make(chan struct{})}
	p.meet <- struct{}{}
	return p
}

// connect does the handshake, and asks the role what it is.
func (p *running) connect(ctx context.Context, k *keeper) error {
	over := make(chan struct{})
	defer close(over)
	go func() { // go-plugin's own start does not listen to anybody
		select {
		case <-ctx.Done():
		case <-k.quit:
		case <-over:
			return
		}
		select {
		case <-p.child.launched:
			_ = p.child.Kill(context.Background())
		case <-over:
		}
	}()
	proto, err := p.client.Client()
	if err != nil {
		return firstError(ctx, err)
	}
	raw, err := proto.Dispense(roleName)
	if err != nil {
		return err
	}
	p.wire = raw.(wire)
	d, err := p.wire.Describe(ctx, &rolev1.DescribeRequest{})
	if err != nil {
		return fmt.Errorf("describe: %w", firstError(ctx, statusIn(err)))
	}
	p.can = infoIn(d)
	if p.can.info.Name != k.name {
		return crowbar.Errorf(crowbar.Invalid, "it says that it is role %q", p.can.info.Name)
	}
	return k.host.agrees(p.can.info)
}

// firstError prefers the reason for which the wait was ended.
func firstError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// enter counts a call; leave, which it gives, ends that.
func (p *running) enter() (leave func()) {
	p.mu.Lock()
	p.calls++
	p.mu.Unlock()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		p.calls--
		p.mu.Unlock()
		p.bury()
	})
}

// stuck says that the process is of no use any more.
func (p *running) stuck(why string) {
	p.mu.Lock()
	p.doomed = true
	if p.fault == "" {
		p.fault = why
	}
	p.mu.Unlock()
	p.bury()
}

// bury kills a process that is of no use when nobody waits for it any more.
func (p *running) bury() {
	p.mu.Lock()
	now := p.doomed && p.calls == 0
	p.mu.Unlock()
	if now {
		_ = p.child.Kill(context.Background())
	}
}

// end kills it at once, and says why.
func (p *running) end(why string) {
	p.mu.Lock()
	if p.fault == "" {
		p.fault = why
	}
	p.mu.Unlock()
	_ = p.child.Kill(context.Background())
	<-p.child.ended
}

// how it ended: what was done to it, else what the kernel says.
func (p *running) how() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault != "" {
		return p.fault
	}
	return strings.TrimSpace(p.child.how)
}

// died is the error of a call that was under way when the process ended.
func (p *running) died() error {
	p.drained()
	words := p.said.tail()
	return crowbar.Errorf(crowbar.Unavailable, "role %s: %w: %s%s%s", p.can.info.Name, role.ErrDied, p.how(), because(reason(words)), quoted(words))
}

// news is the limit that it ran into since this was last asked; "" if none.
func (p *running) news() string {
	why, hits := p.child.group.reached()
	p.mu.Lock()
	defer p.mu.Unlock()
	if hits == p.hits {
		return ""
	}
	p.hits = hits
	return why
}

// gone waits a moment for the news of an end: the wire breaks before the kernel tells.
func (p *running) gone() bool {
	select {
	case <-p.child.ended:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// drained waits until all that the ended process said is read.
func (p *running) drained() {
	for limit := time.Now().Add(2 * time.Second); !p.client.Exited() && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
}

// reason finds the line that matters in what a process said: Go's word for why it ended.
func reason(words string) string {
	for line := range strings.Lines(words) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// quoted puts the last words below the line that says what happened.
func quoted(words string) string {
	if words == "" {
		return ""
	}
	return "\nIt said last:\n" + words
}

// plainly is go-plugin's error in one line.
func plainly(err error) string {
	text := strings.TrimSpace(err.Error())
	switch {
	case strings.Contains(text, "plugin exited before we could connect"):
		return "it ended before it said hello"
	case strings.Contains(text, "Unrecognized remote plugin message"):
		line, _, _ := strings.Cut(strings.TrimPrefix(text, "Unrecognized remote plugin message:"), "\n")
		if line = strings.TrimSpace(line); line == "" {
			return "it ended before it said hello"
		}
		return fmt.Sprintf("instead of hello it said %q: a role's program prints nothing on stdout before it serves", first(line, 200))
	case strings.Contains(text, "ncompatible API version"), strings.Contains(text, "ncompatible core API version"):
		line, _, _ := strings.Cut(text, "\n\n")
		return strings.ReplaceAll(line, "\n", " ") + ": build it anew with this kubeclamp's pkg/plugin"
	case errors.Is(err, context.Canceled):
		return "the start was called off"
	}
	return text
}
