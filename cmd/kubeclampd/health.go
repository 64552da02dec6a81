package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
)

// checkup looks at what this daemon stands on, for whoever asks what is wrong.
type checkup struct {
	registered func(context.Context) ([]crowbar.Daemon, error) // reads from etcd
	view       func() *crowbar.Snapshot
	broken     func() map[string]string
	members    func(context.Context) (all, well int, err error) // of etcd; nil = nobody asks
	near       bool                                             // etcd is inside of this daemon

	last *atomic.Pointer[[]crowbar.Finding] // what run found last
}

func newCheckup(st *state, host *plugin.Host) *checkup {
	return &checkup{registered: st.Registered, view: st.View, broken: host.Broken, members: st.Members, near: st.near != nil, last: &atomic.Pointer[[]crowbar.Finding]{}}
}

// betweenLooks is how long what was found stands before it is looked at again.
const betweenLooks = 10 * time.Second

// run looks again and again, so that who reads what was found need not wait.
func (h *checkup) run(ctx context.Context) error {
	again := time.NewTicker(betweenLooks)
	defer again.Stop()
	for {
		found := h.health(ctx)
		h.last.Store(&found)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// found is what the last look found; nil before the first.
func (h *checkup) found() []crowbar.Finding {
	if f := h.last.Load(); f != nil {
		return *f
	}
	return nil
}

// slowState is how long an answer of etcd takes when people begin to notice.
const slowState = 250 * time.Millisecond

func (h *checkup) health(ctx context.Context) []crowbar.Finding {
	return []crowbar.Finding{h.etcd(ctx), h.plugins(), h.certificates(time.Now())}
}

func (h *checkup) etcd(ctx context.Context) crowbar.Finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	began := time.Now()
	_, err := h.registered(ctx)
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case err != nil:
		return crowbar.Finding{Check: "etcd", Grade: crowbar.GradeWrong, Says: fmt.Sprintf("the state cannot be read: %v", err), Remedy: "look at the daemon's log, at etcd's members and at the disk below them"}
	case took > slowState:
		return crowbar.Finding{Check: "etcd", Grade: crowbar.GradeWarning, Says: fmt.Sprintf("a read of the state took %s", took), Remedy: "give etcd a faster disk, or the host more to run on"}
	}
	out := crowbar.Finding{Check: "etcd", Grade: crowbar.GradeOK, Says: fmt.Sprintf("a read of the state took %s", took)}
	if h.members == nil {
		return out
	}
	all, well, err := h.members(ctx)
	switch {
	case err != nil:
		return crowbar.Finding{Check: "etcd", Grade: crowbar.GradeWarning, Says: fmt.Sprintf("%s; its members cannot be told: %v", out.Says, err), Remedy: "look at etcd's members"}
	case h.near:
		out.Says = "one member, inside of this daemon; " + out.Says
	default:
		out.Says = fmt.Sprintf("%d of %d members answer, %d are needed; %s", well, all, all/2+1, out.Says)
	}
	if well < all {
		out.Grade, out.Remedy = crowbar.GradeWarning, "bring back the members that do not answer: with one more gone the state may not be writable"
	}
	return out
}

func (h *checkup) plugins() crowbar.Finding {
	var says []string
	broken := h.broken()
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		says = append(says, broken[name])
	}
	if len(says) > 0 {
		return crowbar.Finding{Check: "plugins", Grade: crowbar.GradeWrong, Says: strings.Join(says, "; "), Remedy: "the daemon's log has what they said last"}
	}
	return crowbar.Finding{Check: "plugins", Grade: crowbar.GradeOK, Says: "none is broken"}
}

// certificates are renewed by themselves when two thirds of their life are over, if what uses them can run.
func (h *checkup) certificates(now time.Time) crowbar.Finding {
	s := h.view()
	due := pki.Due(s, now)
	if len(due) == 0 {
		return crowbar.Finding{Check: "certificates", Grade: crowbar.GradeOK, Says: "none of the clusters' is due to be renewed"}
	}
	first := due[0]
	in := ""
	if d := s.Deployment(first.Deployment); d != nil {
		in = " of deployment " + d.Name
	}
	out := crowbar.Finding{Check: "certificates", Grade: crowbar.GradeWarning, Remedy: "what uses them is halted or in error: see 'kubeclamp certs list --due' and 'kubeclamp why'",
		Says: fmt.Sprintf("%d are due to be renewed; %s%s ends on %s", len(due), first.Name, in, first.NotAfter.UTC().Format(time.DateOnly))}
	if now.After(first.NotAfter) {
		out.Grade = crowbar.GradeWrong
		out.Says = strings.Replace(out.Says, "ends on", "ended on", 1)
	}
	return out
}
