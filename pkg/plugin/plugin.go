// Package plugin carries role.Role over a process border, both ends: Serve is what a role's program calls, Host starts
// those programs, watches them, and gives each role as if it were in this process. It does not know what any role does,
// who asks for it, or how a node is reached.
package plugin

import (
	"context"
	"errors"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// handshake tells a role's program that a daemon started it. The cookie never changes; it is no secret.
var handshake = goplugin.HandshakeConfig{
	MagicCookieKey:   "KUBECLAMP_ROLE_COOKIE",
	MagicCookieValue: "9b7c4e1d2f6a4c0e8d5b3a1907e6f2c8a4d0b6e39f1c7a52",
}

// The versions of the protocol. A new one is served beside the one before it.
const protocolV1 = 1

// roleName is the one name in the plugin set: a process serves one role.
const roleName = "role"

// frame is how many bytes of a stream go in one message.
const frame = 128 << 10

func plugins(p goplugin.Plugin) map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{protocolV1: {roleName: p}}
}

// theirEnd registers the role in its own process; ourEnd is the client of it.
type theirEnd struct {
	goplugin.NetRPCUnsupportedPlugin
	make func(*goplugin.GRPCBroker) rolev1.RoleServiceServer
}

// GRPCServer is called in the role's process.
func (p theirEnd) GRPCServer(b *goplugin.GRPCBroker, s *grpc.Server) error {
	rolev1.RegisterRoleServiceServer(s, p.make(b))
	return nil
}

// GRPCClient is not called in the role's process.
func (theirEnd) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("not a host")
}

type ourEnd struct {
	goplugin.NetRPCUnsupportedPlugin
}

// wire is what Dispense gives: the role's client, and the broker for its hands.
type wire struct {
	rolev1.RoleServiceClient
	broker *goplugin.GRPCBroker
}

// GRPCServer is not called in the daemon.
func (ourEnd) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("not a role")
}

// GRPCClient is called in the daemon.
func (ourEnd) GRPCClient(_ context.Context, b *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return wire{rolev1.NewRoleServiceClient(c), b}, nil
}
