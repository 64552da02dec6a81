//go:build ui

package ui

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// TestSeveralNodes: nodes are chosen on their page, moved to a deployment, and given a role; what comes along is shown first.
// Their power is not switched where none of them can be.
func TestSeveralNodes(t *testing.T) {
	w := build(t)
	ctx := t.Context()
	w.servers(4, "r")
	var d crowbar.Deployment
	if err := w.admin.Create(ctx, crowbar.KindDeployment, map[string]any{"name": "lab"}, &d); err != nil {
		t.Fatal(err)
	}
	in := func() (n int) {
		var all []crowbar.Node
		if err := w.admin.List(ctx, crowbar.KindNode, &all); err != nil {
			t.Fatal(err)
		}
		for _, one := range all {
			if one.Deployment == d.ID && !one.System {
				n++
			}
		}
		return n
	}
	become := func(what string, count func() int, want int) {
		t.Helper()
		err := role.Await(ctx, what, patience, func(context.Context) (bool, error) { n := count(); return n == want, fmt.Errorf("there are %d", n) })
		if err != nil {
			t.Fatal(err)
		}
	}
	choose := func(tab context.Context, from, option string) {
		w.do(tab, option, chromedp.Evaluate(fmt.Sprintf(`(() => { const s = document.querySelector(%q); s.value = [...s.options].find(o => o.textContent === %q).value; s.dispatchEvent(new Event('change', {bubbles: true})); })()`, from, option), nil),
			chromedp.WaitVisible(`#bulk-ask[open]`))
	}
	tab := w.browser()
	w.signIn(tab)
	w.do(tab, "two nodes", w.at("/nodes"), until(loaded), click(`[data-name="r1.rack.example"]`), click(`[data-name="r2.rack.example"]`), until(`document.querySelector('#bulk-text').textContent === '2 nodes'`))

	w.do(tab, "their power", click(`#bulk-power`), until(`document.body.innerText.includes('None of these nodes has a hammer')`))

	choose(tab, "#bulk-deployment", "lab")
	if n := in(); n != 0 {
		t.Fatalf("%d nodes were moved before anything was confirmed", n)
	}
	w.do(tab, "move them", click(`#bulk-yes`))
	become("both to be in the deployment", in, 2)

	w.do(tab, "they are shown there", until(`[...document.querySelectorAll('[data-pick]')].filter(b => b.checked && b.dataset.deployment === '`+fmt.Sprint(d.ID)+`').length === 2`))
	choose(tab, "#bulk-role", "etcd")
	w.do(tab, "what comes along", until(`document.querySelector('#bulk-body').innerText.includes('node-prep') && document.querySelector('#bulk-body').innerText.includes('2 nodes')`))
	if n := w.holders("lab", "etcd"); n != 0 {
		t.Fatalf("%d nodes have it before anything was confirmed", n)
	}
	w.do(tab, "put it there", click(`#bulk-yes`))
	become("both to have the role", func() int { return w.holders("lab", "etcd") }, 2)
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
