package script_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/jigs/script"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// here runs a role's scripts on this machine, with real bash and jq.
type here struct {
	dir  string
	on   role.Target
	said []string
}

func newHere(t *testing.T) *here {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("scripts of a barclamp are run as root")
	}
	conn, err := local.New().Dial(t.Context(), &crowbar.Node{Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	h := &here{dir: t.TempDir()}
	h.on = role.Target{Node: "here", Conn: conn, Tree: crowbar.Data{}, Maps: map[string]string{},
		Log: func(format string, a ...any) { h.said = append(h.said, fmt.Sprintf(format, a...)) }}
	return h
}

func (h *here) script(t *testing.T, role, name, text string) {
	t.Helper()
	dir := filepath.Join(h.dir, "script", "roles", role)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (h *here) run(t *testing.T, name string, rebar bool) (role.Result, error) {
	t.Helper()
	h.said = nil
	before, _ := filepath.Glob("/tmp/scriptjig-*")
	res, err := script.New(script.Source{Role: name, Dir: h.dir, Rebar: rebar}).Apply(t.Context(), h.on)
	if after, _ := filepath.Glob("/tmp/scriptjig-*"); len(after) > len(before) {
		t.Errorf("its folder was left behind: %v", after)
	}
	return res, err
}

func (h *here) log() string { return strings.Join(h.said, "\n") }

var dialects = map[string]bool{"OpenCrowbar": false, "Digital Rebar": true}

// annealed says in the environment what the annealer says there.
type annealed struct{ jig.Conn }

func (a annealed) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	c.Env = map[string]string{"KUBECLAMP_FENCE": "1:1", "KUBECLAMP_NOW": "1"}
	return a.Conn.Exec(ctx, c)
}

// Fact 68 of OpenCrowbar's reference: two scripts in their order, ROLE and TMPDIR, a wall, the output of both.
func TestWritesAttributes(t *testing.T) {
	for name, rebar := range dialects {
		t.Run(name, func(t *testing.T) {
			h := newHere(t)
			h.on.Conn = annealed{h.on.Conn}
			h.script(t, "writer", "20-b.sh", "echo second\nwrite_attribute a/b/c 5\n")
			h.script(t, "writer", "10-a.sh", "echo \"first of $ROLE as $(id -un)\"\n[[ -d $TMPDIR && $DEBIAN_FRONTEND = noninteractive && $LC_ALL = C && -z ${!KUBECLAMP_@} ]]\n[[ $- = *e* ]]\nwrite_attribute a/b/d yes\n")
			h.script(t, "writer", "README", "not run")
			res, err := h.run(t, "writer", rebar)
			if err != nil {
				t.Fatalf("%v\n%s", err, h.log())
			}
			want := crowbar.Data{"a": crowbar.Data{"b": crowbar.Data{"c": float64(5), "d": "yes"}}}
			if diff := cmp.Diff(want, res.Wall); diff != "" {
				t.Error(diff)
			}
			first, second := strings.Index(h.log(), "first of writer as root"), strings.Index(h.log(), "second")
			if first < 0 || second < first {
				t.Errorf("log:\n%s", h.log())
			}
			if traced := strings.Contains(h.log(), "10-a.sh@1("); traced == rebar {
				t.Errorf("traced: %t\n%s", traced, h.log())
			}
		})
	}
}

func TestSecondScriptFails(t *testing.T) {
	for name, rebar := range dialects {
		t.Run(name, func(t *testing.T) {
			h := newHere(t)
			h.script(t, "failer", "10-a.sh", "echo went well; write_attribute x 1")
			h.script(t, "failer", "20-b.sh", "echo to stderr >&2; exit 3")
			h.script(t, "failer", "30-c.sh", "echo never")
			res, err := h.run(t, "failer", rebar)
			if err == nil || !strings.HasPrefix(err.Error(), "Script jig run for failer on here failed! (status = 3)\nOut: ") || !strings.Contains(err.Error(), "to stderr") {
				t.Errorf("error: %v", err)
			}
			if len(res.Wall) != 0 || strings.Contains(h.log(), "never\n") || strings.Contains(h.log(), "30-c") {
				t.Errorf("wall %v, log:\n%s", res.Wall, h.log())
			}
			h.script(t, "failer", "20-b.sh", "true | false | true\necho never")
			if _, err = h.run(t, "failer", rebar); err == nil || !strings.Contains(err.Error(), "(status = 1)") {
				t.Errorf("a failing command in a pipe: %v", err)
			}
		})
	}
}

func TestLogOfOtherLetters(t *testing.T) {
	h := newHere(t)
	h.script(t, "speaker", "10-a.sh", "set +x; printf 'h\\303\\244lt \\342\\234\\223\\n'; printf 'bytes \\377\\376 and \\000 nul\\n'; printf 'no end'")
	if _, err := h.run(t, "speaker", false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hält ✓", "bytes \uFFFD and \uFFFD nul", "no end"} {
		if !strings.Contains(h.log(), want) {
			t.Errorf("no %q in the log:\n%s", want, h.log())
		}
	}
}

// What attrs.json has comes through read_attribute as it is; what goes back through write_attribute is what those servers make of
// a text.
func TestValuesBothWays(t *testing.T) {
	big := strings.Repeat("0123456789abcdef ghij", 5000) // 100 kB and more
	values := []struct {
		name       string
		value      any
		text       string // as a script reads it
		back       any    // as a server reads what is written; nil = skipped
		backAsRead bool
	}{
		{"hex", "cafe", "cafe", float64(51966), false},
		{"capitals", "MARK", "MARK", float64(0), false},
		{"prefixed", "0x1F", "0x1F", float64(31), false},
		{"digits", "0123", "0123", float64(123), false},
		{"negative", "-7", "-7", float64(-7), false},
		{"boolean-like", "True", "True", true, false},
		{"boolean", true, "true", true, true},
		{"number", float64(2379), "2379", float64(2379), true},
		{"empty", "", "", nil, false},
		{"null", nil, "", nil, true},
		{"unicode", "żółw ✓ 日本", "żółw ✓ 日本", "żółw ✓ 日本", true},
		{"spaces", "a  b\tc'\"\\$x", "a  b\tc'\"\\$x", "a  b\tc'\"\\$x", true},
		{"map", map[string]any{"k": []any{"v", float64(1)}}, `{"k":["v",1]}`, `{"k":["v",1]}`, false},
		{"lines", "one two\nthree four", "one two\nthree four", "one two\nthree four", true},
		{"pem", "-----BEGIN X-----\nzzz+/\nABCD\n-----END X-----", "-----BEGIN X-----\nzzz+/\nABCD\n-----END X-----", float64(0), false}, // a line of hexadecimal letters is enough
		{"big", big, big, big, true},
	}
	for dialect, rebar := range dialects {
		t.Run(dialect, func(t *testing.T) {
			h := newHere(t)
			text := "set +x\n"
			for _, v := range values {
				h.on.Tree[v.name] = map[string]any{"in": v.value}
				text += fmt.Sprintf("x=$(read_attribute %[1]s/in)\nprintf '%%s' \"$x\" >\"$OUT/%[1]s\"\nwrite_attribute %[1]s \"$x\"\n", v.name)
			}
			out := t.TempDir()
			h.script(t, "carrier", "10-a.sh", "OUT="+out+"\n"+text)
			res, err := h.run(t, "carrier", rebar)
			if err != nil {
				t.Fatalf("%v\n%s", err, h.log())
			}
			for _, v := range values {
				got, err := os.ReadFile(filepath.Join(out, v.name))
				if err != nil || string(got) != v.text {
					t.Errorf("%s: a script reads %.60q (%v), want %.60q", v.name, got, err, v.text)
				}
				if diff := cmp.Diff(v.back, res.Wall[v.name]); diff != "" {
					t.Errorf("%s comes back as something else: %.200s", v.name, diff)
				}
			}
		})
	}
}

func TestRefusesWhatTheProtocolCannotCarry(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no UTF-8":         {`write_attribute a/b $'\377'`, "a/b is no text in UTF-8"},
		"too much":         {`head -c 2000000 /dev/zero | tr '\0' z >"$TMPDIR/big"; write_attribute_file_content a "$TMPDIR/big"`, "more than 1024 KiB"},
		"a path elsewhere": {`write_attribute ../x 1`, "no path of an attribute"},
		"a value above":    {`write_attribute a x; write_attribute a/b y`, "or the other"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHere(t)
			h.script(t, "r", "10-a.sh", "set +x\n"+c.text)
			if _, err := h.run(t, "r", false); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestHelpers(t *testing.T) {
	h := newHere(t)
	h.on.Tree = crowbar.Data{"nodes": []any{map[string]any{"name": "n1"}, "n2"}, "etc": map[string]any{"b": 1, "a": false}}
	h.on.Maps = map[string]string{"etc-a": "etc/a", "etc-new": "etc/new"}
	h.script(t, "r", "10-a.sh", `
[[ $(read_attribute nodes/0/name) = n1 && $(read_attribute nodes/1) = n2 && $(read_attribute nodes/7) = "" ]]
has_attribute etc/b
if has_attribute etc/none; then exit 9; fi
read_attribute_file_content etc "$TMPDIR/f" && [[ $(<"$TMPDIR/f") = '{"a":false,"b":1}' ]]
write_attribute_file_content copy "$TMPDIR/f"
`)
	h.script(t, "r", "20-b.sh", "write_attribute w/x 1; write_attribute w/y 2; [[ $(get_keys w) = $'x\\ny' ]]")
	if res, err := h.run(t, "r", false); err != nil {
		t.Errorf("%v", err)
	} else if res.Wall["copy"] != `{"a":false,"b":1}` {
		t.Errorf("wall: %v", res.Wall)
	}
	h.script(t, "r", "20-b.sh", `
[[ $(get_keys etc) = $'a\nb' && $(lookup_attrib_map etc-a) = etc/a && $(get_attr etc-a) = false ]]
put_attr etc-new '{"x":1}'; need_reboot
[[ $(addr_port ::1 80) = '[::1]:80' && $(addr_port 10.0.0.1 80) = 10.0.0.1:80 ]]
[[ $OS_TYPE && $OS_NAME = "$OS_TYPE-$OS_VER" && $OS_FAMILY && $INITSTYLE ]]
`)
	res, err := h.run(t, "r", true)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(res.Wall)
	if want := `{"copy":"{\"a\":false,\"b\":1}","etc":{"new":"{\"x\":1}"},"rebar_wall":{"need_reboot":true}}`; string(b) != want {
		t.Errorf("wall %s\nwant %s", b, want)
	}
}

func TestNoScripts(t *testing.T) {
	h := newHere(t)
	if _, err := h.run(t, "none", false); err == nil || !strings.HasPrefix(err.Error(), "No local scripts @ "+h.dir+"/script/roles/none") {
		t.Errorf("error: %v", err)
	}
	res, err := script.New(script.Source{Role: "none", Rebar: true, Scripts: []string{"write_attribute a 1", "write_attribute b zz"}}).Apply(t.Context(), h.on)
	if diff := cmp.Diff(crowbar.Data{"a": float64(1), "b": "zz"}, res.Wall); err != nil || diff != "" {
		t.Errorf("scripts of the document: %v %s", err, diff)
	}
}
