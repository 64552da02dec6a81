// Package jigtest is the contract of jig.Conn as a suite that every jig passes. It does not know any jig.
package jigtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Options say what is behind the connection.
type Options struct {
	Dir      string // an empty folder on the node, absolute
	Nothing  bool   // commands end with 0 unrun and files go nowhere (noop)
	Sessions int    // how many commands may run at once; more must wait, not fail. 0 = 8
}

// Run runs the suite; dial is called once a test.
func Run(t *testing.T, dial func(t *testing.T) jig.Conn, o Options) {
	if o.Sessions == 0 {
		o.Sessions = 8
	}
	s := suite{dial: dial, o: o}
	tests := map[string]func(*testing.T){
		"empty command": s.emptyCommand, "get missing": s.getMissing, "ended context": s.endedContext, "put takes all": s.putTakesAll,
	}
	if !o.Nothing {
		for name, f := range map[string]func(*testing.T){
			"argv": s.argv, "env": s.env, "exit codes": s.exitCodes, "stderr": s.stderr, "stdin binary": s.stdinBinary, "stdin unread": s.stdinUnread,
			"stdin fails": s.stdinFails, "stdout big": s.stdoutBig, "stdout capped": s.stdoutCapped, "stdout refused": s.stdoutRefused, "script": s.script, "batch": s.batch, "batch cut off": s.batchCutOff, "batch waited": s.batchWaited, "cancel kills": s.cancelKills, "stubborn child": s.stubborn,
			"timeout": s.timeout, "concurrent": s.concurrent, "background child": s.background, "put and get": s.putGet, "put modes": s.putModes,
			"put interrupted": s.putInterrupted, "put cancelled": s.putCancelled, "put no folder": s.putNoFolder, "put over symlink": s.putSymlink, "put strange name": s.putStrange, "put at once": s.putAtOnce,
			"get closed early": s.getClosedEarly, "get folder": s.getFolder, "dial echo": s.dialEcho, "dial deadline": s.dialDeadline, "dial refused": s.dialRefused, "closed": s.closed,
		} {
			tests[name] = f
		}
	}
	for name, f := range tests {
		t.Run(name, f)
	}
}

type suite struct {
	dial func(*testing.T) jig.Conn
	o    Options
}

// open dials for one test and gives it a folder of its own.
func (s suite) open(t *testing.T) (context.Context, jig.Conn, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := s.dial(t)
	t.Cleanup(func() { c.Close() })
	dir := fmt.Sprintf("%s/%d", s.o.Dir, rand.Uint64())
	if !s.o.Nothing {
		s.run(t, ctx, c, "mkdir", "-p", dir)
	}
	return ctx, c, dir
}

