//go:build ui

package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// drag moves the mouse with its button down from the middle of one element to the middle of another.
func drag(from, to string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var at [4]float64
		middle := `(s => { const r = document.querySelector(s).getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })`
		if err := chromedp.Evaluate(fmt.Sprintf(`[...%s(%q), ...%s(%q)]`, middle, from, middle, to), &at).Do(ctx); err != nil {
			return err
		}
		steps := []*input.DispatchMouseEventParams{input.DispatchMouseEvent(input.MouseMoved, at[0], at[1]), input.DispatchMouseEvent(input.MousePressed, at[0], at[1])}
		for i := range 10 {
			part := float64(i+1) / 10
			steps = append(steps, input.DispatchMouseEvent(input.MouseMoved, at[0]+(at[2]-at[0])*part, at[1]+(at[3]-at[1])*part))
		}
		steps = append(steps, input.DispatchMouseEvent(input.MouseReleased, at[2], at[3]))
		for _, st := range steps {
			if st.Type != input.MouseMoved {
				st = st.WithClickCount(1).WithButton(input.Left)
			} else {
				st = st.WithButton(input.Left).WithButtons(1)
			}
			if err := st.Do(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *world) deployment(name string) crowbar.Deployment {
	w.t.Helper()
	var d crowbar.Deployment
	if err := w.admin.Show(w.t.Context(), crowbar.KindDeployment, name, &d); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// cell is the state that a cell of the matrix shows; "" where there is nothing.
func cell(node, role string) string {
	return fmt.Sprintf(`(() => { const i = [...document.querySelectorAll('.r.h .c')].findIndex(h => h.dataset.role === %q); return document.getElementById('row-%s')?.children[i + 1]?.querySelector('a')?.getAttribute('aria-label') || ''; })()`, role, node)
}

func all(states ...string) string { return strings.Join(states, " && ") }

// TestWork: what an operator does in the pages, from the first node to a cluster that runs and one that fails and is mended.
func TestWork(t *testing.T) {
	w := build(t)
	ctx := t.Context()
	var d crowbar.Deployment
	if err := w.admin.Create(ctx, crowbar.KindDeployment, map[string]any{"name": "lab"}, &d); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		n := map[string]any{"name": fmt.Sprintf("n%d.lab.example", i+1), "address": fmt.Sprintf("127.1.0.%d", i+1), "jig": "noop", "deployment": "lab", "alive": true, "available": true}
		if err := w.admin.Create(ctx, crowbar.KindNode, n, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.admin.SetAttrib(ctx, crowbar.KindDeployment, "lab", "docker-storage", "devicemapper"); err != nil {
		t.Fatal(err)
	}
	tab := w.browser()
	w.signIn(tab)
	at := fmt.Sprintf("/deployments/%d", d.ID)

	// by mouse: a role is dragged onto a node; what it needs is shown first, and comes with it
	var says string
	w.do(tab, "drag a role onto a node", w.at(at), chromedp.WaitVisible(`#grid`), until(`typeof ui === 'object'`),
		drag(`.palette [data-role="k8s-master"]`, `[id="row-n1.lab.example"] .n`), chromedp.WaitVisible(`#assign .comes`), chromedp.Text(`#assign`, &says))
	for _, r := range []string{"node-prep", "docker", "etcd", "flannel", "dns-pool", "k8s-config", "k8s-master"} {
		if !strings.Contains(says, r) {
			t.Errorf("the parents are not all shown before anything is done: no %s in %q", r, says)
		}
	}
	w.do(tab, "put it there", chromedp.Click(`#assign-yes`), until(cell("n1.lab.example", "k8s-master")+` === "proposed"`))
	w.do(tab, "the parents are there too", until(all(cell("n1.lab.example", "etcd")+` === "proposed"`, cell("n1.lab.example", "docker")+` === "proposed"`)))
	// a node onto a role
	w.do(tab, "drag a node onto a role", drag(`[id="row-n2.lab.example"] .n`, `.r.h [data-role="etcd"] a`), chromedp.WaitVisible(`#assign .comes`), chromedp.Click(`#assign-yes`),
		until(cell("n2.lab.example", "etcd")+` === "proposed"`))

	// by keyboard alone: two cells of a column, then enter
	w.do(tab, "the keyboard", until(`document.querySelector('.r.h [data-role="etcd"]') && !document.querySelector('dialog[open]')`),
		chromedp.Evaluate(`(() => { const i = [...document.querySelectorAll('.r.h .c')].findIndex(h => h.dataset.role === 'etcd'); const row = document.getElementById('row-n2.lab.example'); document.querySelector('#grid .c[tabindex="0"]').focus(); return i; })()`, nil),
		chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowDown))
	var column int
	w.do(tab, "which column", chromedp.Evaluate(`[...document.querySelectorAll('.r.h .c')].findIndex(h => h.dataset.role === 'etcd')`, &column))
	for range column {
		w.do(tab, "go right", chromedp.KeyEvent(kb.ArrowRight))
	}
	w.do(tab, "select two and confirm", chromedp.KeyEvent(" "), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(" "), until(`document.querySelectorAll('.c.sel').length === 2`),
		chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`#assign .comes`), chromedp.KeyEvent(kb.Enter),
		until(all(cell("n3.lab.example", "etcd")+` === "proposed"`, cell("n4.lab.example", "etcd")+` === "proposed"`)))

	// commit, with the plan first; states turn without the page being loaded anew
	w.do(tab, "the plan", until(`!document.querySelector('dialog[open]')`), chromedp.Click(`#commit`), chromedp.WaitVisible(`#commit-now`), chromedp.Text(`main`, &says))
	if !strings.Contains(says, "never applied") || !strings.Contains(says, "etcd") {
		t.Errorf("the plan says %q", says)
	}
	w.do(tab, "commit", chromedp.Click(`#commit-now`))
	w.do(tab, "back on the matrix", chromedp.ActionFunc(func(ctx context.Context) error {
		return role.Await(ctx, "the matrix", time.Minute, func(ctx context.Context) (there bool, _ error) {
			err := chromedp.Evaluate(`document.readyState === 'complete' && !!document.getElementById('grid')`, &there).Do(ctx)
			return there, err
		})
	}), chromedp.Evaluate(`window.mark = 1`, nil))
	w.do(tab, "it turns live", until(all(cell("n1.lab.example", "etcd")+` === "active"`, cell("n4.lab.example", "etcd")+` === "active"`, cell("n1.lab.example", "docker")+` === "error"`)), until(`window.mark === 1`))

	// the failing one: its log, the attrib, retry, green
	w.do(tab, "open what failed", chromedp.Evaluate(fmt.Sprintf(`document.getElementById('row-n1.lab.example').children[1 + [...document.querySelectorAll('.r.h .c')].findIndex(h => h.dataset.role === 'docker')].querySelector('a').click()`), nil),
		chromedp.WaitVisible(`.log .ln`), until(`document.querySelector('.log').innerText.includes('failed: docker.service does not start')`), until(`document.getElementById('state').innerText === 'error'`))
	w.do(tab, "search the log", chromedp.SendKeys(`[data-log-search]`, "does not start"), until(`document.querySelectorAll('.log mark').length > 0`))
	w.do(tab, "mend the attrib", chromedp.Click(`[data-edit="docker-storage"]`), chromedp.WaitVisible(`dialog[open] textarea`), chromedp.SetValue(`dialog[open] textarea`, "overlay2"),
		chromedp.Evaluate(`document.querySelector('dialog[open] select').selectedIndex = 1`, nil), chromedp.Click(`dialog[open] .primary`), until(`!document.querySelector('dialog[open]') && [...document.querySelectorAll('.tag')].some(e => e.innerText === 'proposed')`))
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "lab", "commit", nil); err != nil {
		t.Fatal(err)
	}
	w.do(tab, "retry until it is green", until(`document.querySelector('#retry') || document.getElementById('state').innerText === 'active'`),
		chromedp.Evaluate(`document.getElementById('state').innerText === 'error' && document.querySelector('#retry').click()`, nil), until(`document.getElementById('state').innerText === 'active'`))
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
