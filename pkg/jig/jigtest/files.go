package jigtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

func (s suite) read(t *testing.T, ctx context.Context, c jig.Conn, path string) []byte {
	t.Helper()
	r, err := c.Get(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (s suite) putGet(t *testing.T) {
	ctx, c, dir := s.open(t)
	for _, size := range []int{0, 1, 31, 32, 33, 70_000, 5_000_000} {
		want := noise(size)
		if err := c.Put(ctx, dir+"/f", 0o644, bytes.NewReader(want)); err != nil {
			t.Fatal(err)
		}
		if got := s.read(t, ctx, c, dir+"/f"); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back of %d", len(got), size)
		}
	}
	if names := s.run(t, ctx, c, "ls", "-A", dir); names != "f\n" {
		t.Fatalf("left behind: %q", names)
	}
}

func (s suite) putModes(t *testing.T) {
	ctx, c, dir := s.open(t)
	for _, m := range []fs.FileMode{0o600, 0o644, 0o755, 0o440, 0o755 | fs.ModeSetuid} {
		if err := c.Put(ctx, dir+"/f", m, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		want := m.Perm()
		if m&fs.ModeSetuid != 0 {
			want |= 0o4000
		}
		if got := s.run(t, ctx, c, "stat", "-c", "%a %u %g", dir+"/f"); got != fmt.Sprintf("%o 0 0\n", want) {
			t.Errorf("mode %v: stat says %s", m, got)
		}
	}
}

// The old file stays whole and nothing is left behind.
func (s suite) unharmed(t *testing.T, c jig.Conn, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if got := s.read(t, ctx, c, dir+"/f"); string(got) != "old" {
		t.Fatalf("the old file is now %d bytes", len(got))
	}
	for { // a killed writer cleans up in its own time
		names := s.run(t, ctx, c, "ls", "-A", dir)
		if names == "f\n" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("left behind: %q", names)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s suite) putInterrupted(t *testing.T) {
	ctx, c, dir := s.open(t)
	s.put(t, ctx, c, dir+"/f")
	if err := c.Put(ctx, dir+"/f", 0o600, broken(300_000)); !errors.Is(err, errCut) {
		t.Fatalf("error is %v", err)
	}
	s.unharmed(t, c, dir)
}

func (s suite) put(t *testing.T, ctx context.Context, c jig.Conn, path string) {
	t.Helper()
	if err := c.Put(ctx, path, 0o600, strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
}

func (s suite) putCancelled(t *testing.T) {
	ctx, c, dir := s.open(t)
	s.put(t, ctx, c, dir+"/f")
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	endless, stop := io.Pipe()
	defer stop.Close()
	go stop.Write(noise(100_000))
	go func() { <-short.Done(); time.Sleep(time.Second); stop.CloseWithError(errCut) }()
	if err := c.Put(short, dir+"/f", 0o600, endless); err == nil {
		t.Fatal("no error")
	}
	s.unharmed(t, c, dir)
}

func (s suite) putNoFolder(t *testing.T) {
	ctx, c, dir := s.open(t)
	err := c.Put(ctx, dir+"/no/f", 0o600, strings.NewReader("x"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir+"/no") {
		t.Fatalf("error is %v", err)
	}
	if err := c.Put(ctx, dir, 0o600, strings.NewReader("x")); err == nil {
		t.Fatal("a folder was replaced")
	}
}

func (s suite) putSymlink(t *testing.T) {
	ctx, c, dir := s.open(t)
	s.put(t, ctx, c, dir+"/f")
	s.run(t, ctx, c, "ln", "-s", "f", dir+"/l")
	if err := c.Put(ctx, dir+"/l", 0o600, strings.NewReader("new")); err != nil {
		t.Fatal(err)
	}
	if got := string(s.read(t, ctx, c, dir+"/f")); got != "old" {
		t.Fatalf("Put went through the link: %q", got)
	}
}

func (s suite) putStrange(t *testing.T) {
	ctx, c, dir := s.open(t)
	for _, name := range []string{"-rf", "a b", "it's", "$(id)", "nl\nx", "größe"} {
		s.put(t, ctx, c, dir+"/"+name)
		if got := string(s.read(t, ctx, c, dir+"/"+name)); got != "old" {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// Readers see one whole version or another, never a mixture.
func (s suite) putAtOnce(t *testing.T) {
	ctx, c, dir := s.open(t)
	version := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 200_000) }
	if err := c.Put(ctx, dir+"/f", 0o600, bytes.NewReader(version(0))); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			if err := c.Put(ctx, dir+"/f", 0o600, bytes.NewReader(version(i))); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			r, err := c.Get(ctx, dir+"/f")
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			b, _ := io.ReadAll(r)
			if len(b) != 200_000 || len(bytes.Trim(b, string(b[:1]))) != 0 {
				t.Errorf("a mixture of versions, %d bytes", len(b))
			}
		})
	}
	all.Wait()
	if names := s.run(t, ctx, c, "ls", "-A", dir); names != "f\n" {
		t.Fatalf("left behind: %q", names)
	}
}

func (s suite) getClosedEarly(t *testing.T) {
	ctx, c, _ := s.open(t)
	for range 2 * s.o.Sessions { // more than there are slots
		r, err := c.Get(ctx, "/dev/zero")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s suite) getFolder(t *testing.T) {
	ctx, c, dir := s.open(t)
	if r, err := c.Get(ctx, dir); err == nil {
		r.Close()
		t.Fatal("a folder was read as a file")
	}
}

// gone waits until no process has the mark in its command line.
func (s suite) gone(t *testing.T, c jig.Conn, mark string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for {
		exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", `grep -lzs -- "$1" /proc/[0-9]*/environ | grep -v "/$$/"`, "x", mark}})
		if err != nil {
			t.Fatalf("still there: %v", err)
		}
		if len(exit.Stdout) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s suite) cancelKills(t *testing.T) {
	_, c, dir := s.open(t)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { time.Sleep(300 * time.Millisecond); cancel() }()
	start := time.Now()
	_, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "sleep 61 & sleep 62; echo"}, Env: map[string]string{"KC_MARK": dir}})
	if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	s.gone(t, c, "KC_MARK="+dir)
}

func (s suite) stubborn(t *testing.T) {
	_, c, dir := s.open(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "trap '' TERM HUP; while :; do sleep 1; done"}, Env: map[string]string{"KC_MARK": dir}})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 12*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	s.gone(t, c, "KC_MARK="+dir)
}

func (s suite) timeout(t *testing.T) {
	ctx, c, _ := s.open(t)
	_, err := c.Exec(ctx, jig.Cmd{Argv: []string{"sleep", "60"}, Timeout: 200 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "200ms") || !strings.Contains(err.Error(), "sleep") {
		t.Fatalf("error is %v", err)
	}
}

// A child in the background that holds the outputs does not hold up the command's end.
func (s suite) background(t *testing.T) {
	ctx, c, _ := s.open(t)
	start := time.Now()
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "sleep 20 & echo started"}})
	if err != nil || string(exit.Stdout) != "started\n" || time.Since(start) > 8*time.Second {
		t.Fatalf("after %s: %q %v", time.Since(start), exit.Stdout, err)
	}
}