func (s suite) run(t *testing.T, ctx context.Context, c jig.Conn, argv ...string) string {
	t.Helper()
	out, err := jig.Run(ctx, c, jig.Cmd{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s suite) emptyCommand(t *testing.T) {
	ctx, c, _ := s.open(t)
	if _, err := c.Exec(ctx, jig.Cmd{}); err == nil {
		t.Fatal("a command without a name was run")
	}
}

func (s suite) endedContext(t *testing.T) {
	_, c, _ := s.open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Exec(ctx, jig.Cmd{Argv: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error is %v", err)
	}
}

func (s suite) putTakesAll(t *testing.T) {
	ctx, c, dir := s.open(t)
	r := bytes.NewReader(make([]byte, 100_000))
	if err := c.Put(ctx, dir+"/f", 0o600, r); err != nil || r.Len() != 0 {
		t.Fatalf("error %v, %d bytes left", err, r.Len())
	}
}

func (s suite) argv(t *testing.T) {
	ctx, c, dir := s.open(t)
	words := []string{"", " ", "a b", `"`, `'`, `''`, `'"'"'`, `\`, `\n`, "line\nline", "tab\t", "$HOME", "$(touch " + dir + "/pwned)", "`id`", "*", "~", "!x", "-n", "--", "a=b", ";exit 3", "&", "|", "größe 漢字 \U0001F600", "\x01\x7f\xff", "#x", "end\n"}
	out := s.run(t, ctx, c, append([]string{"printf", `%s\001`}, words...)...)
	if want := strings.Join(words, "\x01") + "\x01"; out != want {
		t.Fatalf("\ngot  %q\nwant %q", out, want)
	}
	if s.run(t, ctx, c, "ls", dir) != "" {
		t.Fatal("a word of argv was run")
	}
	if exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"printf", "a\x00b"}}); err == nil && string(exit.Stdout) != "a\x00b" {
		t.Fatalf("NUL in argv was neither passed nor refused: %q", exit.Stdout)
	}
}

func (s suite) env(t *testing.T) {
	ctx, c, _ := s.open(t)
	env := map[string]string{"KC_A": "it's $HOME\nand \"more\"", "KC_B": ""}
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", `printf '%s|%s|%s|' "$KC_A" "${KC_B-unset}" "$LC_ALL"; cat`}, Env: env, Stdin: strings.NewReader("input")})
	if err != nil || string(exit.Stdout) != env["KC_A"]+"||C|input" {
		t.Fatalf("%q %s %v", exit.Stdout, exit.Stderr, err)
	}
	path := s.run(t, ctx, c, "/bin/sh", "-c", "command -v true && echo $PATH")
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin"} {
		if !strings.Contains(path, dir) {
			t.Errorf("PATH %q lacks %s", path, dir)
		}
	}
}

func (s suite) exitCodes(t *testing.T) {
	ctx, c, _ := s.open(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -9 $$": 137, "kill -TERM $$": 143} {
		exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", script}})
		if err != nil || exit.Code != want {
			t.Errorf("%s: code %d, error %v", script, exit.Code, err)
		}
	}
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"kubeclamp-no-such-program"}})
	if err != nil || exit.Code != 127 {
		t.Errorf("missing program: code %d, error %v", exit.Code, err)
	}
	if out := s.run(t, ctx, c, "id", "-u"); out != "0\n" {
		t.Errorf("it is run as %q", out)
	}
}

func (s suite) stderr(t *testing.T) {
	ctx, c, _ := s.open(t)
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "printf out; printf 'no newline' >&2"}})
	if err != nil || string(exit.Stdout) != "out" || string(exit.Stderr) != "no newline" {
		t.Fatalf("%q %q %v", exit.Stdout, exit.Stderr, err)
	}
	var out, bad bytes.Buffer
	exit, err = c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "echo o; echo e >&2"}, Stdout: &out, Stderr: &bad})
	if err != nil || out.String() != "o\n" || bad.String() != "e\n" || len(exit.Stdout) > 0 {
		t.Fatalf("%q %q %q %v", out.String(), bad.String(), exit.Stdout, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return b
}

func (s suite) stdinBinary(t *testing.T) {
	ctx, c, _ := s.open(t)
	want := noise(5_000_000)
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"cat"}, Stdin: bytes.NewReader(want)})
	if err != nil || !bytes.Equal(exit.Stdout, want) {
		t.Fatalf("%d bytes came back of %d: %v %s", len(exit.Stdout), len(want), err, exit.Stderr)
	}
}

func (s suite) stdinUnread(t *testing.T) {
	ctx, c, _ := s.open(t)
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "exit 4"}, Stdin: bytes.NewReader(noise(20_000_000))})
	if err != nil || exit.Code != 4 {
		t.Fatalf("code %d, error %v", exit.Code, err)
	}
	// Without a Stdin the command sees an end of file at once.
	if out := s.run(t, ctx, c, "cat"); out != "" {
		t.Fatalf("stdin was not empty: %q", out)
	}
}

var errCut = errors.New("the reader broke")

// broken gives some bytes and then an error.
func broken(n int) io.Reader { return io.MultiReader(bytes.NewReader(noise(n)), failing{}) }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errCut }

func (s suite) stdinFails(t *testing.T) {
	ctx, c, dir := s.open(t)
	_, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", `cat >/dev/null && touch "$1"`, "x", dir + "/done"}, Stdin: broken(1000)})
	if !errors.Is(err, errCut) {
		t.Fatalf("error is %v", err)
	}
	if _, err := c.Get(ctx, dir+"/done"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an input cut short looked like a whole one: %v", err)
	}
}

func (s suite) stdoutBig(t *testing.T) {
	ctx, c, _ := s.open(t)
	var n counter
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"head", "-c", "50000000", "/dev/zero"}, Stdout: &n})
	if err != nil || exit.Code != 0 || n != 50_000_000 {
		t.Fatalf("%d bytes, code %d, error %v", n, exit.Code, err)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func (s suite) stdoutCapped(t *testing.T) {
	ctx, c, _ := s.open(t)
	exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"head", "-c", "17825792", "/dev/zero"}})
	if err != nil || exit.Code != 0 || len(exit.Stdout) != 16<<20 {
		t.Fatalf("%d bytes, code %d, error %v", len(exit.Stdout), exit.Code, err)
	}
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errCut }

func (s suite) stdoutRefused(t *testing.T) {
	ctx, c, _ := s.open(t)
	start := time.Now()
	_, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "echo x; exec sleep 40"}, Stdout: refusing{}})
	if !errors.Is(err, errCut) || time.Since(start) > 10*time.Second {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
}

func (s suite) script(t *testing.T) {
	ctx, c, _ := s.open(t)
	exit, err := c.Exec(ctx, jig.Script("printf '%s,' \"$@\"\nexit 3\n", "a b", "", "$x"))
	if err != nil || exit.Code != 3 || string(exit.Stdout) != "a b,,$x," {
		t.Fatalf("%+v %v", exit, err)
	}
}

func (s suite) closed(t *testing.T) {
	ctx, c, _ := s.open(t)
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	again := s.dial(t)
	defer again.Close()
	s.run(t, ctx, again, "true")
}

func (s suite) getMissing(t *testing.T) {
	ctx, c, dir := s.open(t)
	_, err := c.Get(ctx, dir+"/no such")
	if !errors.Is(err, fs.ErrNotExist) || crowbar.KindOf(err) != crowbar.NotFound {
		t.Fatalf("error is %v", err)
	}
}

func (s suite) concurrent(t *testing.T) {
	ctx, c, _ := s.open(t)
	var all sync.WaitGroup
	for i := range 3 * s.o.Sessions {
		all.Go(func() {
			want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*1000))
			exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", "sleep 0.2; cat"}, Stdin: strings.NewReader(want)})
			if err != nil || string(exit.Stdout) != want {
				t.Errorf("%d: %v, code %d, %d bytes", i, err, exit.Code, len(exit.Stdout))
			}
		})
	}
	all.Wait()
}

func (s suite) dialEcho(t *testing.T) {
	ctx, c, _ := s.open(t)
	l := listen(t)
	go func() {
		for {
			peer, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer peer.Close(); io.Copy(peer, peer) }()
		}
	}()
	peer, err := c.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	want := noise(3_000_000)
	go func() {
		peer.Write(want)
		if h, ok := peer.(interface{ CloseWrite() error }); ok {
			h.CloseWrite()
		}
	}()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("echo: %v", err)
	}
}

func (s suite) dialDeadline(t *testing.T) {
	ctx, c, _ := s.open(t)
	l := listen(t)
	go func() {
		if peer, err := l.Accept(); err == nil {
			peer.Write([]byte("hello"))
			io.Copy(io.Discard, peer)
		}
	}()
	peer, err := c.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	buf := make([]byte, 10)
	if n, err := io.ReadFull(peer, buf[:5]); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("%q %v", buf[:n], err)
	}
	peer.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, err = peer.Read(buf)
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
		t.Fatalf("error is %v", err)
	}
	peer.SetReadDeadline(time.Time{})
	go func() { time.Sleep(50 * time.Millisecond); peer.SetReadDeadline(time.Unix(1, 0)) }()
	if _, err = peer.Read(buf); err == nil {
		t.Fatal("a deadline set during a Read was not seen")
	}
}

func (s suite) dialRefused(t *testing.T) {
	ctx, c, _ := s.open(t)
	l := listen(t)
	addr := l.Addr().String()
	l.Close()
	_, err := c.Dial(ctx, "tcp", addr)
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), addr) {
		t.Fatalf("error is %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
