//go:build ui

package ui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// limit fails the test where the machine is quiet enough for times to count: UI_LIMITS says so.
func (w *world) limit(what string, took, most time.Duration) {
	w.t.Helper()
	w.t.Logf("%s: %s", what, took.Round(time.Millisecond))
	if os.Getenv("UI_LIMITS") != "" && took > most {
		w.t.Errorf("%s took %s, want at most %s", what, took, most)
	}
}

const fleetNodes, fleetRoles = 1000, 20

// fleet is a deployment of 1,000 nodes and 20 roles, paused: nothing of it runs yet.
func fleet(t *testing.T) *world {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintln(&b, "barclamp: { name: large }\ncrowbar: { layout: 2.0 }\njigs: [{ name: noop, class: Noop }]\nroles:")
	for i := range fleetRoles - 1 {
		fmt.Fprintf(&b, "  - { name: step-%02d, jig: noop, flags: [implicit]", i)
		if i > 0 {
			fmt.Fprintf(&b, ", requires: [step-%02d]", i-1)
		}
		fmt.Fprintln(&b, " }")
	}
	fmt.Fprintf(&b, "  - { name: worker, jig: noop, requires: [step-%02d], peers: [] }\n", fleetRoles-2)
	file := filepath.Join(t.TempDir(), "barclamp.yaml")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := buildWith(t, file)
	ctx := t.Context()
	if err := w.admin.Create(ctx, crowbar.KindDeployment, map[string]any{"name": "fleet"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "fleet", "pause", nil); err != nil {
		t.Fatal(err)
	}
	doc := crowbar.Cluster{Deployment: "fleet"}
	for i := range fleetNodes {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: fmt.Sprintf("f%04d.fleet.example", i), Address: fmt.Sprintf("10.2.%d.%d", i/250, i%250+1), Jig: "noop", Roles: []string{"worker"}})
	}
	if err := w.admin.Apply(ctx, doc, false); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestLargeMatrix: a matrix of 1,000 nodes and 20 roles is there soon, follows what happens, and has a row for every node
// once one has scrolled to its end.
func TestLargeMatrix(t *testing.T) {
	w := fleet(t)
	ctx := t.Context()
	tab := w.browser()
	w.signIn(tab)
	var ms, first float64
	w.do(tab, "the matrix", w.at("/deployments/fleet"), until(`typeof ui === 'object' && document.querySelector('#grid .c[tabindex="0"]')`),
		chromedp.Evaluate(`performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd - performance.getEntriesByType('navigation')[0].responseStart`, &ms),
		chromedp.Evaluate(`performance.getEntriesByType('navigation')[0].responseStart`, &first))
	w.limit("first byte of the matrix", time.Duration(first*1e6), time.Second)
	w.limit("from the first byte until it can be used", time.Duration(ms*1e6), time.Second)
	w.do(tab, "follow", chromedp.Evaluate(`window.lags = []; window.seen = 0; new MutationObserver(l => { seen += l.length; }).observe(document.getElementById('grid'), {subtree: true, childList: true, characterData: true}); ui.hear('node_role.*', e => { const at = Date.parse(e.time); requestAnimationFrame(() => setTimeout(() => lags.push(Date.now() - at))); })`, nil))
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "fleet", "resume", nil); err != nil {
		t.Fatal(err)
	}
	var p50, p99 float64
	w.do(tab, "events come", until(`lags.length > 2000 && seen > 50`), chromedp.Evaluate(`lags.sort((a, b) => a - b)[Math.floor(lags.length / 2)]`, &p50), chromedp.Evaluate(`lags[Math.floor(lags.length * .99)]`, &p99))
	w.limit("from an event until the tab has drawn it, median", time.Duration(p50*1e6), time.Second)
	w.limit("99 of 100", time.Duration(p99*1e6), 2*time.Second)
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "fleet", "pause", nil); err != nil {
		t.Fatal(err)
	}
	w.do(tab, "scroll to the end", until(fmt.Sprintf(`(() => { const b = document.querySelector('.gridbox'); b.scrollTop = b.scrollHeight; return document.querySelectorAll('#grid .r[data-node]').length === %d; })()`, fleetNodes)))
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}

// TestLongLog: a log of 100,000 lines is read to its end, searched, and never in the page as a whole.
func TestLongLog(t *testing.T) {
	w := build(t)
	ctx := t.Context()
	if err := w.admin.Create(ctx, crowbar.KindDeployment, map[string]any{"name": "lab"}, nil); err != nil {
		t.Fatal(err)
	}
	n := map[string]any{"name": "n1.lab.example", "address": "127.1.0.1", "jig": "noop", "deployment": "lab", "alive": true, "available": true}
	if err := w.admin.Create(ctx, crowbar.KindNode, n, nil); err != nil {
		t.Fatal(err)
	}
	nr, err := w.admin.Bind(ctx, "docker", "n1.lab.example", "lab")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.admin.SetAttrib(ctx, crowbar.KindDeployment, "lab", "docker-log-lines", 100_000); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "lab", "commit", nil); err != nil {
		t.Fatal(err)
	}
	tab := w.browser()
	w.signIn(tab)
	w.do(tab, "the whole log", w.at(fmt.Sprintf("/node_roles/%d", nr.ID)), chromedp.WaitVisible(`.log .ln`), until(`parseInt(document.querySelector('[data-log-count]').innerText) >= 100000`))
	var drawn int
	var ms float64
	w.do(tab, "search", chromedp.SetValue(`[data-log-search]`, "# 54321 "), chromedp.Evaluate(`(() => { const t = performance.now(); document.querySelector('[data-log-search]').dispatchEvent(new Event('input', {bubbles: true})); return performance.now() - t; })()`, &ms),
		until(`document.querySelector('.log .ln.now mark')`), chromedp.Evaluate(`document.querySelectorAll('.log .ln').length`, &drawn))
	w.limit("search in 100,000 lines", time.Duration(ms*1e6), 200*time.Millisecond)
	if drawn > 200 {
		t.Errorf("%d lines are in the page", drawn)
	}
	w.do(tab, "scroll", chromedp.Evaluate(`(() => { const p = document.querySelector('.log'); const t = performance.now(); for (let i = 0; i < 100; i++) { p.scrollTop = i * 20000; p.dispatchEvent(new Event('scroll')); } return (performance.now() - t) / 100; })()`, &ms))
	w.limit("one step of scrolling", time.Duration(ms*1e6), 16*time.Millisecond)
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
