//go:build ui

package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestRetire: a master is taken off its node from the matrix, by keyboard: what goes is shown first, then it is watched going.
func TestRetire(t *testing.T) {
	w := build(t)
	w.cluster("prod", 3, 2)
	w.settled("prod")
	tab := w.browser()
	w.signIn(tab)
	w.do(tab, "the matrix", w.at("/deployments/prod"))
	for _, tc := range []struct {
		role string
		says []string
	}{{"k8s-master", []string{"Take k8s-master off p2", "Comes off, in this order", "2 other nodes"}}, {"etcd", []string{"Take etcd off p2", "2 members stand the loss of 0", "Comes off, in this order"}}} {
		w.takeOff(tab, tc.role, tc.says)
	}
	w.do(tab, "the others stay", until(all(cell("p1.prod.example", "etcd")+` === "active"`, cell("p3.prod.example", "k8s-master")+` === "active"`)))
	w.settled("prod")
	if n := w.holders("prod", "k8s-master"); n != 2 {
		t.Errorf("%d masters are left, want 2", n)
	}
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}

// takeOff takes a role off the second node of the deployment prod with nothing but keys, from the matrix.
func (w *world) takeOff(tab context.Context, role string, says []string) {
	w.t.Helper()
	const ready = `document.readyState === 'complete' && typeof ui === 'object' && document.querySelector('#grid .c[tabindex="0"]')`
	var text string
	var column int
	w.do(tab, "which column", until(ready), until(cell("p2.prod.example", role)+` === "active"`), chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll('.r.h .c')].findIndex(h => h.dataset.role === %q)`, role), &column))
	w.do(tab, "go to the cell", chromedp.Evaluate(`document.querySelector('#grid .c[tabindex="0"]').focus()`, nil), chromedp.KeyEvent(kb.Home), chromedp.KeyEvent(kb.ArrowDown))
	for range column {
		w.do(tab, "go right", chromedp.KeyEvent(kb.ArrowRight))
	}
	w.do(tab, "delete", chromedp.KeyEvent(kb.Delete), until(`location.pathname.endsWith('/unbind') && `+loaded+` && document.getElementById('unbind-now')`), chromedp.Text(`main`, &text))
	for _, want := range says {
		if !strings.Contains(text, want) {
			w.t.Errorf("before it is done, the page does not say %q: %s", want, text)
		}
	}
	if n := w.holders("prod", role); n != 3 {
		w.t.Fatalf("%d nodes have %s before anything was confirmed", n, role)
	}
	w.do(tab, "do it", click(`#unbind-now`), until(`location.pathname.startsWith('/deployments/') && `+ready), chromedp.Evaluate(`window.mark = 1`, nil))
	w.do(tab, "it goes, live", until(cell("p2.prod.example", role)+` === ""`), until(`window.mark === 1`))
}

// holders is how many nodes of a deployment have a role.
func (w *world) holders(deployment, role string) (n int) {
	w.t.Helper()
	s, err := w.admin.Status(w.t.Context(), deployment, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, nr := range s.NodeRoles {
		if nr.Role == role {
			n++
		}
	}
	return n
}
