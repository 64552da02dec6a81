package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// conn is one user's view of a link.
type conn struct {
	link   *link
	before []string // starts each command
	closed *atomic.Bool
}

// Under is the same connection with each command, and the writing of files, started by argv.
func (c *conn) Under(argv ...string) jig.Conn {
	return &conn{link: c.link, before: argv, closed: c.closed}
}

// Close gives the link back; it stays open for others, and for a while for the next.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		c.link.release()
	}
	return nil
}

func (c *conn) usable() error {
	if c.closed.Load() {
		return crowbar.Errorf(crowbar.Internal, "connection to %s: %w", c.link.to, net.ErrClosed)
	}
	return nil
}

// Exec runs a command as root with LC_ALL=C and the folders of system programs in PATH.
func (c *conn) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	if err := c.usable(); err != nil {
		return jig.Exit{}, err
	}
	text, head, err := commandLine(slices.Concat(c.before, cmd.Argv), cmd.Env, c.link.to.user != "root")
	if err != nil {
		return jig.Exit{}, err
	}
	if head != "" {
		if cmd.Stdin == nil {
			cmd.Stdin = strings.NewReader("")
		}
		cmd.Stdin = io.MultiReader(strings.NewReader(head), cmd.Stdin)
	}
	return c.link.run(ctx, text, cmd)
}

// run sends a command line and moves its three streams until it ends, the context ends, or the link breaks.
func (l *link) run(ctx context.Context, text string, cmd jig.Cmd) (jig.Exit, error) {
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cmd.Timeout, fmt.Errorf("no end within %s: %w", cmd.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	ch, reqs, shut, err := l.open(ctx, l.sessions)
	if err != nil {
		return jig.Exit{}, err
	}
	defer shut()
	s := newSession(l, ch, reqs, cmd)
	if err := s.start(text); err != nil {
		return jig.Exit{}, err
	}
	return s.wait(ctx, cmd)
}

// session is one command under way.
type session struct {
	link     *link
	ch       ssh.Channel
	ended    chan int      // its exit code, then closed; closed without one when the link broke
	drained  chan struct{} // both outputs are at their end
	fed      chan error    // stdin is sent, or could not be read
	spoiled  chan error    // an output's writer refused
	group    chan string   // its process group
	out, err *capture
	reqs     <-chan *ssh.Request
	stdin    io.Reader
}

func newSession(l *link, ch ssh.Channel, reqs <-chan *ssh.Request, cmd jig.Cmd) *session {
	s := &session{link: l, ch: ch, reqs: reqs, stdin: cmd.Stdin, ended: make(chan int, 1), drained: make(chan struct{}),
		fed: make(chan error, 1), spoiled: make(chan error, 2), group: make(chan string, 1)}
	s.out, s.err = newCapture(cmd.Stdout), newCapture(cmd.Stderr)
	return s
}

func (s *session) start(text string) error {
	go s.requests()
	ok, err := s.ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{text}))
	if err != nil {
		return s.link.lost(err)
	}
	if !ok {
		return crowbar.Errorf(crowbar.Unavailable, "%s refuses to run commands: is there a ForceCommand or a restricted shell for user %s?", s.link.to, s.link.to.user)
	}
	var outputs sync.WaitGroup
	outputs.Go(func() { s.pump(s.out, s.ch) })
	outputs.Go(func() { s.pump(&markFilter{to: s.err, found: s.group}, s.ch.Stderr()) })
	go func() { outputs.Wait(); close(s.drained) }()
	go s.feed()
	return nil
}

func (s *session) pump(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	if _, err := io.CopyBuffer(struct{ io.Writer }{to}, from, buf); err != nil {
		s.spoiled <- err
		_, _ = io.CopyBuffer(io.Discard, from, buf)
	}
	if m, ok := to.(*markFilter); ok {
		m.flush()
	}
}

// feed sends stdin. An end of file is sent only after all of it: a reader that fails must not look like one that ended.
func (s *session) feed() {
	if s.stdin != nil {
		from := &remembering{Reader: s.stdin}
		_, err := io.CopyBuffer(struct{ io.Writer }{s.ch}, from, make([]byte, 256<<10))
		if from.err != nil {
			s.fed <- from.err
			return
		}
		if err != nil { // the command has ended or does not read: its exit code tells
			s.fed <- nil
			return
		}
	}
	_ = s.ch.CloseWrite()
	s.fed <- nil
}

// remembering keeps apart an error of the reader from one of the writer.
type remembering struct {
	io.Reader
	err error
}

