//go:build ui

package ui

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures takes a picture of every page, in both themes, wide and narrow, into the folder of UI_PICTURES.
func TestPictures(t *testing.T) {
	dir := os.Getenv("UI_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(filepath.Join(dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := build(t)
	pages := w.filled()
	tab := w.browser()
	shots := func(name, path string) {
		w.do(tab, name, w.at(path), chromedp.WaitVisible(`h1`), until(`document.fonts.status === "loaded"`))
		for _, width := range []int64{1280, 360} {
			for _, dark := range []bool{false, true} {
				w.do(tab, name, picture(dir, name, width, dark))
				w.accessible(tab, fmt.Sprintf("%s at %d, dark %v", name, width, dark))
			}
			var over string
			w.do(tab, name, chromedp.Evaluate(wide, &over))
			if over != "" {
				t.Errorf("%s is wider than %d pixels: %s", name, width, over)
			}
		}
	}
	shots("sign-in", "/my/users/sign_in")
	w.signIn(tab)
	for _, p := range pages {
		if strings.HasPrefix(p.name, os.Getenv("UI_PAGES")) { // some of them alone: UI_PAGES=wizard
			shots(p.name, p.path)
		}
	}
	if len(w.complain) > 0 {
		t.Errorf("the browser's console: %v", w.complain)
	}
}

// accessible has axe-core look at the page; its file is what UI_AXE names.
func (w *world) accessible(tab context.Context, name string) {
	w.t.Helper()
	file := os.Getenv("UI_AXE")
	if file == "" {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var found []struct {
		ID, Help string
		Nodes    []struct{ HTML string }
	}
	w.do(tab, name, chromedp.Evaluate(string(text)+";true", nil), chromedp.Evaluate(`axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)`, &found, awaits))
	for _, f := range found {
		t := f.Nodes[0].HTML
		w.t.Errorf("%s: axe %s: %s (%d times): %s", name, f.ID, f.Help, len(f.Nodes), t[:min(len(t), 300)])
	}
}

// wide says how far a page reaches beyond its window, and what does so.
const wide = `(() => { const w = document.documentElement.clientWidth; if (document.documentElement.scrollWidth <= w) return ''; return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 1 && !e.closest('.scroll, .gridbox, .log, pre, nav, .skip, .hide')).slice(0, 3).map(e => e.tagName + '.' + e.className).join(' ') || 'something'; })()`
