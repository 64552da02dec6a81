package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// hands is jig.Conn in the role's process.
type hands struct {
	rolev1.HandsServiceClient
	ctx context.Context // of the run
	dry bool            // it is a dry run
}

// maxCapture is jig.Exit's limit.
const maxCapture = 16 << 20

// Exec runs a command on the node.
func (h *hands) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := h.HandsServiceClient.Exec(ctx)
	if err != nil {
		return jig.Exit{}, statusIn(err)
	}
	if err := s.Send(startOut(c, h.place(c.Reads))); err != nil && !errors.Is(err, io.EOF) {
		return jig.Exit{}, statusIn(err)
	}
	spoiled := make(chan error, 1)
	if c.Stdin != nil {
		go func() { spoiled <- feed(s, c.Stdin) }()
	}
	out, bad := &capture{to: c.Stdout}, &capture{to: c.Stderr}
	for {
		m, err := s.Recv()
		if err != nil {
			return jig.Exit{}, stdinError(spoiled, statusIn(err))
		}
		switch m := m.GetStep().(type) {
		case *rolev1.ExecResponse_Stdout:
			_, err = out.Write(m.Stdout)
		case *rolev1.ExecResponse_Stderr:
			_, err = bad.Write(m.Stderr)
		case *rolev1.ExecResponse_Code:
			return jig.Exit{Code: int(m.Code), Stdout: out.buf.Bytes(), Stderr: bad.buf.Bytes()}, nil
		}
		if err != nil {
			return jig.Exit{}, fmt.Errorf("output of %s: %w", c.Argv[0], err)
		}
	}
}

// stdinError prefers the reader's own error, if that is what ended the command, to the daemon's word for it.
func stdinError(spoiled <-chan error, err error) error {
	select {
	case own := <-spoiled:
		if own != nil {
			return own
		}
	default:
	}
	return err
}

// feed sends stdin and says how it ended: a reader that broke must not look like one that came to its end.
func feed(s rolev1.HandsService_ExecClient, r io.Reader) error {
	var bad error
	sent := each(r, func(b []byte) error {
		return s.Send(&rolev1.ExecRequest{Step: &rolev1.ExecRequest_Stdin{Stdin: b}})
	}, &bad)
	if bad != nil {
		_ = s.Send(&rolev1.ExecRequest{Step: &rolev1.ExecRequest_StdinBroken{StdinBroken: bad.Error()}})
		_ = s.CloseSend()
		return fmt.Errorf("input: %w", bad)
	}
	if sent == nil {
		_ = s.Send(&rolev1.ExecRequest{Step: &rolev1.ExecRequest_StdinEnd{StdinEnd: true}})
		_ = s.CloseSend()
	}
	return nil
}

// each reads in frames until the end; bad is the reader's error, the result is the sender's.
func each(r io.Reader, send func([]byte) error, bad *error) error {
	buf := make([]byte, frame)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := send(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			*bad = err
			return nil
		}
	}
}

type capture struct {
	to  io.Writer
	buf bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	if c.to != nil {
		return c.to.Write(p)
	}
	if room := maxCapture - c.buf.Len(); room > 0 {
		c.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Put writes a file on the node.
func (h *hands) Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := h.HandsServiceClient.Put(ctx)
	if err != nil {
		return statusIn(err)
	}
	err = s.Send(&rolev1.PutRequest{Step: &rolev1.PutRequest_Start{Start: &rolev1.PutStart{Path: path, Mode: uint32(mode), Place: h.place(false)}}})
	var bad error
	if err == nil {
		err = each(r, func(b []byte) error {
			return s.Send(&rolev1.PutRequest{Step: &rolev1.PutRequest_Content{Content: b}})
		}, &bad)
	}
	if bad != nil { // without an end the daemon writes nothing
		cancel()
		_, _ = s.CloseAndRecv()
		return fmt.Errorf("put %s: %w", path, bad)
	}
	if err == nil {
		err = s.Send(&rolev1.PutRequest{Step: &rolev1.PutRequest_End{End: true}})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return statusIn(err)
	}
	_, err = s.CloseAndRecv()
	return statusIn(err)
}

// Get reads a file on the node.
func (h *hands) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	s, err := h.HandsServiceClient.Get(ctx, &rolev1.GetRequest{Path: path})
	if err == nil {
		_, err = s.Recv() // the file is open
	}
	if err != nil {
		cancel()
		return nil, statusIn(err)
	}
	return &download{recv: func() ([]byte, error) { m, err := s.Recv(); return m.GetContent(), err }, stop: cancel}, nil
}

