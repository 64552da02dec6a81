package main

import (
	"context"
	"io"

	"github.com/kubeclamp/kubeclamp/pkg/annealer"
	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// logs finds the log of a run, which lies with the daemon that did it.
type logs struct {
	near *annealer.Annealer
	st   *state
	file string // admin.json: all daemons have token and authority in common
}

// Follow copies a run's log, from here or from the daemon that has it.
func (l *logs) Follow(ctx context.Context, id crowbar.ID, attempt uint64, follow bool, w io.Writer) error {
	run := l.run(id, attempt)
	if run == nil || run.Owner == "" || nameOf(run.Owner) == l.st.me.Name {
		return l.near.Follow(ctx, id, attempt, follow, w)
	}
	for _, d := range l.st.Daemons() {
		if d.Name != nameOf(run.Owner) || d.Endpoint == "" {
			continue
		}
		conf, err := readAdmin(l.file)
		if err != nil {
			return err
		}
		conf.Endpoint, conf.Name = d.Endpoint, amongUs
		c, err := client.New(conf)
		if err != nil {
			return err
		}
		return c.Log(ctx, id.String(), run.Attempt, follow, w)
	}
	return crowbar.Errorf(crowbar.Unavailable, "attempt %d of node-role %d was run by daemon %q, which is not there now: its log lies in that daemon's DATADIR/runs", run.Attempt, id, nameOf(run.Owner))
}

// run is the record of an attempt; 0 is the newest.
func (l *logs) run(id crowbar.ID, attempt uint64) *crowbar.Run {
	s := l.st.View()
	nr := s.NodeRole(id)
	if nr == nil {
		return nil
	}
	if attempt == 0 || attempt == nr.Attempt {
		return s.Run(nr.Run)
	}
	for r := range s.Runs() {
		if r.NodeRole == id && r.Attempt == attempt {
			return r
		}
	}
	return nil
}
