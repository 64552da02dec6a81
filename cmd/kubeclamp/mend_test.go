package main

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// heard is where several streams go; it tells when what has come matches.
type heard struct {
	mu   sync.Mutex
	all  bytes.Buffer
	want *regexp.Regexp
	once sync.Once
	told chan struct{}
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all.Write(b)
	if h.want.Match(h.all.Bytes()) {
		h.once.Do(func() { close(h.told) })
	}
	return len(b), nil
}

// rounds interrupts a program that goes on by itself once it has said something.
func rounds(ts *testscript.TestScript, _ bool, args []string) {
	h := &heard{want: regexp.MustCompile(args[0]), told: make(chan struct{})}
	cmd := program(ts, args[1:])
	cmd.Stdout, cmd.Stderr = io.MultiWriter(ts.Stdout(), h), io.MultiWriter(ts.Stderr(), h)
	ts.Check(cmd.Start())
	select {
	case <-h.told:
	case <-time.After(20 * time.Second):
		ts.Logf("it did not say %s", args[0])
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		ts.Fatalf("%v, want exit code %d; it said:\n%s", err, exitInterrupted, h.all.String())
	}
}
