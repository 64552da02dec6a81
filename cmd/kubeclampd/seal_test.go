package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

const sitePassword = "barclamp: { name: site }\nattribs:\n  - { name: site-password, map: site/password, secret: true, schema: { type: str } }\n"

// A key that is gone, or another one, stops the start with the reason; nothing is made in its place, and nothing is lost.
func TestTheKeyIsMissingOrWrong(t *testing.T) {
	dir := dataDir(t)
	site, key := filepath.Join(t.TempDir(), "site.yml"), filepath.Join(dir, "key")
	if err := os.WriteFile(site, []byte(sitePassword), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--barclamp", site)
	c := p.ready(t)
	if err := c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.SetAttrib(t.Context(), crowbar.KindNode, "n1", "site-password", "hunter22"); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	refused := func(says string) {
		t.Helper()
		p := start(t, dir, "--barclamp", site)
		if code := p.wait(t, time.Minute); code != 1 || !strings.Contains(p.said.String(), says) {
			t.Fatalf("it ended with %d, does not say %q: %s", code, says, p.said.String())
		}
	}
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	refused("put the key file back")
	if _, err := os.Stat(key); err == nil {
		t.Error("a new key was made in place of the one that sealed")
	}
	if _, err := pki.AddKey(key); err != nil {
		t.Fatal(err)
	}
	refused("lacks the sealing key")
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	c = start(t, dir, "--barclamp", site).ready(t)
	if v, err := c.Attrib(t.Context(), crowbar.KindNode, "n1", "site-password"); v != "(secret)" || err != nil {
		t.Errorf("the value is %v, %v", v, err)
	}
}
