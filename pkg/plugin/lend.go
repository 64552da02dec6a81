package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"

	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// lent is the daemon's side of the hands of one run.
type lent struct {
	rolev1.UnimplementedHandsServiceServer
	on    role.Target
	hello func()

	mu      sync.Mutex
	release func() // ends the last Hold
}

// Hello tells that the role's process has connected.
func (l *lent) Hello(context.Context, *rolev1.HelloRequest) (*rolev1.HelloResponse, error) {
	l.hello()
	return &rolev1.HelloResponse{}, nil
}

// Exec runs a command of the role on the node.
func (l *lent) Exec(s rolev1.HandsService_ExecServer) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	start := m.GetStart()
	if start == nil {
		return statusOut(crowbar.Errorf(crowbar.Invalid, "the first message of an Exec must start it"))
	}
	cmd := startIn(start)
	var mu sync.Mutex // the two outputs share the stream
	// gofail: var handsExec struct{}
	cmd.Stdout = sender(func(b []byte) error {
		mu.Lock()
		defer mu.Unlock()
		return s.Send(&rolev1.ExecResponse{Step: &rolev1.ExecResponse_Stdout{Stdout: b}})
	})
	cmd.Stderr = sender(func(b []byte) error {
		mu.Lock()
		defer mu.Unlock()
		return s.Send(&rolev1.ExecResponse{Step: &rolev1.ExecResponse_Stderr{Stderr: b}})
	})
	if start.GetHasStdin() {
		cmd.Stdin = &upload{recv: func() ([]byte, bool, error) { return stdinOf(s) }}
	}
	exit, err := at(l.on.Conn, start.GetPlace()).Exec(s.Context(), cmd)
	if err != nil {
		return statusOut(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return s.Send(&rolev1.ExecResponse{Step: &rolev1.ExecResponse_Code{Code: int32(exit.Code)}})
}

func stdinOf(s rolev1.HandsService_ExecServer) (b []byte, end bool, err error) {
	m, err := s.Recv()
	if err != nil {
		return nil, false, fmt.Errorf("the role went away before its input ended: %w", noEOF(err))
	}
	switch m := m.GetStep().(type) {
	case *rolev1.ExecRequest_Stdin:
		return m.Stdin, false, nil
	case *rolev1.ExecRequest_StdinEnd:
		return nil, true, nil
	case *rolev1.ExecRequest_StdinBroken:
		return nil, false, errors.New(m.StdinBroken)
	}
	return nil, false, errors.New("a message that is no input")
}

// noEOF keeps an early end of the stream from looking like an end of the data.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// sender is a writer that sends in frames.
type sender func([]byte) error

func (f sender) Write(p []byte) (int, error) {
	for at := 0; at < len(p); at += frame {
		if err := f(p[at:min(at+frame, len(p))]); err != nil {
			return at, err
		}
	}
	return len(p), nil
}

// upload is a reader of a stream's messages.
type upload struct {
	recv func() (b []byte, end bool, err error)
	left []byte
	err  error
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.left) == 0 && u.err == nil {
		b, end, err := u.recv()
		u.left, u.err = b, err
		if end {
			u.err = io.EOF
		}
	}
	if len(u.left) == 0 {
		return 0, u.err
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}

// Put writes a file of the role on the node.
func (l *lent) Put(s rolev1.HandsService_PutServer) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	start := m.GetStart()
	if start == nil {
		return statusOut(crowbar.Errorf(crowbar.Invalid, "the first message of a Put must name the file"))
	}
	content := &upload{recv: func() ([]byte, bool, error) {
		m, err := s.Recv()
		if err != nil {
			return nil, false, fmt.Errorf("the role went away before the file ended: %w", noEOF(err))
		}
		return m.GetContent(), m.GetEnd(), nil
	}}
	if err := at(l.on.Conn, start.GetPlace()).Put(s.Context(), start.GetPath(), modeIn(start.GetMode()), content); err != nil {
		return statusOut(err)
	}
	return s.SendAndClose(&rolev1.PutResponse{})
}

// Get sends a file of the node to the role.
func (l *lent) Get(in *rolev1.GetRequest, s rolev1.HandsService_GetServer) error {
	r, err := l.on.Conn.Get(s.Context(), in.GetPath())
	if err != nil {
		return statusOut(err)
	}
	defer r.Close()
	if err := s.Send(&rolev1.GetResponse{}); err != nil {
		return err
	}
	var bad error
	if err := each(r, func(b []byte) error { return s.Send(&rolev1.GetResponse{Content: b}) }, &bad); err != nil {
		return err
	}
	return statusOut(bad)
}

