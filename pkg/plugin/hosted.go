package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// hosted gives an object with just the abilities that the role has.
func hosted(k *keeper, can ability) role.Role {
	c := &client{keeper: k, info: can.info, program: can.program}
	switch {
	case can.checks && can.removes:
		return struct {
			*client
			checker
			remover
		}{c, checker{c}, remover{c}}
	case can.checks:
		return struct {
			*client
			checker
		}{c, checker{c}}
	case can.removes:
		return struct {
			*client
			remover
		}{c, remover{c}}
	}
	return c
}

// client is the role in the daemon.
type client struct {
	keeper  *keeper
	info    role.Info
	program string // sha256, hex
}

type checker struct{ c *client }
type remover struct{ c *client }

// Describe is what the process said when it started.
func (c *client) Describe() role.Info { return c.info }

// Program tells this program of the role from any other: what another one said counts no more.
func (c *client) Program() string { return c.program }

// Apply has the role's process bring one node to the desired state.
func (c *client) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	var out role.Result
	err := c.run(ctx, on, func(ctx context.Context, w wire, t *rolev1.Target) error {
		r, err := w.Apply(ctx, &rolev1.ApplyRequest{Target: t})
		if err != nil {
			return err
		}
		var failed error
		out, failed = applyIn(r)
		return said(failed)
	})
	return out, err
}

// Check has the role's process look for drift.
func (k checker) Check(ctx context.Context, on role.Target) (role.Drift, error) {
	var out role.Drift
	err := k.c.run(ctx, on, func(ctx context.Context, w wire, t *rolev1.Target) error {
		r, err := w.Check(ctx, &rolev1.CheckRequest{Target: t})
		if err != nil {
			return err
		}
		var failed error
		out, failed = checkIn(r)
		return said(failed)
	})
	return out, err
}

// Remove has the role's process take the role off the node.
func (r remover) Remove(ctx context.Context, on role.Target) error {
	return r.c.run(ctx, on, func(ctx context.Context, w wire, t *rolev1.Target) error {
		a, err := w.Remove(ctx, &rolev1.RemoveRequest{Target: t})
		if err != nil || a.GetTrouble() == nil {
			return err
		}
		return said(troubleIn(a.GetTrouble()))
	})
}

// Act has the role's process do one of the actions that it said it knows.
func (c *client) Act(ctx context.Context, on role.Target, do role.Action) (out crowbar.Data, err error) {
	if !slices.Contains(c.info.Actions, do.Name) {
		return nil, crowbar.Errorf(crowbar.Invalid, "role %s has no action %q", c.info.Name, do.Name)
	}
	args, err := dataOut(do.Args)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "arguments of action %s: %w", do.Name, err)
	}
	err = c.run(ctx, on, func(ctx context.Context, w wire, t *rolev1.Target) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s, err := w.Act(ctx, &rolev1.ActRequest{Target: t, Action: do.Name, ArgsJson: args})
		for err == nil {
			var m *rolev1.ActResponse
			if m, err = s.Recv(); err != nil {
				break
			}
			if end := m.GetEnd(); end != nil {
				if trouble := end.GetTrouble(); trouble != nil {
					return said(troubleIn(trouble))
				}
				out, err = dataIn(end.GetDataJson())
				return err
			}
			if _, bad := do.Out.Write(m.GetOut()); bad != nil {
				return said(fmt.Errorf("what comes out of action %s: %w", do.Name, bad))
			}
		}
		return err
	})
	return out, err
}

// answer is an error that the role itself gave, as against one of the wire.
type answer struct{ error }

func (a answer) Unwrap() error { return a.error }

func said(err error) error {
	if err == nil {
		return nil
	}
	return answer{err}
}

// run lends the role's process the target's hands for one call.
func (c *client) run(ctx context.Context, on role.Target, call func(context.Context, wire, *rolev1.Target) error) error {
	p, err := c.keeper.process(ctx)
	if err != nil {
		return err
	}
	leave := p.enter()
	defer leave()
	loan, err := p.lend(ctx, on)
	if err != nil {
		return err
	}
	defer loan.withdraw()
	t, err := targetOut(on, loan.id)
	if err != nil {
		return err
	}
	limit := c.keeper.host.cfg.StartLimit
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hello := time.AfterFunc(limit, func() {
		if !loan.met() {
			cancel(fmt.Errorf("%w within %s", errNeverAsked, limit))
		}
	})
	defer hello.Stop()
	// gofail: var beforeCall struct{}
	err = call(ctx, p.wire, t)
	// gofail: var answered struct{}
	var own answer
	if err == nil || errors.As(err, &own) {
		if own.error == nil {
			return nil
		}
		if why := p.news(); why != "" {
			return fmt.Errorf("%w: %s", own.error, why)
		}
		return own.error
	}
	return c.wireError(ctx, p, loan, leave, err)
}

