//go:build compat

package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// values go to a script by attrs.json, and back by write_attribute; back is what those servers make of a text.
var values = []struct {
	name        string
	value, back any
}{
	{"hex", "cafe", float64(51966)}, {"capitals", "MARK", float64(0)}, {"boolean", "True", true}, {"digits", "0123", float64(123)}, {"empty", "", nil},
	{"unicode", "żółw ✓ 日本", "żółw ✓ 日本"}, {"big", strings.Repeat("0123456789abcdef ghij", 5000), strings.Repeat("0123456789abcdef ghij", 5000)},
	{"whole", "json:\"cafe\"", "json:\"cafe\""}, // as our own package writes it
}

// TestScriptsOnDebian has three foreign roles and one that carries values run on nodes of three releases, in both dialects.
func TestScriptsOnDebian(t *testing.T) {
	specs := []lab.NodeSpec{{Name: "d11", Suite: "bullseye"}, {Name: "d12", Suite: "bookworm"}, {Name: "d13", Suite: "trixie"}}
	w := newWorld(t, "kcscr", "10.197.0.0/16", specs...)
	for name, compat := range servers {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, dir: w.dir, bin: w.bin, lab: w.lab, inv: w.inv}
			c := w.foreign(compat)
			for _, n := range w.inv.Nodes {
				t.Run(n.Name, func(t *testing.T) { w.behaves(t, c, n) })
			}
		})
	}
}

// foreign is a server with a barclamp of scripts.
func (w *world) foreign(compat string) *client.Client {
	w.t.Helper()
	dir := w.t.TempDir()
	attribs, carry := "", "set +x\n"
	for _, v := range values {
		attribs += fmt.Sprintf("      - { name: v-%[1]s, map: v/%[1]s, schema: { type: str } }\n", v.name)
		carry += fmt.Sprintf("x=$(read_attribute v/%[1]s)\nprintf '%%s' \"$x\" >/tmp/v-%[1]s\nwrite_attribute back/%[1]s \"$x\"\n", v.name)
	}
	for name, text := range map[string]string{
		compat + ".yml": fmt.Sprintf(core, compat) + "  - { name: fails, jig: script }\n  - { name: speaks, jig: script }\n  - { name: writes, jig: script }\n" +
			"  - name: carries\n    jig: script\n    attribs:\n" + attribs,
		"script/roles/fails/10-a.sh":   "echo went well",
		"script/roles/fails/20-b.sh":   "echo to stderr >&2\nfalse\necho never",
		"script/roles/fails/30-c.sh":   "touch /tmp/never",
		"script/roles/speaks/10-a.sh":  "set +x\nprintf 'hält ✓ \\377\\n'",
		"script/roles/writes/10-a.sh":  "[[ -d $TMPDIR && $ROLE = writes && $(id -u) = 0 && $LC_ALL$LANG$LANGUAGE = CCC ]]\nwrite_attribute a/b/c 5",
		"script/roles/writes/20-b.sh":  "write_attribute a/b/d \"of $(. /etc/os-release; echo $VERSION_ID)\"",
		"script/roles/carries/10-a.sh": carry,
	} {
		file := filepath.Join(dir, name)
		w.must(errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)))
	}
	return w.daemon(compat, dir)
}

func (w *world) behaves(t *testing.T, c *client.Client, n lab.Node) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	must(c.Create(ctx, crowbar.KindDeployment, map[string]any{"name": n.Name}, nil))
	must(c.Create(ctx, crowbar.KindNode, map[string]any{"name": n.Name, "address": n.Address.String(), "deployment": n.Name, "alive": true, "available": true,
		"ssh": map[string]any{"user": w.inv.User, "host_key": n.HostKey}}, nil))
	rests := func(name string, state crowbar.State) (nr crowbar.NodeRole) {
		t.Helper()
		_, err := c.Bind(ctx, name, n.Name, n.Name)
		must(err)
		if name == "carries" {
			for _, v := range values {
				must(c.SetAttrib(ctx, crowbar.KindDeployment, n.Name, "v-"+v.name, v.value))
			}
		}
		must(c.Do(ctx, crowbar.KindDeployment, n.Name, "commit", nil))
		must(role.Await(ctx, name+" on "+n.Name, 2*time.Minute, func(ctx context.Context) (bool, error) {
			nr = crowbar.NodeRole{}
			err := c.Show(ctx, crowbar.KindNodeRole, n.Name+"/"+name, &nr)
			return err == nil && nr.State == state, errors.Join(err, fmt.Errorf("it is %s: %s", nr.State, nr.Failure))
		}))
		return nr
	}
	wall := rests("writes", crowbar.Active).Wall
	want := map[string]string{"bullseye": "of 11", "bookworm": "of 12", "trixie": "of 13"}[n.Suite]
	if diff := cmp.Diff(crowbar.Data{"a": crowbar.Data{"b": crowbar.Data{"c": float64(5), "d": want}}}, wall); diff != "" {
		t.Error(diff)
	}
	rests("speaks", crowbar.Active)
	var log bytes.Buffer
	must(c.Log(ctx, n.Name+"/speaks", 0, false, &log))
	if !strings.Contains(log.String(), "hält ✓ \uFFFD") {
		t.Errorf("log: %s", log.String())
	}
	back, _ := rests("carries", crowbar.Active).Wall["back"].(crowbar.Data)
	for _, v := range values {
		if diff := cmp.Diff(v.back, back[v.name]); diff != "" {
			t.Errorf("%s comes back as something else: %.200s", v.name, diff)
		}
		if got, err := w.ssh(n.Name, "cat /tmp/v-"+v.name); err != nil || got != v.value {
			t.Errorf("%s reached the script as %.60q (%v)", v.name, got, err)
		}
	}
	failed := rests("fails", crowbar.Error).Failure // last: nothing runs on a node with one in error
	if !strings.HasPrefix(failed, "Script jig run for fails on "+n.Name+" failed! (status = 1)\nOut: ") || !strings.Contains(failed, "to stderr") || strings.Contains(failed, "\nnever") {
		t.Errorf("failure: %s", failed)
	}
	if out, err := w.ssh(n.Name, "ls -d /tmp/never /tmp/scriptjig-* 2>/dev/null || true"); err != nil || out != "" {
		t.Errorf("on the node: %s %v", out, err)
	}
}
