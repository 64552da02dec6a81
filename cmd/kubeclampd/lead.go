package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/webhook"
)

// leader does what one daemon does for all: it takes back the runs of those that are gone, drops old records of runs, keeps the
// clusters' certificates, mends what was changed by hand if it is to, and tells event sinks what happens.
type leader struct {
	st  *state
	eng *engine.Engine
	c   *config
}

// lead takes its turn as the leader, and works until ctx ends.
func lead(ctx context.Context, c *config, st *state, eng *engine.Engine, ask engine.Asker) error {
	l := &leader{st, eng, c}
	return st.Lead(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		var beside sync.WaitGroup
		beside.Go(func() { _ = webhook.New(webhook.Config{Engine: eng, Moves: st, Log: c.log}).Run(ctx) })
		beside.Go(func() { _ = eng.KeepCertificates(ctx, time.Minute) })
		if c.mendEvery > 0 {
			beside.Go(func() { _ = eng.KeepMended(ctx, c.mendEvery, ask) })
		}
		err := l.run(ctx)
		cancel()
		beside.Wait()
		return err
	})
}

// run looks for runs without a daemon whenever daemons have come or gone, and every now and then.
func (l *leader) run(ctx context.Context) error {
	var seen []string
	trim := time.NewTicker(time.Hour)
	defer trim.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	watch := l.eng.Watch(ctx)
	for first := true; ; first = false {
		now := l.st.Owners()
		if first || !slices.Equal(seen, now) {
			if err := l.reclaim(ctx); err == nil {
				seen = now
			} else if ctx.Err() == nil {
				l.c.log.Warn("leader", "error", err)
			}
		}
		select {
		case _, open := <-watch:
			if !open {
				return ctx.Err()
			}
		case <-trim.C:
			if err := l.eng.Trim(ctx); err != nil && ctx.Err() == nil {
				l.c.log.Warn("leader", "error", err)
			}
		case <-again.C:
			seen = nil
		}
	}
}

// lookAgain is how often the leader looks without a reason.
const lookAgain = 5 * time.Second

// reclaim takes back the runs of owners that are not registered. Who is missing in the roll that is read after the runs were
// seen is gone for good: it was registered when it began them, and no name is used twice.
func (l *leader) reclaim(ctx context.Context) error {
	owners := l.eng.Owners()
	if len(owners) == 0 {
		return nil
	}
	daemons, err := l.st.Registered(ctx)
	if err != nil {
		return err
	}
	for _, d := range daemons {
		delete(owners, d.Owner)
	}
	if len(owners) == 0 {
		return nil
	}
	for o := range owners {
		l.c.log.Info("taking back the runs of a daemon that is gone", "owner", o)
	}
	return l.eng.ReclaimFrom(ctx, func(owner string) bool { return owners[owner] })
}
