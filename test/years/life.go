package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/test/site"
)

// masters are all three nodes.
var masters = []string{"n1", "n2", "n3"}

const (
	settleLimit = 20 * time.Minute
	kubectl     = "kubectl --kubeconfig " + site.Admin + " --request-timeout 10s "
)

// trial is one cluster, the load on it, and the clock of both.
type trial struct {
	site.Cluster
	span, step time.Duration
	clock      *clock
	load       *site.Load

	last    map[string]crowbar.Certificate
	renewed map[string]int // by name of the certificate
	rounds  int            // steps after which something was due
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.DateTime)+" "+format+"\n", args...)
}

// wind gives containers their clock that come.
func (t *trial) wind(ctx context.Context) {
	for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; {
		if err := t.clock.containers(); err != nil {
			say("a container's clock: %v", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// live moves the clock on, step by step, and after each waits until whatever is due has been renewed. It ends early where a request
// fails. What it gives back says how far it came.
func (t *trial) live(ctx context.Context) (what string, err error) {
	t.renewed = map[string]int{}
	if t.last, err = t.Certificates(ctx); err != nil {
		return "", err
	}
	first, steps := t.last, 0
	for ; t.clock.moved() < t.span && err == nil; steps++ {
		t.clock.move(min(t.step, t.span-t.clock.moved()))
		err = t.settle(ctx)
		if seen := t.load.Seen(); seen.Failed > 0 {
			err = errors.Join(err, errors.New("no further: requests fail"))
		}
	}
	leaves, authorities, replaced, renewals, least := 0, 0, 0, 0, -1
	for name, is := range t.last {
		switch is.What {
		case "leaf":
			leaves++
			renewals += t.renewed[name]
			if least < 0 || t.renewed[name] < least {
				least = t.renewed[name]
			}
		case "authority":
			authorities++
			if is.KeyID != first[name].KeyID {
				replaced++
			}
		}
	}
	what = fmt.Sprintf("%.2f years in %d steps; %d certificates of a year, each renewed %d times or more, %d renewals in all; %d of %d authorities replaced when they were due",
		t.clock.moved().Hours()/24/365, steps, leaves, least, renewals, replaced, authorities)
	if err != nil {
		return what, err
	}
	// Two thirds of a year are eight months, two thirds of ten years are less than seven.
	if due := int(t.span.Hours() / (365 * 24) * 1.4); least < due {
		err = errors.Join(err, fmt.Errorf("a certificate was renewed %d times, not %d", least, due))
	}
	if t.span > 7*365*day && replaced < authorities {
		err = errors.Join(err, errors.New("an authority is the one of the beginning"))
	}
	return what, errors.Join(err, t.all(ctx))
}

// settle waits until nothing is due, nothing is replaced and nothing runs, and every program of the load has had an answer since the clock was moved.
func (t *trial) settle(ctx context.Context) error {
	began, moved := time.Now(), t.clock.moved()
	limited, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for busy := false; ; {
		now, err := t.Certificates(limited)
		if err != nil {
			return err
		}
		due, rotating, held := 0, "", false
		for name, is := range now {
			if was := t.last[name]; is.What != "key" && !is.Begins.Equal(was.Begins) {
				t.renewed[name]++
			}
			if len(is.UsedBy) == 0 {
				continue
			}
			if is.What != "key" && time.Now().After(is.Ends) {
				return fmt.Errorf("%s ended at %s and has not been renewed: %s", name, is.Ends.Format(time.DateTime), strings.Join(is.Waits, "; "))
			}
			if is.Due {
				due++
			}
			if is.Rotation != nil {
				rotating = is.Rotation.Phase
				held = held || holds(is)
			}
		}
		t.last = now
		if due > 0 && !busy && t.rounds%2 == 1 { // every other time it is a person who looks
			if _, err := t.CLI(limited, nil, "certs", "renew"); err != nil {
				return err
			}
		}
		if (due > 0 || rotating != "") && !busy {
			busy = true
			t.rounds++
		}
		switch {
		case due == 0 && rotating == "" && t.load.Fresh(began):
			if busy {
				if _, err := t.CLI(limited, nil, "wait", "--progress", "none"); err != nil {
					return err
				}
				say("all is renewed after %.0f s", time.Since(began).Seconds())
			}
			return nil
		case rotating != "" && held: // the old authorities are trusted for a day yet
			say("all has been reissued after %.0f s: two more days go by", time.Since(began).Seconds())
			t.clock.move(2 * day)
			if err := t.dropped(limited); err != nil {
				return err
			}
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("%s after the beginning, certificates that are due: %d, phase of rotation: %q, all programs were answered: %v: %w", moved, due, rotating, t.load.Fresh(began), limited.Err())
		case <-time.After(500 * time.Millisecond):
		}
		if seen := t.load.Seen(); seen.Failed > 0 {
			return nil // live says so
		}
	}
}

// holds says that all has been reissued, and the one before is kept for a while yet: nothing that is rotated moves on meanwhile.
func holds(is crowbar.Certificate) bool {
	return is.Rotation != nil && is.Rotation.Phase == crowbar.PhaseReissue && !is.Rotation.Settled.IsZero()
}

// dropped waits until nothing is held any more.
func (t *trial) dropped(ctx context.Context) error {
	for {
		now, err := t.Certificates(ctx)
		if err != nil {
			return err
		}
		left := false
		for _, is := range now {
			left = left || holds(is)
		}
		if !left {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("old authorities are not dropped when their time is over: %w", ctx.Err())
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// all looks at everything once more when the years are over: nodes, API servers with their own clocks, pods, what kubelets are asked for.
func (t *trial) all(ctx context.Context) error {
	if err := t.Well(ctx, masters...); err != nil {
		return err
	}
	for _, n := range masters {
		text, err := t.SSH(ctx, n, "curl -sk --http1.1 -i https://127.0.0.1:6443/livez")
		if err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			return fmt.Errorf("the API server of %s: %w: %q", n, err, text)
		}
		at, err := http.ParseTime(resp.Header.Get("Date"))
		if off := time.Since(at).Abs(); err != nil || off > time.Minute || resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the API server of %s answers %s, and its clock is off by %s", n, resp.Status, off)
		}
	}
	for _, script := range []string{
		kubectl + "-n kube-system wait --for=condition=Ready pods --all --timeout=90s",
		kubectl + "-n kube-system logs deployment/coredns --tail 1",
	} {
		if _, err := t.SSH(ctx, "n1", script); err != nil {
			return err
		}
	}
	return t.same(ctx)
}

// same says that nothing is on the nodes otherwise than as it was applied, but for their clocks: date is as of old there.
func (t *trial) same(ctx context.Context) error {
	text, err := t.CLI(ctx, nil, "drift", "-o", "json")
	var ended *exec.ExitError
	if err != nil && !(errors.As(err, &ended) && ended.ExitCode() == 2) { // 2: something differs
		return err
	}
	var is crowbar.Drift
	if err := json.Unmarshal([]byte(text), &is); err != nil {
		return fmt.Errorf("kubeclamp drift: %w", err)
	}
	for _, on := range is.NodeRoles {
		if on.Role != "node-prep" || len(on.Differences) != 1 || !strings.Contains(on.Differences[0].Name, "clock") {
			return fmt.Errorf("%s/%s is not as it was applied: %s %v", on.Node, on.Role, on.Reason, on.Differences)
		}
	}
	if is.Asked == 0 || len(is.NodeRoles) != len(masters) {
		return fmt.Errorf("of %d node-roles %d differ, not the %d that look at the nodes' clocks", is.Asked, len(is.NodeRoles), len(masters))
	}
	return nil
}