// Dial connects the role to an address in the node's network.
func (l *lent) Dial(s rolev1.HandsService_DialServer) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	c, err := l.on.Conn.Dial(s.Context(), m.GetStart().GetNetwork(), m.GetStart().GetAddr())
	if err != nil {
		return statusOut(err)
	}
	defer c.Close()
	defer context.AfterFunc(s.Context(), func() { c.Close() })()
	if err := s.Send(&rolev1.DialResponse{}); err != nil {
		return err
	}
	go func() {
		up := &upload{recv: func() ([]byte, bool, error) { m, err := s.Recv(); return m.GetData(), m.GetEnd(), err }}
		_, err := io.Copy(struct{ io.Writer }{c}, up)
		if h, ok := c.(interface{ CloseWrite() error }); ok && err == nil {
			_ = h.CloseWrite()
			return
		}
		c.Close()
	}()
	var bad error
	if err := each(c, func(b []byte) error { return s.Send(&rolev1.DialResponse{Data: b}) }, &bad); err != nil {
		return err
	}
	if bad != nil && !errors.Is(bad, net.ErrClosed) {
		return statusOut(bad)
	}
	return nil
}

// StatArtifact finds an artifact.
func (l *lent) StatArtifact(ctx context.Context, in *rolev1.StatArtifactRequest) (*rolev1.StatArtifactResponse, error) {
	if l.on.Artifacts == nil {
		return nil, statusOut(crowbar.Errorf(crowbar.NotFound, "artifact %q: there is no catalogue", in.GetName()))
	}
	a, err := l.on.Artifacts.Stat(ctx, in.GetName())
	if err != nil {
		return nil, statusOut(err)
	}
	return artifactOut(a), nil
}

// PutArtifact writes an artifact on the node.
func (l *lent) PutArtifact(ctx context.Context, in *rolev1.PutArtifactRequest) (*rolev1.PutArtifactResponse, error) {
	if l.on.Artifacts == nil {
		return nil, statusOut(crowbar.Errorf(crowbar.NotFound, "artifact %q: there is no catalogue", in.GetName()))
	}
	if err := at(l.on.Artifacts, in.GetPlace()).Put(ctx, in.GetName(), in.GetPath(), modeIn(in.GetMode())); err != nil {
		return nil, statusOut(err)
	}
	return &rolev1.PutArtifactResponse{}, nil
}

// Log writes a line in the run's log.
func (l *lent) Log(_ context.Context, in *rolev1.LogRequest) (*rolev1.LogResponse, error) {
	l.on.Logf("%s", in.GetLine())
	return &rolev1.LogResponse{}, nil
}

// Hold has those wait that write into what the role keeps.
func (l *lent) Hold(ctx context.Context, _ *rolev1.HoldRequest) (*rolev1.HoldResponse, error) {
	if l.on.Hold == nil {
		return nil, statusOut(crowbar.Errorf(crowbar.Invalid, "nobody can be asked to wait"))
	}
	release, err := l.on.Hold(ctx)
	l.mu.Lock()
	l.release = release
	l.mu.Unlock()
	if err != nil {
		return nil, statusOut(err)
	}
	return &rolev1.HoldResponse{}, nil
}

// Release lets them go on.
func (l *lent) Release(context.Context, *rolev1.ReleaseRequest) (*rolev1.ReleaseResponse, error) {
	l.mu.Lock()
	release := l.release
	l.release = nil
	l.mu.Unlock()
	if release != nil {
		release()
	}
	return &rolev1.ReleaseResponse{}, nil
}

func newHandsServer(l *lent, o []grpc.ServerOption) *grpc.Server {
	// The run is over when nothing of it is under way on the node any more.
	s := grpc.NewServer(append(append(o, serverLimits()...), grpc.WaitForHandlers(true), grpc.ChainUnaryInterceptor(caught), grpc.ChainStreamInterceptor(caughtStream))...)
	rolev1.RegisterHandsServiceServer(s, l)
	return s
}

// caught makes a panic of what the daemon does for a role an error of that run: the daemon and all other runs go on.
func caught(ctx context.Context, in any, _ *grpc.UnaryServerInfo, do grpc.UnaryHandler) (out any, err error) {
	defer func() { err = panicked(recover(), err) }()
	return do(ctx, in)
}

func caughtStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, do grpc.StreamHandler) (err error) {
	defer func() { err = panicked(recover(), err) }()
	return do(srv, s)
}

func panicked(p any, err error) error {
	if p == nil {
		return err
	}
	return statusOut(fmt.Errorf("the daemon panicked on behalf of the role: %v\n%s", p, debug.Stack()))
}
