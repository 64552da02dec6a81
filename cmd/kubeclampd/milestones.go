package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/jigs/script"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// milestones knows which roles have no code: those of jig noop for which there is no plugin, as the milestones of other
// products' barclamps. They go active as they are.
type milestones struct {
	coded  []string
	compat string // of the daemon: how scripts are run whose barclamp does not say it
}

// findMilestones asks the program of the shipped roles for its table, and looks into the plugin folder.
func findMilestones(ctx context.Context, program, compat string, host *plugin.Host) (*milestones, error) {
	m := &milestones{coded: host.Found(), compat: compat}
	if program == "" {
		return m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--names").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its roles: %w", program, err)
	}
	m.coded = append(m.coded, strings.Fields(string(out))...)
	return m, nil
}

// is says that a role is a milestone.
func (m *milestones) is(name, jig string) bool {
	return jig == "noop" && !slices.Contains(m.coded, name)
}

// role is the code of a role: its plugin's, none for a milestone, a folder of scripts where its jig says so.
func (m *milestones) role(ctx context.Context, s *crowbar.Snapshot, host *plugin.Host, name string) (role.Role, error) {
	switch r := s.RoleNamed(name); {
	case r != nil && m.is(name, r.Jig):
		return milestone(name), nil
	case r != nil && r.Jig == script.Name:
		return scripted(s, r, m.compat)
	}
	return host.Role(ctx, name)
}

// milestone is a role that does nothing: what matters is what comes before and after it.
type milestone string

// Describe names it.
func (m milestone) Describe() role.Info { return role.Info{Name: string(m), Version: "1"} }

// Apply changes nothing.
func (milestone) Apply(context.Context, role.Target) (role.Result, error) { return role.Result{}, nil }

// Remove leaves nothing behind.
func (milestone) Remove(context.Context, role.Target) error { return nil }
