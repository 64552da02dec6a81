//go:build ui

// Package ui drives the pages of a real daemon in a real browser.
package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// patience is how long anything in a page may take before the test gives up; how long it should take is measured elsewhere.
const patience = 2 * time.Minute

// world is a daemon and a browser.
type world struct {
	t        *testing.T
	dir      string
	admin    *client.Client
	url      string
	password string
	complain []string // what the browser's console said
}

func build(t *testing.T) *world { return buildWith(t, "testdata/barclamp.yaml") }

func buildWith(t *testing.T, barclamp string) *world {
	t.Helper()
	dir := t.TempDir()
	for out, pkg := range map[string]string{"kubeclampd": "../../cmd/kubeclampd", "uirole": "./uirole"} {
		if said, err := exec.Command("go", "build", "-o", filepath.Join(dir, out), pkg).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, said)
		}
	}
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	data := filepath.Join(dir, "data")
	cmd := exec.Command(filepath.Join(dir, "kubeclampd"), "--data-dir", data, "--listen", "127.0.0.1:0", "--role-plugin", filepath.Join(dir, "uirole"),
		"--plugin-dir", "", "--dns-listen", "127.0.0.1:0", "--barclamp", barclamp, "--artifact-cache", filepath.Join(dir, "cache"))
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); _ = cmd.Wait() })
	w := &world{t: t, dir: dir}
	err = role.Await(t.Context(), "the daemon to be ready", time.Minute, func(context.Context) (bool, error) {
		said, err := os.ReadFile(out.Name())
		return strings.Contains(string(said), "msg=ready"), errors.Join(err, errors.New(string(said)))
	})
	if err != nil {
		t.Fatal(err)
	}
	var conf client.Config
	b, err := os.ReadFile(filepath.Join(data, "admin.json"))
	if err = errors.Join(err, json.Unmarshal(b, &conf)); err != nil {
		t.Fatal(err)
	}
	if w.admin, err = client.New(conf); err != nil {
		t.Fatal(err)
	}
	w.url = conf.Endpoint
	key, err := os.ReadFile(filepath.Join(data, "crowbar.install.key"))
	if err != nil {
		t.Fatal(err)
	}
	_, w.password, _ = strings.Cut(strings.TrimSpace(string(key)), ":")
	return w
}

// browser is a tab of a new Chromium.
func (w *world) browser() context.Context {
	w.t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(filepath.Join(w.dir, "profile")), chromedp.WindowSize(1280, 800))
	alloc, stop := chromedp.NewExecAllocator(w.t.Context(), opts...)
	quiet := func(string, ...any) {} // of events that are newer than the library
	tab, shut := chromedp.NewContext(alloc, chromedp.WithErrorf(quiet))
	w.t.Cleanup(func() { shut(); stop() })
	if err := chromedp.Run(tab); err != nil { // the browser lives as long as the context of the first run
		w.t.Fatal(err)
	}
	chromedp.ListenTarget(tab, func(ev any) {
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.LevelError {
				w.complain = append(w.complain, ev.Entry.Text+" "+ev.Entry.URL)
			}
		case *runtime.EventExceptionThrown:
			w.complain = append(w.complain, ev.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.APITypeError {
				w.complain = append(w.complain, fmt.Sprint(ev.Args))
			}
		}
	})
	return tab
}

// do runs actions, and says where it was when one fails.
func (w *world) do(tab context.Context, what string, actions ...chromedp.Action) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(tab, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var text string
		late, stop := context.WithTimeout(tab, 3*time.Second)
		defer stop()
		_ = chromedp.Run(late, chromedp.Evaluate(`location.href + "\n" + document.body.innerText`, &text))
		w.t.Fatalf("%s: %v\nthe page says: %s\nthe console says: %v", what, err, text, w.complain)
	}
}

func (w *world) signIn(tab context.Context) {
	w.t.Helper()
	w.do(tab, "sign in", chromedp.Navigate(w.url+"/"), chromedp.WaitVisible(`input[type=password]`), chromedp.SendKeys(`input[name="user[username]"]`, "crowbar"),
		chromedp.SendKeys(`input[type=password]`, w.password), chromedp.Submit(`form`), chromedp.WaitVisible(`#main h1`))
}

func (w *world) at(path string) chromedp.Action { return chromedp.Navigate(w.url + path) }

// awaits has an expression's promise waited for.
func awaits(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// until waits for an expression of the page's to be true, whatever page that is by then.
func until(expression string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		return role.Await(ctx, expression, patience, func(ctx context.Context) (is bool, _ error) {
			err := chromedp.Evaluate(`!!(`+expression+`)`, &is).Do(ctx)
			return is, err
		})
	})
}

// picture takes a screenshot of the whole page into dir.
func picture(dir, name string, width int64, dark bool) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		if err := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}).Do(ctx); err != nil {
			return err
		}
		if err := emulation.SetDeviceMetricsOverride(width, 800, 1, width < 500).Do(ctx); err != nil {
			return err
		}
		b, err := page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).Do(ctx)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), b, 0o644); err != nil || width < 500 {
			return err
		}
		if b, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatWebp).WithQuality(55).Do(ctx); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "docs", fmt.Sprintf("ui-%s-%s.webp", name, scheme)), b, 0o644) // for docs/images: make pictures
	})
}

// cluster applies a deployment of masters and minions.
func (w *world) cluster(name string, masters, minions int) {
	w.t.Helper()
	doc := crowbar.Cluster{Deployment: name, Attribs: crowbar.Data{"kubernetes-pool-name": "api." + name + ".example"}}
	for i := range masters + minions {
		roles := []string{"k8s-minion"}
		if i < masters {
			roles = []string{"etcd", "k8s-master"}
		}
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: fmt.Sprintf("%s%d.%s.example", name[:1], i+1, name), Address: fmt.Sprintf("127.%d.%d.%d", name[0], i/250, i%250+1), Jig: "noop", Roles: roles})
	}
	if err := w.admin.Apply(w.t.Context(), doc, false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) settled(name string) {
	w.t.Helper()
	err := role.Await(w.t.Context(), "deployment "+name+" to come to rest", 2*time.Minute, func(ctx context.Context) (bool, error) {
		s, err := w.admin.Status(ctx, name, 0)
		for _, nr := range s.NodeRoles {
			if nr.State == crowbar.Todo || nr.State == crowbar.Transition {
				return false, err
			}
		}
		return err == nil, err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
