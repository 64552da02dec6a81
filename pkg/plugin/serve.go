package plugin

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// Started says whether this process was started by a daemon, and not by a person.
func Started() bool { return os.Getenv(handshake.MagicCookieKey) == handshake.MagicCookieValue }

// NoSuchRole is the exit code of a program that serves several roles and was asked for another one.
const NoSuchRole = 64

// Serve serves one role until the daemon that started this process ends it or is gone. It does not return.
func Serve(r role.Role) {
	if !Started() {
		fmt.Fprintf(os.Stderr, "This program is the role %q of kubeclamp. It is started by kubeclampd, which gives it nodes to work on;\n"+
			"there is nothing to do with it by hand. Put it (or a link to it) in the daemon's --plugin-dir, or see `kubeclamp help`.\n", r.Describe().Name)
		os.Exit(2)
	}
	go exitWithParent(os.Getppid())
	serve(r)
	os.Exit(0)
}

// serve returns when the daemon has hung up.
func serve(r role.Role) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: plugins(theirEnd{make: func(b *goplugin.GRPCBroker) rolev1.RoleServiceServer { return &server{role: r, broker: b} }}),
		GRPCServer:       func(o []grpc.ServerOption) *grpc.Server { return grpc.NewServer(append(o, serverLimits()...)...) },
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	})
}

// exitWithParent is the second line: the kernel's death signal is the first.
func exitWithParent(parent int) {
	for os.Getppid() == parent {
		time.Sleep(500 * time.Millisecond)
	}
	os.Exit(1)
}

func serverLimits() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(64 << 20), grpc.MaxSendMsgSize(64 << 20), grpc.InitialWindowSize(1 << 20), grpc.InitialConnWindowSize(8 << 20)}
}

// maxAnswer is how much a role may answer with: what it did and its wall, which is far more than the state could keep.
const maxAnswer = 16 << 20

func clientLimits() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(64<<20)),
		grpc.WithInitialWindowSize(1 << 20), grpc.WithInitialConnWindowSize(8 << 20), grpc.WithIdleTimeout(0)}
}

// server is the role as the daemon sees it.
type server struct {
	rolev1.UnimplementedRoleServiceServer
	role   role.Role
	broker *goplugin.GRPCBroker
}

// Describe says what the role is and can do.
func (s *server) Describe(context.Context, *rolev1.DescribeRequest) (*rolev1.DescribeResponse, error) {
	return infoOut(s.role), nil
}

// Apply runs the role on one node.
func (s *server) Apply(ctx context.Context, in *rolev1.ApplyRequest) (*rolev1.ApplyResponse, error) {
	on, done, err := s.target(ctx, in.GetTarget())
	if err != nil {
		return nil, statusOut(err)
	}
	defer done()
	return applyOut(s.role.Apply(ctx, on)), nil
}

// Check looks for drift on one node.
func (s *server) Check(ctx context.Context, in *rolev1.CheckRequest) (*rolev1.CheckResponse, error) {
	c, ok := s.role.(role.Checker)
	if !ok {
		return nil, statusOut(crowbar.Errorf(crowbar.Invalid, "role %s has no Check", s.role.Describe().Name))
	}
	on, done, err := s.target(ctx, in.GetTarget())
	if err != nil {
		return nil, statusOut(err)
	}
	defer done()
	return checkOut(c.Check(ctx, on)), nil
}

// Remove takes the role off one node.
func (s *server) Remove(ctx context.Context, in *rolev1.RemoveRequest) (*rolev1.RemoveResponse, error) {
	r, ok := s.role.(role.Remover)
	if !ok {
		return nil, statusOut(crowbar.Errorf(crowbar.Invalid, "role %s has no Remove", s.role.Describe().Name))
	}
	on, done, err := s.target(ctx, in.GetTarget())
	if err != nil {
		return nil, statusOut(err)
	}
	defer done()
	return &rolev1.RemoveResponse{Trouble: troubleOut(r.Remove(ctx, on))}, nil
}

// Act has the role do one action on one node.
func (s *server) Act(in *rolev1.ActRequest, to rolev1.RoleService_ActServer) error {
	a, ok := s.role.(role.Actor)
	if !ok || !slices.Contains(s.role.Describe().Actions, in.GetAction()) {
		return statusOut(crowbar.Errorf(crowbar.Invalid, "role %s has no action %q", s.role.Describe().Name, in.GetAction()))
	}
	do, err := actIn(in, sender(func(b []byte) error { return to.Send(actPiece(b)) }))
	if err != nil {
		return statusOut(crowbar.Errorf(crowbar.Invalid, "arguments of action %s: %w", in.GetAction(), err))
	}
	on, done, err := s.target(to.Context(), in.GetTarget())
	if err != nil {
		return statusOut(err)
	}
	defer done()
	return to.Send(actEnd(a.Act(to.Context(), on, do)))
}

// target connects to the hands that the daemon lends for this run.
func (s *server) target(ctx context.Context, t *rolev1.Target) (role.Target, func(), error) {
	on, err := targetIn(t)
	if err != nil {
		return on, nil, crowbar.Errorf(crowbar.Invalid, "target: %w", err)
	}
	c, err := s.broker.DialWithOptions(t.GetHands(), clientLimits()...)
	if err != nil {
		return on, nil, crowbar.Errorf(crowbar.Unavailable, "connect to the daemon's hands: %w", err)
	}
	h := &hands{HandsServiceClient: rolev1.NewHandsServiceClient(c), ctx: ctx, dry: on.DryRun}
	meet, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := h.Hello(meet, &rolev1.HelloRequest{}, grpc.WaitForReady(true)); err != nil {
		c.Close()
		return on, nil, crowbar.Errorf(crowbar.Unavailable, "connect to the daemon's hands: %w", err)
	}
	on.Conn, on.Artifacts, on.Log = h, artifacts{h}, h.logf
	if t.GetHolds() {
		on.Hold = h.hold
	}
	return on, func() { c.Close() }, nil
}
