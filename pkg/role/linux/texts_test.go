package linux_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// reader counts what is read off a node, file by file.
type reader struct {
	jig.Conn
	gets []string
}

func (r *reader) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	r.gets = append(r.gets, path)
	return r.Conn.Get(ctx, path)
}

func numbers(from, to int) string {
	var b strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

const key = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"

func TestWhatIsToldOfAFile(t *testing.T) {
	const path = "/etc/demo/file"
	tests := []struct {
		name   string
		old    *roletest.Entry // nil = none
		want   linux.File
		diff   string
		lines  string
		more   int
		unread bool
	}{
		{name: "lines", old: &roletest.Entry{Content: "a\nb\nc\n"}, want: linux.File{Content: "a\nB\nc\n"}, diff: "content", lines: "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		{name: "new", want: linux.File{Content: "a\nb\n"}, lines: "@@ -0,0 +1,2 @@\n+a\n+b\n", unread: true},
		{name: "no line end", old: &roletest.Entry{Content: "a"}, want: linux.File{Content: "a\n"}, diff: "content", lines: "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n"},
		{name: "long", old: &roletest.Entry{Content: "x\n"}, want: linux.File{Content: numbers(1, 60)}, diff: "content", lines: "@@ -1,1 +1,60 @@\n-x\n+" + strings.ReplaceAll(strings.TrimSpace(numbers(1, 38)), "\n", "\n+") + "\n", more: 22},
		{name: "wide", old: &roletest.Entry{Content: "x\n"}, want: linux.File{Content: strings.Repeat("y", 1000) + "\n"}, diff: "content", lines: "@@ -1,1 +1,1 @@\n-x\n+" + strings.Repeat("y", 199) + "...\n"},
		{name: "mode and owner", old: &roletest.Entry{Content: "a\n", Mode: 0o644}, want: linux.File{Content: "a\n", Mode: 0o600, Owner: "etcd:etcd"}, diff: "mode 0644 -> 0600, owner root:root -> etcd:etcd", unread: true},
		{name: "content and mode", old: &roletest.Entry{Content: "a\n", Mode: 0o755}, want: linux.File{Content: "b\n"}, diff: "content, mode 0755 -> 0644", lines: "@@ -1,1 +1,1 @@\n-a\n+b\n"},
		{name: "secret", old: &roletest.Entry{Content: "hunter22\n"}, want: linux.File{Content: "hunter23\n", Secret: true}, diff: "secret changed", unread: true},
		{name: "new secret", want: linux.File{Content: "hunter23\n", Secret: true}, diff: "secret", unread: true},
		{name: "was not open", old: &roletest.Entry{Content: "hunter22\n", Mode: 0o640}, want: linux.File{Content: "x\n"}, diff: "content, which not everybody may read, mode 0640 -> 0644", unread: true},
		{name: "is not to be open", old: &roletest.Entry{Content: "x\n", Mode: 0o644}, want: linux.File{Content: "y\n", Mode: 0o640}, diff: "content, which not everybody may read, mode 0644 -> 0640", unread: true},
		{name: "new, not open", want: linux.File{Content: "y\n", Mode: 0o600}, unread: true},
		{name: "key without a mark", old: &roletest.Entry{Content: key}, want: linux.File{Content: "none\n"}, diff: "secret changed"},
		{name: "new key without a mark", want: linux.File{Content: key}, unread: true},
		{name: "kubeconfig without a mark", old: &roletest.Entry{Content: "a: 1\n"}, want: linux.File{Content: "users:\n- user:\n    client-key-data: TUhj\n"}, diff: "secret changed"},
		{name: "password in a URL", old: &roletest.Entry{Content: "http://me:hunter22@proxy:3128\n"}, want: linux.File{Content: "http://proxy:3128\n"}, diff: "content", lines: "@@ -1,1 +1,1 @@\n-http://(secret)@proxy:3128\n+http://proxy:3128\n"},
		{name: "binary", old: &roletest.Entry{Content: "\x7fELF\x00"}, want: linux.File{Content: "text\n"}, diff: "content, 5 -> 5 bytes"},
		{name: "large", old: &roletest.Entry{Content: strings.Repeat("x\n", 40_000)}, want: linux.File{Content: "x\n"}, diff: "content", unread: true},
		{name: "link", old: &roletest.Entry{Kind: "link", To: "/etc/shadow", Mode: 0o777}, want: linux.File{Content: "x\n"}, diff: "a link to /etc/shadow until now", unread: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := roletest.NewNode()
			n.Users["etcd"], n.Groups["etcd"] = true, true
			if tt.old != nil {
				n.Write(path, "", 0o644)
				if tt.old.Kind, tt.old.Owner = orElse(tt.old.Kind, "file"), "root"; tt.old.Mode == 0 {
					tt.old.Mode = 0o644
				}
				n.Files[path] = tt.old
			}
			tt.want.Path = path
			on := n.Target(nil)
			r := &reader{Conn: on.Conn}
			on.Conn, on.DryRun = r, true
			plan := roletest.Apply(t, demo{linux.State{Files: []linux.File{tt.want}}}, on)
			if len(plan.Changes) != 1 || tt.unread != (len(r.gets) == 0) {
				t.Fatalf("changes %+q, read %v", plan.Changes, r.gets)
			}
			c := plan.Changes[0]
			if d := cmp.Diff(role.Change{What: "file", Name: path, Do: c.Do, Diff: tt.diff, Unified: tt.lines, More: tt.more}, c); d != "" {
				t.Error(d)
			}
			if strings.Contains(fmt.Sprintf("%+v %+q", c, plan.Changes), "hunter") {
				t.Errorf("the secret is in %+q", c)
			}
			r.gets, on.DryRun = nil, false
			if done := roletest.Apply(t, demo{linux.State{Files: []linux.File{tt.want}}}, on); done.Changes[0] != c {
				t.Errorf("planned %+q, done %+q", c, done.Changes[0])
			}
			r.gets = nil
			if again := roletest.Apply(t, demo{linux.State{Files: []linux.File{tt.want}}}, on); len(again.Changes) != 0 || len(r.gets) != 0 {
				t.Errorf("nothing changes, and yet: %v, read %v", again.Changes, r.gets)
			}
		})
	}
}

func orElse(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// unreadable is a node whose files are gone when they are looked at.
type unreadable struct{ jig.Conn }

func (unreadable) Get(context.Context, string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }

func TestAFileThatCannotBeLookedAtIsWrittenAllTheSame(t *testing.T) {
	n := roletest.NewNode()
	n.Write("/etc/demo/file", "a\n", 0o644)
	on := n.Target(nil)
	on.Conn = unreadable{on.Conn}
	res := roletest.Apply(t, demo{linux.State{Files: []linux.File{{Path: "/etc/demo/file", Content: "b\n"}}}}, on)
	if fmt.Sprint(res.Changes) != "[change file /etc/demo/file (content)]" || n.Content("/etc/demo/file") != "b\n" {
		t.Errorf("%v: %q", res.Changes, n.Content("/etc/demo/file"))
	}
}