var errNeverAsked = crowbar.Errorf(crowbar.Unavailable, "its process did not ask for its node")

// wireError tells an end of the process from other trouble.
func (c *client) wireError(ctx context.Context, p *running, loan *loan, leave func(), err error) error {
	name := c.info.Name
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if !errors.Is(cause, errNeverAsked) && loan.returned(c.keeper.host.cfg.StopLimit) {
			return fmt.Errorf("role %s: %w", name, cause)
		}
		leave()
		c.keeper.retire(p, "a run in it did not stop when it was told to")
		return fmt.Errorf("role %s: %w, and it did not stop when it was told to: its process is ended%s", name, cause, quoted(p.said.tail()))
	}
	in := statusIn(err)
	code := status.Code(err)
	switch {
	case code == codes.ResourceExhausted && !told(err):
		return crowbar.Errorf(crowbar.Invalid, "role %s: its answer is larger than the %s that it may be: %w", name, size(maxAnswer), in)
	case (!told(err) || crowbar.KindOf(in) == crowbar.Unavailable) && p.gone():
		return p.died()
	case !told(err) && (code == codes.Unavailable || code == codes.Canceled):
		p.end("it closed its connection in the middle of a run")
		return p.died()
	}
	return fmt.Errorf("role %s: %w", name, in)
}

// told says that a status is the other side's own word, not the wire's.
func told(err error) bool { return len(status.Convert(err).Details()) > 0 }

// loan is the brokered service of one run.
type loan struct {
	id     uint32
	server *grpc.Server
	hello  func()
	begun  chan struct{} // closed when the process has connected
	over   chan struct{} // closed when that connection has ended: the call has, in the process
	ended  func()        // closes it
}

func (l *loan) met() bool {
	select {
	case <-l.begun:
		return true
	default:
		return false
	}
}

// returned waits for the call to end in the process after it was told to. One that never asked for its node is not waited for.
func (l *loan) returned(limit time.Duration) bool {
	if !l.met() {
		return true
	}
	select {
	case <-l.over:
		return true
	case <-time.After(limit):
		return false
	}
}

func (l *loan) withdraw() {
	l.server.Stop()
	l.hello()
}

// TagRPC, HandleRPC, TagConn and HandleConn see the process come and go.
func (l *loan) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (l *loan) HandleRPC(context.Context, stats.RPCStats)                         {}
func (l *loan) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (l *loan) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, end := s.(*stats.ConnEnd); end {
		l.ended()
	}
}

// lend starts the brokered service of one run. Until the process has connected to it no other one is started: go-plugin's
// multiplexer hands the next stream to whoever waits.
func (p *running) lend(ctx context.Context, on role.Target) (*loan, error) {
	select {
	case <-p.meet:
	case <-p.child.ended:
		return nil, p.died()
	case <-ctx.Done():
		return nil, fmt.Errorf("role %s: %w", p.can.info.Name, context.Cause(ctx))
	}
	l := &loan{id: p.wire.broker.NextId(), begun: make(chan struct{}), over: make(chan struct{})}
	next := sync.OnceFunc(func() { p.meet <- struct{}{} })
	met := sync.OnceFunc(func() { close(l.begun); next() })
	l.hello, l.ended = next, sync.OnceFunc(func() { close(l.over) })
	made := make(chan *grpc.Server, 1)
	go func() {
		defer close(made)
		p.wire.broker.AcceptAndServe(l.id, func(o []grpc.ServerOption) *grpc.Server {
			s := newHandsServer(&lent{on: on, hello: met}, append(o, grpc.StatsHandler(l)))
			made <- s
			return s
		})
	}()
	l.server = <-made
	// gofail: var lent struct{}
	if l.server == nil { // the broker is closed: the process is gone or going
		next()
		return nil, crowbar.Errorf(crowbar.Unavailable, "role %s: %w", p.can.info.Name, role.ErrDied)
	}
	return l, nil
}