func (r *remembering) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (s *session) requests() {
	defer close(s.ended)
	for r := range s.reqs {
		switch r.Type {
		case "exit-status":
			var m struct{ Status uint32 }
			if ssh.Unmarshal(r.Payload, &m) == nil {
				s.end(int(m.Status))
			}
		case "exit-signal":
			var m struct {
				Signal    string
				Dumped    bool
				Text, Tag string
			}
			if ssh.Unmarshal(r.Payload, &m) == nil {
				s.end(128 + signals[m.Signal])
			}
		}
		if r.WantReply {
			_ = r.Reply(false, nil)
		}
	}
}

func (s *session) end(code int) {
	select {
	case s.ended <- code:
	default:
	}
}

var signals = map[string]int{"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15}

// outputGrace is how long outputs may stay open after the command's end (a background child that holds them).
const outputGrace = 2 * time.Second

func (s *session) wait(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	fed := s.fed
	for {
		select {
		case code, ok := <-s.ended:
			if !ok {
				return jig.Exit{}, s.link.lost(errors.New("the command's end was not told"))
			}
			select {
			case <-s.drained:
			case <-time.After(outputGrace):
			case <-ctx.Done():
			}
			select {
			case err := <-s.spoiled:
				return jig.Exit{}, fmt.Errorf("output of %s on %s: %w", cmd.Argv[0], s.link.to, err)
			default:
			}
			return jig.Exit{Code: code, Stdout: s.out.bytes(), Stderr: s.err.bytes()}, nil
		case err := <-fed:
			fed = nil
			if err != nil {
				s.kill()
				return jig.Exit{}, fmt.Errorf("input of %s on %s: %w", cmd.Argv[0], s.link.to, err)
			}
		case err := <-s.spoiled:
			s.kill()
			return jig.Exit{}, fmt.Errorf("output of %s on %s: %w", cmd.Argv[0], s.link.to, err)
		case <-ctx.Done():
			s.kill()
			return jig.Exit{}, fmt.Errorf("%s on %s: %w", cmd.Argv[0], s.link.to, context.Cause(ctx))
		}
	}
}

// killScript ends a process group: asks, waits two seconds, and makes it.
const killScript = `kill -s TERM -- "-$1"; i=0
while kill -s 0 -- "-$1" 2>/dev/null; do
	i=$((i+1)); [ $i -gt 20 ] && { kill -s KILL -- "-$1"; break; }
	sleep 0.1
done; exit 0`

// kill ends the command on the node, whatever became of its caller, and returns when it is gone (at most 8 s).
func (s *session) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	var group string
	select {
	case group = <-s.group:
	case <-s.drained:
		return
	case <-s.link.closed:
		return
	case <-ctx.Done():
		return
	}
	if _, err := strconv.Atoi(group); err != nil {
		return
	}
	text, _, err := commandLine([]string{"/bin/sh", "-c", killScript, "kill", group}, nil, s.link.to.user != "root")
	if err != nil {
		return
	}
	ch, reqs, shut, err := s.link.open(ctx, s.link.spare)
	if err != nil {
		return
	}
	defer shut()
	killer := newSession(s.link, ch, reqs, jig.Cmd{})
	if killer.start(text) != nil {
		return
	}
	select {
	case <-killer.ended:
	case <-ctx.Done():
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
}

// capture keeps an output, or hands it to the caller's writer. It may be read while a late writer still writes.
type capture struct {
	mu  sync.Mutex
	to  io.Writer
	buf bytes.Buffer
}

func newCapture(to io.Writer) *capture { return &capture{to: to} }

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.to != nil {
		return c.to.Write(p)
	}
	if room := maxCapture - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (c *capture) bytes() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Clone(c.buf.Bytes())
}

// markFilter takes the prologue's line out of stderr and passes everything else on.
type markFilter struct {
	to    io.Writer
	found chan<- string
	held  []byte
	done  bool
}

func (m *markFilter) Write(p []byte) (int, error) {
	if m.done {
		return m.to.Write(p)
	}
	m.held = append(m.held, p...)
	for {
		i := bytes.IndexByte(m.held, '\n')
		if i < 0 {
			return len(p), nil
		}
		text, rest := m.held[:i+1], m.held[i+1:]
		if group, ok := strings.CutPrefix(string(text[:i]), pidMark+" "); ok {
			m.found <- group
			m.done, m.held = true, nil
			if len(rest) > 0 {
				if _, err := m.to.Write(rest); err != nil {
					return 0, err
				}
			}
			return len(p), nil
		}
		if _, err := m.to.Write(text); err != nil {
			return 0, err
		}
		m.held = rest
	}
}

func (m *markFilter) flush() {
	if len(m.held) > 0 {
		_, _ = m.to.Write(m.held)
		m.held = nil
	}
}
