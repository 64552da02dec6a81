// Package k8sconfig checks the names, addresses and networks that several roles share, before any node is touched. It does
// not know what uses them.
package k8sconfig

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Role is k8s-config.
type Role struct{}

// New makes the role.
func New() role.Role { return Role{} }

// Describe names the role and what it reads.
func (Role) Describe() role.Info {
	return role.Info{Name: "k8s-config", Version: "1.0", Wants: []string{
		"kubernetes-cluster-name", "kubernetes-pool-name", "kubernetes-api-port", "kubernetes-pod-cidr",
		"kubernetes-service-cidr", "kubernetes-service-ip", "kubernetes-dns-ip", "kubernetes-cluster-domain"}}
}

// Apply checks the attribs and names every rule that one breaks. It touches no node.
func (Role) Apply(_ context.Context, on role.Target) (role.Result, error) {
	var c config
	if err := role.Decode(on.Attribs, &c); err != nil {
		return role.Result{}, err
	}
	if err := c.check(); err != nil {
		return role.Result{}, err
	}
	on.Logf("pods %s, services %s, API servers %s:%d", c.Pods, c.Services, c.Pool, c.Port)
	return role.Result{}, nil
}

// Remove has nothing to take off.
func (Role) Remove(context.Context, role.Target) error { return nil }
