//go:build compat

package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// TestScriptsOnDebian has three foreign roles, one that carries values, and shipped ones of the native package run on nodes of three
// releases, in both dialects.
func TestScriptsOnDebian(t *testing.T) {
	specs := []lab.NodeSpec{{Name: "d11", Suite: "bullseye"}, {Name: "d12", Suite: "bookworm"}, {Name: "d13", Suite: "trixie"}}
	w := newWorld(t, "kcscr", "10.197.0.0/16", specs...)
	for name, compat := range servers {
		t.Run(name, func(t *testing.T) {
			w := &world{t: t, dir: w.dir, bin: w.bin, lab: w.lab, inv: w.inv}
			c := w.foreign(name, compat)
			for _, n := range w.inv.Nodes {
				t.Run(n.Name, func(t *testing.T) { w.behaves(t, c, n, compat) })
			}
		})
	}
}

// foreign is a server with a barclamp of scripts, and the native package.
func (w *world) foreign(name, compat string) *client.Client {
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
		"script/roles/writes/10-a.sh":  "[[ -d $TMPDIR && $ROLE = writes && $(id -u) = 0 && $LC_ALL$LANG$LANGUAGE = CCC && -z ${!KUBECLAMP_@} ]]\nwrite_attribute a/b/c 5",
		"script/roles/writes/20-b.sh":  "write_attribute a/b/d \"of $(. /etc/os-release; echo $VERSION_ID)\"",
		"script/roles/carries/10-a.sh": carry,
	} {
		file := filepath.Join(dir, name)
		w.must(errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)))
	}
	w.tree = w.packaged(name)
	return w.daemon(compat, dir, w.tree)
}

func (w *world) behaves(t *testing.T, c *client.Client, n lab.Node, dialect string) {
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
	rests("proxy", crowbar.Active)
	prep := rests("node-prep", crowbar.Active).Wall
	id, _ := crowbar.Dig(prep, "kubeclamp/node-prep/node-prep-machine-id")
	if got, err := w.ssh(n.Name, "printf json:; jq -R . /etc/machine-id | tr -d '\\n'"); err != nil || id != got && id != strings.Trim(strings.TrimPrefix(got, "json:"), `"`) {
		t.Errorf("node-prep gave back %v, the node has %s (%v)", prep, got, err)
	}
	w.byHand(t, n, dialect)
	failed := rests("fails", crowbar.Error).Failure // last: nothing runs on a node with one in error
	if !strings.HasPrefix(failed, "Script jig run for fails on "+n.Name+" failed! (status = 1)\nOut: ") || !strings.Contains(failed, "to stderr") || strings.Contains(failed, "\nnever") {
		t.Errorf("failure: %s", failed)
	}
	if out, err := w.ssh(n.Name, "ls -d /tmp/never /tmp/scriptjig-* 2>/dev/null || true"); err != nil || out != "" {
		t.Errorf("on the node: %s %v", out, err)
	}
}

// byHand does what those servers' script jig does, step by step with OpenSSH's own programs and nothing else, for a role of the
// package that the node has had already: it finds nothing to do, and gives back the same.
func (w *world) byHand(t *testing.T, n lab.Node, dialect string) {
	t.Helper()
	run := func(program string, args ...string) string {
		t.Helper()
		options := []string{"-F", "none", "-i", w.inv.Key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"}
		out, err := exec.CommandContext(t.Context(), program, append(options, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", program, args, err, out)
		}
		return string(out)
	}
	const name = "node-prep"
	to, local := "root@"+n.Address.String(), t.TempDir()
	runner := ""
	for _, part := range []string{"runner", "runner_" + dialect, "runner_end"} {
		b, err := os.ReadFile("../../jigs/script/" + part + ".sh")
		w.must(err)
		runner += string(b)
	}
	script, err := os.ReadFile(filepath.Join(w.tree, "script/roles", name, "10-apply.sh"))
	w.must(errors.Join(err, os.Mkdir(filepath.Join(local, name), 0o755)))
	for file, text := range map[string]string{"runner": runner, "attrs.json": "{}", "maps.json": "{}", name + "/10-apply.sh": string(script)} {
		w.must(os.WriteFile(filepath.Join(local, file), []byte(text), 0o700))
	}
	there := strings.TrimSpace(run("ssh", to, "mktemp -d /tmp/scriptjig-XXXXXX"))
	run("scp", "-q", "-r", local+"/.", to+":"+there)
	said := run("ssh", to, fmt.Sprintf("/bin/bash '%s/runner' '%[1]s' '%s'", there, name))
	if !strings.Contains(said, "nothing to do") {
		t.Errorf("%s has something to do again: %s", name, said)
	}
	run("scp", "-q", "-r", to+":"+there+"/attrs", local)
	got, err := os.ReadFile(filepath.Join(local, "attrs/kubeclamp", name, "node-prep-machine-id/wall"))
	if err != nil || len(strings.TrimSpace(string(got))) < 32 {
		t.Errorf("it gives back %q (%v)", got, err)
	}
	run("ssh", to, "rm -rf "+there)
}