type download struct {
	recv func() ([]byte, error)
	stop func()
	left []byte
	err  error
}

func (d *download) Read(p []byte) (int, error) {
	for len(d.left) == 0 && d.err == nil {
		if d.left, d.err = d.recv(); d.err != nil && !errors.Is(d.err, io.EOF) {
			d.err = statusIn(d.err)
		}
	}
	if len(d.left) == 0 {
		return 0, d.err
	}
	n := copy(p, d.left)
	d.left = d.left[n:]
	return n, nil
}

func (d *download) Close() error { d.stop(); return nil }

// Dial opens a stream from the node. The local half is a pipe, so that it has deadlines.
func (h *hands) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	runCtx, cancel := context.WithCancel(h.ctx) // the stream outlives the dialling
	stop := context.AfterFunc(ctx, cancel)
	s, err := h.HandsServiceClient.Dial(runCtx)
	if err == nil {
		err = s.Send(&rolev1.DialRequest{Step: &rolev1.DialRequest_Start{Start: &rolev1.DialStart{Network: network, Addr: addr}}})
	}
	if err == nil || errors.Is(err, io.EOF) {
		_, err = s.Recv()
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		return nil, statusIn(err)
	}
	near, far := net.Pipe()
	go func() {
		var bad error
		_ = each(far, func(b []byte) error { return s.Send(&rolev1.DialRequest{Step: &rolev1.DialRequest_Data{Data: b}}) }, &bad)
		_ = s.Send(&rolev1.DialRequest{Step: &rolev1.DialRequest_End{End: true}})
		_ = s.CloseSend()
	}()
	go func() {
		defer cancel()
		defer far.Close()
		for {
			m, err := s.Recv()
			if err != nil {
				return
			}
			if _, err := far.Write(m.GetData()); err != nil {
				return
			}
		}
	}()
	return &peer{Conn: near, addr: nodeAddr{network, addr}}, nil
}

type peer struct {
	net.Conn
	addr nodeAddr
}

func (p *peer) RemoteAddr() net.Addr { return p.addr }

type nodeAddr struct{ network, addr string }

func (a nodeAddr) Network() string { return a.network }
func (a nodeAddr) String() string  { return a.addr }

// Close does nothing: the daemon's connection is not the role's to close.
func (h *hands) Close() error { return nil }

func (h *hands) logf(format string, a ...any) {
	_, _ = h.Log(h.ctx, &rolev1.LogRequest{Line: fmt.Sprintf(format, a...)})
}

// hold has the daemon hold up those that write; the way back is not given up when the run is.
func (h *hands) hold(ctx context.Context) (release func(), err error) {
	_, err = h.Hold(ctx, &rolev1.HoldRequest{})
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), role.HoldLimit)
		defer cancel()
		_, _ = h.Release(ctx, &rolev1.ReleaseRequest{}) // else it ends by itself
	}, statusIn(err)
}

// artifacts is role.Artifacts in the role's process.
type artifacts struct{ *hands }

// Stat finds an artifact in the daemon's catalogue.
func (a artifacts) Stat(ctx context.Context, name string) (role.Artifact, error) {
	out, err := a.StatArtifact(ctx, &rolev1.StatArtifactRequest{Name: name})
	if err != nil {
		return role.Artifact{}, statusIn(err)
	}
	return artifactIn(out), nil
}

// Put has the daemon write an artifact on the node.
func (a artifacts) Put(ctx context.Context, name, path string, mode fs.FileMode) error {
	_, err := a.PutArtifact(ctx, &rolev1.PutArtifactRequest{Name: name, Path: path, Mode: uint32(mode), Place: a.place(false)})
	return statusIn(err)
}

var _ jig.Conn = (*hands)(nil)
