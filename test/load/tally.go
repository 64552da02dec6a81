package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// tally is what the clients saw.
type tally struct {
	mu     sync.Mutex
	waits  [][]time.Duration // by act
	failed []int
	first  error
	length time.Duration
}

func (t *tally) note(act int, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed[act]++
		if t.first == nil {
			t.first = err
		}
		return
	}
	t.waits[act] = append(t.waits[act], took)
}

// of joins what was waited for reads, or for writes.
func (t *tally) of(writes bool) (waits []time.Duration, failed int) {
	for i, a := range acts {
		if a.writes == writes {
			waits, failed = append(waits, t.waits[i]...), failed+t.failed[i]
		}
	}
	return waits, failed
}

func share(d []time.Duration, of float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(of*float64(len(d)-1))]
}

func (t *tally) print(to io.Writer, o options, lists time.Duration) {
	fmt.Fprintf(to, "%s, %d CPUs; %d nodes of %d roles; %d clients for %s, a request each %s on average\n", runtime.Version(), runtime.NumCPU(),
		o.nodes, o.roles, o.clients, t.length.Round(time.Second), o.pause)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "request\tdone\terrors\tper s\tp50 ms\tp90 ms\tp99 ms\tlongest ms\t")
	line := func(name string, d []time.Duration, failed int) {
		ms := func(of float64) float64 { return float64(share(d, of).Microseconds()) / 1e3 }
		fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", name, len(d), failed, float64(len(d))/t.length.Seconds(), ms(0.5), ms(0.9), ms(0.99), ms(1))
	}
	for i, a := range acts {
		line(a.name, t.waits[i], t.failed[i])
	}
	for _, writes := range []bool{false, true} {
		waits, failed := t.of(writes)
		line(map[bool]string{false: "all reads", true: "all writes"}[writes], waits, failed)
	}
	_ = w.Flush()
	fmt.Fprintf(to, "list of all node-roles, alone: %s at the longest\n", lists.Round(time.Millisecond))
}

// held is everything that is over its limit.
func (t *tally) held(lists time.Duration) error {
	var bad []error
	reads, failedReads := t.of(false)
	writes, failedWrites := t.of(true)
	if n := failedReads + failedWrites; n > 0 {
		bad = append(bad, fmt.Errorf("%d requests failed, the first: %w", n, t.first))
	}
	if len(reads) == 0 || len(writes) == 0 {
		bad = append(bad, fmt.Errorf("%d reads and %d writes were done: that measures nothing", len(reads), len(writes)))
	}
	if p99 := share(reads, 0.99); p99 >= limitRead {
		bad = append(bad, fmt.Errorf("the p99 of reads is %s, want less than %s", p99, limitRead))
	}
	if lists >= limitList {
		bad = append(bad, fmt.Errorf("a list of all node-roles took %s, want less than %s", lists, limitList))
	}
	return errors.Join(bad...)
}
