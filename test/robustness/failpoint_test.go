package robustness

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	kills     = flag.Int("failpoint.kills", 1, "how often a daemon is killed at each failpoint")
	onlyPoint = flag.String("failpoint.only", "", "these failpoints alone, such as store.beforeCommit,engine.sealedAnew")
	readyIn   = flag.Duration("failpoint.ready", 0, "fail where a daemon takes longer to answer after a kill; 0 = only say so")
)

// fewest is how many failpoints there must be.
const fewest = 40

// troubled are the failpoints that only runs pass which fail or are cancelled.
var troubled = []string{"annealer.beforeStop", "annealer.beforeAgain", "annealer.triedAgain"}

// result is what a failpoint's kills came to.
type result struct {
	point       string
	killed      int
	fresh       bool // it is passed by a first start alone
	slow, whole time.Duration
	bad         error
}

// TestFailpoints kills a daemon at every failpoint of its sources, and looks what the next one finds.
func TestFailpoints(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes more than a minute")
	}
	if os.Geteuid() != 0 {
		t.Skip("its nodes are this machine, and changing that takes root")
	}
	b := buildDaemon(t)
	if len(b.points) < fewest {
		t.Fatalf("there are %d failpoints, and should be %d", len(b.points), fewest)
	}
	first, later := countHits(t, b)
	work := make(chan string)
	results := make(chan result)
	var all sync.WaitGroup
	for i := range 2 * runtime.GOMAXPROCS(0) { // each waits more than it computes
		all.Go(func() {
			w := newWorld(t, b, uint64(i))
			for point := range work {
				results <- w.killAt(point, first[point], later[point])
				if t.Failed() {
					w = newWorld(t, b, uint64(100+i))
				}
			}
		})
	}
	go func() {
		for _, p := range b.points {
			if (*onlyPoint == "" || slices.Contains(strings.Split(*onlyPoint, ","), p)) && p != "store.maxOps" {
				work <- p
			}
		}
		close(work)
		all.Wait()
		close(results)
	}()
	report(t, results)
}

// countHits lives through two lives on a folder, and says how often each failpoint was passed in each.
func countHits(t *testing.T, b build) (first, later map[string]int) {
	t.Helper()
	w := newWorld(t, b, 99)
	w.trouble = true
	var lives [2]map[string]int
	for i := range lives {
		hits := filepath.Join(w.dir, fmt.Sprintf("hits%d", i))
		d := w.start("KUBECLAMP_FAILPOINT=count", "KUBECLAMP_FAILPOINT_HITS="+hits)
		w.use(d)
		if state := d.cmd.ProcessState; d.client == nil || state.ExitCode() != 0 {
			t.Fatalf("a daemon of which no failpoint is armed ended with %s:\n%s", state, d.said.String())
		}
		text, err := os.ReadFile(hits)
		if err != nil {
			t.Fatal(err)
		}
		lives[i] = map[string]int{}
		for name := range strings.Lines(string(text)) {
			lives[i][strings.TrimSpace(name)]++
		}
	}
	return lives[0], lives[1]
}

// killAt kills daemons at one failpoint, at different times that they pass it.
func (w *world) killAt(point string, first, later int) (r result) {
	r = result{point: point, fresh: later == 0}
	passes := later
	if r.fresh {
		passes = first
	}
	if passes == 0 {
		r.bad = errors.New("nothing that this test does passes it: have it do so")
		return r
	}
	w.trouble = slices.Contains(troubled, point)
	began := time.Now()
	for i := 0; i < *kills && r.bad == nil; i++ {
		in := w
		if r.fresh {
			in = newWorld(w.t, w.build, uint64(i))
		}
		ready, err := in.killed(point, passes*i/(*kills))
		if err != nil {
			r.bad = fmt.Errorf("kill %d: %w", i+1, err)
			break
		}
		r.killed++
		r.slow = max(r.slow, ready)
	}
	r.whole = time.Since(began)
	return r
}

// killed uses a daemon until it is killed the n-th time it passes a failpoint, and checks what is left. Things do not happen
// at the same times in each life: where it is not passed so often, it is the first time.
func (w *world) killed(point string, n int) (ready time.Duration, err error) {
	hits := filepath.Join(w.dir, "hits")
	for _, at := range []int{n, n / 2, 0, 0} {
		if err := os.WriteFile(hits, nil, 0o600); err != nil {
			return 0, err
		}
		d := w.start(fmt.Sprintf("KUBECLAMP_FAILPOINT=%s=%d", point, at), "KUBECLAMP_FAILPOINT_HITS="+hits)
		w.use(d)
		text, err := os.ReadFile(hits)
		if err != nil {
			return 0, err
		}
		ready, err := w.check()
		if err != nil {
			return ready, fmt.Errorf("at the %d. time: %w\nthe one that was killed said:\n%s", at+1, err, d.said.String())
		}
		if strings.TrimSpace(string(text)) == point {
			return ready, nil
		}
		if state := d.cmd.ProcessState; state.ExitCode() != 0 {
			return ready, fmt.Errorf("it ended otherwise, with %s:\n%s", state, d.said.String())
		}
	}
	return 0, errors.New("it was not passed again")
}

func report(t *testing.T, results <-chan result) {
	t.Helper()
	var all []result
	for r := range results {
		if r.bad == nil && *readyIn > 0 && r.slow > *readyIn {
			r.bad = fmt.Errorf("a daemon took %s to answer again, and %s are allowed", r.slow, *readyIn)
		}
		if r.bad != nil {
			t.Errorf("%s: %s", r.point, r.bad)
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b result) int { return strings.Compare(a.point, b.point) })
	var text strings.Builder
	fmt.Fprintf(&text, "%-28s %5s %9s  %s\n", "failpoint", "kills", "ready ms", "")
	killed, slow := 0, time.Duration(0)
	for _, r := range all {
		note := ""
		if r.fresh {
			note = "first start"
		}
		if r.bad != nil {
			note = "VIOLATION"
		}
		fmt.Fprintf(&text, "%-28s %5d %9d  %s\n", r.point, r.killed, r.slow.Milliseconds(), note)
		killed, slow = killed+r.killed, max(slow, r.slow)
	}
	fmt.Fprintf(&text, "%d failpoints, %d kills, slowest ready %d ms", len(all), killed, slow.Milliseconds())
	t.Log("\n" + text.String())
}
