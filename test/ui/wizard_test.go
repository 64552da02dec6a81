//go:build ui

package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// servers makes nodes that are in no deployment yet.
func (w *world) servers(n int, name string) {
	w.t.Helper()
	for i := range n {
		m := map[string]any{"name": fmt.Sprintf("%s%d.rack.example", name, i+1), "address": fmt.Sprintf("127.7.%d.%d", i/250, i%250+1), "jig": "noop", "alive": true, "available": true,
			"discovery": map[string]any{"os": map[string]any{"pretty_name": "Debian GNU/Linux 13"}, "cpu": map[string]any{"count": 16}}}
		if err := w.admin.Create(w.t.Context(), crowbar.KindNode, m, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

const loaded = `document.readyState === 'complete' && !!document.querySelector('main h1')`

// on waits for the step of the wizard.
func on(step string) chromedp.Action {
	return until(fmt.Sprintf(`%s && document.querySelector('.stages [aria-current]')?.value === %q`, loaded, step))
}

func press(value string) chromedp.Action {
	return click(fmt.Sprintf(`#wizard .ends button[value=%q]`, value))
}

func says(selector, text string) chromedp.Action {
	return until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))`, selector, text))
}

// click and put act on what a selector finds in the page as it is now; the library's own look for it in the page before.
func click(selector string) chromedp.Action {
	return chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).click()`, selector), nil)
}

func put(selector, value string) chromedp.Action {
	return chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q).value = %q`, selector, value), nil)
}

// TestWizard: a cluster from the wizard alone, with what somebody gets wrong on the way.
func TestWizard(t *testing.T) {
	w := build(t)
	w.servers(7, "s")
	tab := w.browser()
	w.signIn(tab)
	ids := func() (out []crowbar.Deployment) {
		if err := w.admin.List(t.Context(), crowbar.KindDeployment, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := len(ids())

	w.do(tab, "the way in", click(`main a[href="/wizard"]`), on("nodes"))
	w.do(tab, "nothing chosen", press("next"), says("#problem-name", "Give it a name"), says("#problem-nodes", "Choose the nodes"), on("nodes"))
	w.do(tab, "a name that is none", put(`#name`, "My Cluster!"), press("next"), says("#problem-name", "lower-case"), on("nodes"))
	w.do(tab, "choose by a filter", put(`#name`, "prod"), put(`[name=q]`, "s7"), click(`button[value=filter]`), until(loaded+` && document.querySelectorAll('[name=n]').length === 1`),
		click(`[name=n]`), put(`[name=q]`, ""), click(`button[value=filter]`), until(loaded+` && document.querySelectorAll('[name=n]').length === 7`), until(`document.querySelectorAll('[name=n]:checked').length === 1`),
		click(`button[value=all]`), until(loaded+` && document.querySelectorAll('[name=n]:checked').length === 7`))
	w.do(tab, "and a server that is no node yet", click(`details summary`), put(`#new`, "s8.rack.example nowhere"), press("next"), says("#problem-new", "IP address"), on("nodes"),
		put(`#new`, "s8.rack.example 127.7.9.8"), press("next"), on("services"))
	w.do(tab, "three masters, five minions", until(`document.querySelector('#count0').value === '3' && document.querySelector('#count1').value === '5'`), says(".field", "3 members stand the loss of 1"))
	w.do(tab, "four masters are no better", put(`#count0`, "4"), click(`button[value=stay]`), until(loaded+` && document.querySelector('#count1').value === '4'`), says(".warns", "4 members stand the loss of 1, as 3 do"))
	w.do(tab, "three, and which", put(`#count0`, "3"), press("next"), on("services"), until(`document.querySelector('#count0').value === '3' && document.querySelector('#count1').value === '5'`),
		click(`[aria-label="s1: master"]`), click(`[aria-label="s5: master"]`), click(`[aria-label="s1: minion"]`), click(`[aria-label="s5: minion"]`), press("next"), on("values"))
	w.do(tab, "back, and again: it is as it was", press("back"), on("services"), until(`!document.querySelector('[aria-label="s1: master"]').checked && document.querySelector('[aria-label="s5: master"]').checked`), chromedp.Reload(), on("services"),
		until(`document.querySelector('[aria-label="s5: master"]').checked`), press("next"), on("values"))
	set := func(name, v string) chromedp.Action { return put(fmt.Sprintf(`[name="v.%s"]`, name), v) }
	w.do(tab, "wrong settings", set("pod-cidr", "10.244.0.0/33"), set("service-cidr", "127.7.0.0/16"), set("pace", "fast"), press("next"), on("values"),
		says(`[id="problem-pod-cidr"]`, "Want a network such as 10.244.0.0/16"), says(`[id="problem-service-cidr"]`, "the address of node s1"), says(`[id="problem-pace"]`, "Want a number"))
	w.do(tab, "what the schema forbids", set("pod-cidr", "10.10.0.0/16"), set("service-cidr", "10.20.0.0/16"), set("pace", "300"), set("proxy-url", "ftp://x"), press("next"), on("values"), says(`[id="problem-proxy-url"]`, "proxy-url"))
	w.do(tab, "right ones", set("proxy-url", "http://proxy.example:3128"), set("flannel-backend", "host-gw"), press("next"), on("review"))
	var text string
	w.do(tab, "the plan", chromedp.Text(`main`, &text))
	for _, want := range []string{"prod", "s2, s3, s5", "10.20.0.1", "host-gw", "never applied", "k8s-master", "k8s-minion", "docker-registry-password"} {
		if !strings.Contains(text, want) {
			t.Errorf("the review does not say %q: %s", want, text)
		}
	}
	if got := len(ids()); got != before {
		t.Fatalf("there are %d deployments before Go, there were %d", got, before)
	}
	w.do(tab, "go", put(`[name="s.docker-registry-password"]`, "hunter2"), click(`#go`), until(`location.pathname === '/deployments/prod' && document.readyState === 'complete' && typeof ui === 'object'`), chromedp.Evaluate(`window.mark = 1`, nil))
	w.do(tab, "it turns green, live", until(all(cell("s5.rack.example", "k8s-master")+` === "active"`, cell("s1.rack.example", "k8s-minion")+` === "active"`, cell("s8.rack.example", "k8s-minion")+` === "active"`)), until(`window.mark === 1`))
	doc, err := w.admin.Document(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]any{"pod-cidr": "10.10.0.0/16", "service-cidr": "10.20.0.0/16", "service-ip": "10.20.0.1", "pace": 300.0, "flannel-backend": "host-gw"} {
		if doc.Cluster.Attribs[k] != v {
			t.Errorf("%s is %v, want %v", k, doc.Cluster.Attribs[k], v)
		}
	}
	if len(doc.Secrets) != 1 || doc.Secrets[0].Attrib != "docker-registry-password" {
		t.Errorf("secrets that are set: %+v", doc.Secrets)
	}
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}
