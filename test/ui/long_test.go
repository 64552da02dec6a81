//go:build ui

package ui

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// What a tab may grow by, a minute, over the second half of the time: more than that is a leak.
const (
	mostHeap  = 200 << 10 // bytes
	mostNodes = 60        // of the DOM
)

// use is what a tab uses after it was made to let go of what it does not need.
type use struct{ heap, nodes, listeners float64 }

func (w *world) use(tab context.Context) (u use) {
	w.t.Helper()
	w.do(tab, "what the tab uses", performance.Enable(), heapprofiler.CollectGarbage(), heapprofiler.CollectGarbage(), chromedp.ActionFunc(func(ctx context.Context) error {
		all, err := performance.GetMetrics().Do(ctx)
		for _, m := range all {
			switch m.Name {
			case "JSHeapUsedSize":
				u.heap = m.Value
			case "Nodes":
				u.nodes = m.Value
			case "JSEventListeners":
				u.listeners = m.Value
			}
		}
		return err
	}))
	return u
}

// slope is by how much values rise from one to the next, by least squares.
func slope(v []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(v))
	for i, y := range v {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+y, sxx+x*x, sxy+x*y
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// TestMemory: a tab with the whole matrix of 1,000 nodes and 20 roles follows it for as long as UI_LONG says, and uses no more
// at the end than in the middle.
func TestMemory(t *testing.T) {
	long, err := time.ParseDuration(os.Getenv("UI_LONG"))
	if err != nil {
		t.Skip("UI_LONG says for how long: make ui-long")
	}
	w := fleet(t)
	ctx := t.Context()
	tab := w.browser()
	w.signIn(tab)
	w.do(tab, "the matrix", w.at("/deployments/fleet"), until(`typeof ui === 'object' && document.querySelector('#grid .c[tabindex="0"]')`),
		until(fmt.Sprintf(`(() => { const b = document.querySelector('.gridbox'); b.scrollTop = b.scrollHeight; return document.querySelectorAll('#grid .r[data-node]').length === %d; })()`, fleetNodes)))
	// how far the page is behind: when what an event says has been drawn
	w.do(tab, "follow", chromedp.Evaluate(`window.far = {n: 0, worst: 0, late: 0}; window.mark = 1; ui.hear('node_role.*', e => { const at = Date.parse(e.time); requestAnimationFrame(() => setTimeout(() => { const d = Date.now() - at; far.n++; far.worst = Math.max(far.worst, d); if (d > 1000) far.late++; })); })`, nil))
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "fleet", "resume", nil); err != nil {
		t.Fatal(err)
	}
	var last []string // node-roles that nothing waits for
	var all []crowbar.NodeRole
	if err := w.admin.List(ctx, crowbar.KindNodeRole, &all); err != nil {
		t.Fatal(err)
	}
	top := slices.MaxFunc(all, func(a, b crowbar.NodeRole) int { return a.Cohort - b.Cohort }).Cohort
	for _, nr := range all {
		if nr.Cohort == top {
			last = append(last, nr.ID.String())
		}
	}
	all = nil
	end, next := time.Now().Add(long), time.Now().Add(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var heap, nodes []float64
	for i := 0; time.Now().Before(end); i++ {
		<-tick.C
		_ = w.admin.Do(ctx, crowbar.KindNodeRole, last[i*37%len(last)], "retry", nil) // one that is not active yet is refused
		if time.Now().Before(next) {
			continue
		}
		next = next.Add(time.Minute)
		u := w.use(tab)
		heap, nodes = append(heap, u.heap), append(nodes, u.nodes)
		var far struct{ N, Worst, Late float64 }
		w.do(tab, "how far behind", chromedp.Evaluate(`(() => { const f = far; far = {n: 0, worst: 0, late: 0}; return {N: f.n, Worst: f.worst, Late: f.late}; })()`, &far))
		t.Logf("minute %2d: heap %.2f MB, %.0f DOM nodes, %.0f listeners; %.0f updates, the latest %.0f ms behind its event, %.0f by more than a second", len(heap), u.heap/1e6, u.nodes, u.listeners, far.N, far.Worst, far.Late)
		if far.N == 0 {
			t.Error("nothing came for a minute")
		}
	}
	half := len(heap) / 2
	if len(heap)-half < 3 {
		t.Fatal("that was too short to tell")
	}
	h, n := slope(heap[half:]), slope(nodes[half:])
	t.Logf("over the last %d minutes: %+.1f kB of heap and %+.1f DOM nodes a minute", len(heap)-half, h/1e3, n)
	if h > mostHeap || n > mostNodes {
		t.Errorf("it grows: want at most %d bytes and %d nodes a minute", mostHeap, mostNodes)
	}
	w.do(tab, "the same page", until(`window.mark === 1`))
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
