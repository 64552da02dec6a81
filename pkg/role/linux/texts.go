package linux

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// How much of a file's change is told.
const (
	diffLines  = 40
	diffColumn = 200      // runes of a line
	diffText   = 64 << 10 // a larger file is told by its size
)

// text is a file whose content changes: the change of Todo.Changes that tells of it, and what the file is going to be.
type text struct {
	change  int
	path    string
	content string
	size    int64 // of what is there
}

// Compare is Plan, and each change of a file that everybody may read comes with its lines. It reads those files from the
// node, and asks it nothing where none changes.
func Compare(ctx context.Context, on role.Target, want State, have Facts) (Todo, error) {
	todo, err := Plan(want, have)
	if err != nil {
		return todo, err
	}
	for _, t := range todo.texts {
		if old, ok := content(ctx, on, t); ok {
			t.tell(&todo.Changes[t.change], old)
		}
	}
	return todo, nil
}

// content is what a file holds now; not ok where it cannot be read, which is no reason to do nothing.
func content(ctx context.Context, on role.Target, t text) (old string, ok bool) {
	if t.size > diffText || len(t.content) > diffText {
		return "", false
	}
	r, err := on.Conn.Get(ctx, t.path)
	if err != nil {
		return "", false
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, diffText+1))
	return string(b), err == nil && len(b) <= diffText
}

// tell puts the lines that go and come into a change.
func (t text) tell(c *role.Change, old string) {
	switch {
	case secret(old) || secret(t.content):
		c.Diff = strings.Replace(c.Diff, "content", "secret changed", 1)
	case !plain(old) || !plain(t.content):
		c.Diff = strings.Replace(c.Diff, "content", fmt.Sprintf("content, %d -> %d bytes", len(old), len(t.content)), 1)
	default:
		c.Unified, c.More = unified(old, t.content)
	}
}

// unified is the difference of two texts in unified form.
func unified(old, text string) (lines string, more int) {
	b := diff.Diff("a", []byte(old), "b", []byte(text))
	for range 3 { // the heading
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	return Clip(string(b))
}

// Clip cuts a difference in unified form, without its heading, to what a Change may carry; more lines are left out.
func Clip(unified string) (lines string, more int) {
	all := strings.SplitAfter(userinfo.ReplaceAllString(unified, "://(secret)@"), "\n")
	if all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	if len(all) > diffLines {
		all, more = all[:diffLines], len(all)-diffLines
	}
	for i, l := range all {
		if utf8.RuneCountInString(l) > diffColumn {
			all[i] = string([]rune(l)[:diffColumn]) + "...\n"
		}
	}
	return strings.Join(all, ""), more
}

// Secrets are marked in State; these are found also where they are not, above all in what was on the node before.
var (
	userinfo = regexp.MustCompile(`://[^/\s:@]*:[^/\s@]+@`)
	keys     = regexp.MustCompile(`PRIVATE KEY-----|(?m)^\s*client-key-data:`)
)

func secret(text string) bool { return keys.MatchString(text) }

// plain says that a file is a text.
func plain(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }
