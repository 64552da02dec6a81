package jigtest

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

func (s suite) batch(t *testing.T) {
	ctx, c, _ := s.open(t)
	script := "printf '%s|' \"$@\" \"$KC_A\"\nexit 3\n" // it's read twice
	with := func(c jig.Cmd, env map[string]string) jig.Cmd { c.Env = env; return c }
	parts := []func() jig.Cmd{
		func() jig.Cmd {
			return with(jig.Script(script, "a b", "", "$x", "it's", "--", "\n"), map[string]string{"KC_A": "it's $HOME\n"})
		},
		func() jig.Cmd { return jig.Script(script) },             // without the other's environment
		func() jig.Cmd { return jig.Cmd{Argv: []string{"cat"}} }, // eats nothing of the rest
		func() jig.Cmd {
			return jig.Cmd{Argv: []string{"cat"}, Stdin: strings.NewReader("no newline at the end\\n\xff")}
		},
		func() jig.Cmd {
			return jig.Cmd{Argv: []string{"/bin/sh", "-c", "printf 'a\\000b\\n\\n'; echo bad >&2; exit 200"}}
		},
		func() jig.Cmd {
			return jig.Cmd{Argv: []string{"/bin/sh", "-c", "exit 0"}, Stdin: bytes.NewReader(bytes.Repeat([]byte("unread\n"), 100_000))}
		},
		func() jig.Cmd { return jig.Script("exit 7\n") },
	}
	var all []jig.Cmd
	for _, p := range parts {
		all = append(all, p())
	}
	whole, split, err := jig.Batch(all)
	if err != nil {
		t.Fatal(err)
	}
	exit, err := c.Exec(ctx, whole)
	got := split(exit)
	if err != nil || len(got) != len(parts) {
		t.Fatalf("%d answers: %v: %s", len(got), err, exit.Stderr)
	}
	for i, p := range parts {
		want, err := c.Exec(ctx, p())
		if err != nil || got[i].Code != want.Code || !bytes.Equal(got[i].Stdout, want.Stdout) || !bytes.Equal(got[i].Stderr, want.Stderr) {
			t.Errorf("part %d: %d %q %q, alone %d %q %q %v", i, got[i].Code, got[i].Stdout, got[i].Stderr, want.Code, want.Stdout, want.Stderr, err)
		}
	}
	for name, bad := range map[string]jig.Cmd{"no command": {}, "NUL in argv": {Argv: []string{"printf", "a\x00b"}}, "NUL in stdin": {Argv: []string{"cat"}, Stdin: strings.NewReader("\x00")},
		"input": {Argv: []string{"cat"}, Stdin: broken(10)}, "environment": {Argv: []string{"true"}, Env: map[string]string{"a-b": ""}}} {
		if _, _, err := jig.Batch([]jig.Cmd{bad}); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// batchWaited: what compares times knows how long it waited for others.
func (s suite) batchWaited(t *testing.T) {
	ctx, c, _ := s.open(t)
	tell := jig.Cmd{Argv: []string{"/bin/sh", "-c", "echo $KUBECLAMP_WAITED"}}
	whole, split, err := jig.Batch([]jig.Cmd{tell, {Argv: []string{"sleep", "0.2"}}, tell})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := c.Exec(ctx, whole)
	got := split(exit)
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v %v", got, err)
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(got[0].Stdout)))
	last, err2 := strconv.Atoi(strings.TrimSpace(string(got[2].Stdout)))
	if err != nil || err2 != nil || first < 0 || last-first < 190 { // in hundredths of a second
		t.Errorf("waited %d ms, and %d ms after a sleep of 200: %v %v", first, last, err, err2)
	}
}

func (s suite) batchCutOff(t *testing.T) {
	ctx, c, _ := s.open(t)
	whole, split, err := jig.Batch([]jig.Cmd{{Argv: []string{"echo", "a"}}, {Argv: []string{"/bin/sh", "-c", "kill -9 $PPID"}}, {Argv: []string{"echo", "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := c.Exec(ctx, whole)
	if got := split(exit); err != nil || len(got) != 1 || string(got[0].Stdout) != "a\n" {
		t.Errorf("%+v %v", got, err)
	}
}
