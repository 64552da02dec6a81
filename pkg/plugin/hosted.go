package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// hosted gives an object with just the abilities that the role has.
func hosted(k *keeper, can ability) role.Role {
	c := &client{keeper: k, info: can.info}
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
	keeper *keeper
	info   role.Info
}

type checker struct{ c *client }
type remover struct{ c *client }

// Describe is what the process said when it started.
func (c *client) Describe() role.Info { return c.info }

// Apply has the role's process bring one node to the desired state.
func (c *client) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	var out role.Result
	err := c.run(ctx, on, func(w wire, t *rolev1.Target) error {
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
	err := k.c.run(ctx, on, func(w wire, t *rolev1.Target) error {
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
	return r.c.run(ctx, on, func(w wire, t *rolev1.Target) error {
		a, err := w.Remove(ctx, &rolev1.RemoveRequest{Target: t})
		if err != nil || a.GetTrouble() == nil {
			return err
		}
		return said(troubleIn(a.GetTrouble()))
	})
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
func (c *client) run(ctx context.Context, on role.Target, call func(wire, *rolev1.Target) error) error {
	p, err := c.keeper.process(ctx)
	if err != nil {
		return err
	}
	id, withdraw, err := p.lend(ctx, on)
	if err != nil {
		return err
	}
	defer withdraw()
	t, err := targetOut(on, id)
	if err != nil {
		return err
	}
	// gofail: var beforeCall struct{}
	err = call(p.wire, t)
	// gofail: var answered struct{}
	var own answer
	if err == nil || errors.As(err, &own) {
		if own.error != nil {
			return own.error
		}
		return nil
	}
	return c.wireError(ctx, p, err)
}

// wireError tells an end of the process from other trouble.
func (c *client) wireError(ctx context.Context, p *running, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("role %s: %w", c.info.Name, context.Cause(ctx))
	}
	in := statusIn(err)
	if crowbar.KindOf(in) == crowbar.Unavailable && p.gone() {
		words := p.said.tail()
		if words != "" {
			words = "; it said last:\n" + words
		}
		return crowbar.Errorf(crowbar.Unavailable, "role %s: %w (%s)%s", c.info.Name, role.ErrDied, strings.TrimSpace(p.child.how), words)
	}
	return fmt.Errorf("role %s: %w", c.info.Name, in)
}

// lend starts the brokered service of one run. Until the process has connected to it no other one is started: go-plugin's
// multiplexer hands the next stream to whoever waits.
func (p *running) lend(ctx context.Context, on role.Target) (id uint32, withdraw func(), err error) {
	select {
	case <-p.meet:
	case <-p.child.ended:
		return 0, nil, crowbar.Errorf(crowbar.Unavailable, "role %s: %w (%s)", p.can.info.Name, role.ErrDied, p.child.how)
	case <-ctx.Done():
		return 0, nil, fmt.Errorf("role %s: %w", p.can.info.Name, context.Cause(ctx))
	}
	met := sync.OnceFunc(func() { p.meet <- struct{}{} })
	id = p.wire.broker.NextId()
	made := make(chan *grpc.Server, 1)
	go func() {
		defer close(made)
		p.wire.broker.AcceptAndServe(id, func(o []grpc.ServerOption) *grpc.Server {
			s := newHandsServer(&lent{on: on, hello: met}, o)
			made <- s
			return s
		})
	}()
	s := <-made
	// gofail: var lent struct{}
	if s == nil { // the broker is closed: the process is gone or going
		met()
		return 0, nil, crowbar.Errorf(crowbar.Unavailable, "role %s: %w", p.can.info.Name, role.ErrDied)
	}
	return id, func() { s.Stop(); met() }, nil
}
