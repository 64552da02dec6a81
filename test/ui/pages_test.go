//go:build ui

package ui

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// sight is a page to look at, and words that stand in its main part.
type sight struct{ name, path, words string }

// filled makes two clusters, in one of which something has failed and something is proposed, and says which pages there are.
func (w *world) filled() []sight {
	w.t.Helper()
	ctx := w.t.Context()
	w.cluster("prod", 3, 5)
	w.settled("prod")
	if _, err := w.admin.Bind(ctx, "proxy-server", "p1.prod.example", "prod"); err != nil {
		w.t.Fatal(err)
	}
	w.cluster("staging", 1, 2)
	w.settled("staging")
	if err := w.admin.SetAttrib(ctx, crowbar.KindDeployment, "prod", "docker-storage", "devicemapper"); err != nil {
		w.t.Fatal(err)
	}
	if err := w.admin.Do(ctx, crowbar.KindDeployment, "prod", "commit", nil); err != nil {
		w.t.Fatal(err)
	}
	w.settled("prod")
	if _, err := w.admin.Bind(ctx, "k8s-master", "p4.prod.example", "prod"); err != nil {
		w.t.Fatal(err)
	}
	var broken crowbar.NodeRole
	var all []crowbar.NodeRole
	if err := w.admin.List(ctx, crowbar.KindNodeRole, &all); err != nil {
		w.t.Fatal(err)
	}
	for _, nr := range all {
		if nr.State == crowbar.Error {
			broken = nr
		}
	}
	if broken.ID == 0 {
		w.t.Fatal("nothing is in error")
	}
	w.servers(4, "r")
	step := func(step string) string {
		return "/wizard/demo?check=1&name=next&new=r5.rack.example+10.7.9.5%0Ar6.rack.example+10.7.9.6%0Ar7.rack.example+10.7.9.7&step=" + step
	}
	return []sight{{"wizard", "/wizard/demo", "r4.rack.example"}, {"wizard-roles", step("services"), "3 members stand the loss of 1"}, {"wizard-settings", step("review") + "&v.pod-cidr=10.7.0.0/16&v.pace=fast", "Want a number"},
		{"wizard-review", step("review") + "&v.flannel-backend=host-gw", "Go: make this cluster"}, {"unbind", fmt.Sprintf("/node_roles/%d/unbind", broken.ID), "Comes off, in this order"}, {"overview", "/", "docker"}, {"nodes", "/nodes", "p1.prod.example"}, {"node", fmt.Sprintf("/nodes/%d", broken.Node), "docker"}, {"deployments", "/deployments", "staging"},
		{"matrix", "/deployments/prod", "flannel"}, {"commit", "/deployments/prod/commit", "Commit"}, {"graph", "/deployments/prod/graph", "node-prep"},
		{"node-graph", fmt.Sprintf("/nodes/%d/graph", broken.Node), "node-prep"}, {"node-role", fmt.Sprintf("/node_roles/%d", broken.ID), "devicemapper"},
		{"annealer", "/annealer", "docker"}, {"dns-pool", "/dns", "api.prod.example"}, {"proxy", "/proxy", "p1"}, {"networks", "/networks", "Networks"}, {"barclamps", "/barclamps", "etcd"}, {"role", "/roles/etcd", "p1"}, {"docs", "/docs", "The pages"}, {"doc", "/docs/ui", "Signs of state"}, {"api", "/docs/api?q=nodes", "/api/v2/nodes/{id}"}, {"users", "/users", "crowbar"}, {"audit", "/audit", "PUT"}}
}

// TestWithoutScripts: every page can be read where nothing in it runs.
func TestWithoutScripts(t *testing.T) {
	w := build(t)
	pages := w.filled()
	tab := w.browser()
	w.signIn(tab)
	w.do(tab, "no scripts", emulation.SetScriptExecutionDisabled(true))
	for _, p := range pages {
		var text string
		w.do(tab, p.name, w.at(p.path), chromedp.WaitVisible(`#main h1`), chromedp.Text(`#main`, &text, chromedp.NodeVisible))
		if !strings.Contains(text, p.words) {
			t.Errorf("%s without scripts does not say %q: %s", p.name, p.words, text)
		}
		var buttons int
		w.do(tab, p.name, chromedp.Evaluate(`[...document.querySelectorAll('#main button')].filter(b => b.offsetParent && !b.form).length`, &buttons))
		if buttons > 0 {
			t.Errorf("%s without scripts has %d buttons that do nothing", p.name, buttons)
		}
	}
}

// TestGraph: boxes of the graph change in place as their states do, and can be reached by keyboard.
func TestGraph(t *testing.T) {
	w := build(t)
	w.cluster("prod", 3, 2)
	w.settled("prod")
	tab := w.browser()
	w.signIn(tab)
	state := func(role string) string {
		return fmt.Sprintf(`document.querySelector('#picture a[data-key="%s"] .spot').getAttribute('class')`, role)
	}
	places := `[...document.querySelectorAll('#picture a[data-key]')].map(a => { const r = a.querySelector('rect').getBBox(); return a.dataset.key + ' ' + r.x + ' ' + r.y; }).join('\n')`
	var was, is string
	w.do(tab, "the graph", w.at("/deployments/prod/graph"), until(`typeof ui === 'object' && `+state("docker")+`.includes('active')`), chromedp.Evaluate(places, &was),
		chromedp.Evaluate(`window.mark = document.querySelector('#picture a[data-key="docker"]'); true`, nil))
	if err := w.admin.SetAttrib(t.Context(), crowbar.KindDeployment, "prod", "docker-storage", "devicemapper"); err != nil {
		t.Fatal(err)
	}
	if err := w.admin.Do(t.Context(), crowbar.KindDeployment, "prod", "commit", nil); err != nil {
		t.Fatal(err)
	}
	w.do(tab, "it turns", until(state("docker")+`.includes('error')`), until(state("k8s-minion")+`.includes('blocked')`), chromedp.Evaluate(places, &is))
	if was != is || was == "" {
		t.Errorf("the boxes moved from %q to %q", was, is)
	}
	var same bool
	w.do(tab, "in place", chromedp.Evaluate(`window.mark === document.querySelector('#picture a[data-key="docker"]')`, &same))
	if !same {
		t.Error("the picture was drawn anew")
	}
	w.do(tab, "larger", chromedp.Evaluate(`window.wide = document.querySelector('#picture svg').getBoundingClientRect().width; true`, nil), chromedp.Click(`[data-zoom="in"]`),
		until(`document.querySelector('#picture svg').getBoundingClientRect().width > 1.2 * window.wide`), chromedp.Focus(`#picture`), chromedp.KeyEvent("0"),
		until(`document.querySelector('#picture svg').getBoundingClientRect().width <= document.getElementById('picture').clientWidth`))
	w.do(tab, "by keyboard", chromedp.KeyEvent(kb.Tab), until(`document.activeElement.dataset.key === 'k8s-config'`), chromedp.KeyEvent(kb.Enter),
		chromedp.ActionFunc(func(ctx context.Context) error { return chromedp.WaitVisible(`#state`).Do(ctx) }))
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
