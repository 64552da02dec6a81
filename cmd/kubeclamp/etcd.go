package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// etcdMember is what a node says of its member of etcd.
type etcdMember struct {
	Node     string `json:"node"`
	Running  bool   `json:"running"`
	Quorum   bool   `json:"quorum"`
	Data     bool   `json:"data"` // there is some on its disk
	Version  string `json:"version,omitempty"`
	Revision int64  `json:"revision,omitempty"`
	Index    uint64 `json:"index,omitempty"` // of what it has written down
	Term     uint64 `json:"term,omitempty"`
	Dark     bool   `json:"dark,omitempty"` // the node itself does not answer
	Error    string `json:"error,omitempty"`
}

func (m etcdMember) role() string { return m.Node + "/etcd" }

func (a *app) etcdCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "etcd", Short: "The cluster's etcd: status, recover"}
	cmd.AddCommand(&cobra.Command{Use: "status", Short: "What each member says of itself, also where there is no quorum", Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, deployment string, _ []string) error {
			all, err := etcdMembers(cmd.Context(), c, deployment)
			if err != nil {
				return err
			}
			return a.printMembers(cmd, all)
		})}, a.recoverCommand())
	return cmd
}

// etcdMembers asks all members at once.
func etcdMembers(ctx context.Context, c *client.Client, deployment string) ([]etcdMember, error) {
	s, err := c.Status(ctx, deployment, 0)
	if err != nil {
		return nil, err
	}
	var all []etcdMember
	for _, nr := range s.NodeRoles {
		if nr.Role == "etcd" && nr.RunCount > 0 && !nr.Removing {
			all = append(all, etcdMember{Node: nr.Node})
		}
	}
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			d, err := c.Act(ctx, all[i].role(), "look", nil)
			if err != nil {
				all[i].Dark, all[i].Error = true, err.Error()
				return
			}
			all[i].read(d)
		})
	}
	wg.Wait()
	slices.SortFunc(all, func(x, y etcdMember) int { return cmp.Compare(x.Node, y.Node) })
	return all, ctx.Err()
}

func (m *etcdMember) read(d crowbar.Data) {
	number := func(key string) float64 { n, _ := d[key].(float64); return n }
	m.Running, _ = d["running"].(bool)
	m.Quorum, _ = d["quorum"].(bool)
	m.Data, _ = d["data"].(bool)
	m.Version, _ = d["version"].(string)
	m.Error, _ = d["error"].(string)
	m.Revision, m.Index, m.Term = int64(number("revision")), uint64(number("index")), uint64(number("term"))
}

func (a *app) printMembers(cmd *cobra.Command, all []etcdMember) error {
	rows := make([][]string, 0, len(all))
	for _, m := range all {
		is := "no data"
		switch {
		case m.Dark:
			is = "the node does not answer"
		case m.Quorum:
			is = "serves"
		case m.Running:
			is = "runs without a quorum"
		case m.Data:
			is = "does not run, has data"
		}
		rev := "-"
		if m.Running {
			rev = strconv.FormatInt(m.Revision, 10)
		}
		rows = append(rows, []string{m.Node, is, rev, cmp.Or(m.Version, "-"), cmp.Or(oneLine(m.Error), "-")})
	}
	return a.print(cmd.OutOrStdout(), all, "NODE\tETCD\tREVISION\tVERSION\tSAYS", rows)
}

func oneLine(text string) string {
	for i, r := range text {
		if r == '\n' {
			return text[:i]
		}
	}
	return text
}

// survivor is the member to go on from: the one that has written down most; of those that do not run nobody knows how much they
// have, so that they come after.
func survivor(all []etcdMember, named string) (etcdMember, error) {
	var best etcdMember
	for _, m := range all {
		switch {
		case named != "" && m.Node != named, m.Dark, !m.Running && !m.Data:
			continue
		case best.Node == "", m.Running && !best.Running:
			best = m
		case m.Running == best.Running && (m.Term > best.Term || m.Term == best.Term && m.Index > best.Index):
			best = m
		}
	}
	if best.Node != "" {
		return best, nil
	}
	if named != "" {
		return best, crowbar.Errorf(crowbar.Conflict, "the etcd on %s has nothing to go on from: see 'kubeclamp etcd status'", named)
	}
	return best, crowbar.Errorf(crowbar.Conflict, "no member of etcd that can be reached has anything left: use 'kubeclamp restore BACKUP' with the newest of 'kubeclamp backup list'")
}

func (a *app) recoverCommand() *cobra.Command {
	var yes, dry bool
	var from string
	var limit time.Duration
	cmd := &cobra.Command{Use: "recover", Short: "Bring etcd back where most of its members are lost, from one that is left",
		Long: `Bring etcd back where most of its members are lost, from one that is left: that one becomes the only member of its cluster, with
all that it has, and the others join it again as new ones. What is done is shown first, and asked for.

Nothing is done where etcd still has a quorum: there a lost member comes back by 'kubeclamp nodes redeploy NODE', or is given up
by 'kubeclamp nodes forget NODE'. Where no member has anything left, 'kubeclamp restore BACKUP' brings a backup back.

Cut off anywhere, the same command goes on. Data that is replaced stays beside on its node, in member.aside-TIME in etcd's data
folder, until somebody removes it.`, Args: cobra.NoArgs,
		RunE: a.with(func(cmd *cobra.Command, c *client.Client, deployment string, _ []string) error {
			return a.recoverEtcd(cmd, c, deployment, from, yes, dry, limit)
		})}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "node whose member is to be gone on from (default: the one that has most)")
	f.BoolVarP(&yes, "yes", "y", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "only show what would be done")
	f.DurationVar(&limit, "timeout", 15*time.Minute, "how long to wait for the end")
	return cmd
}

func (a *app) recoverEtcd(cmd *cobra.Command, c *client.Client, deployment, from string, yes, dry bool, limit time.Duration) error {
	began := time.Now()
	all, err := etcdMembers(cmd.Context(), c, deployment)
	if err != nil {
		return err
	}
	s, err := c.Status(cmd.Context(), deployment, 0)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(m etcdMember) bool { return m.Quorum }) {
		if !s.Paused {
			cmd.PrintErrln("etcd has a quorum: there is nothing to recover; 'kubeclamp etcd status' shows its members")
			return nil
		}
		cmd.PrintErrln("etcd has a quorum, and its deployment is paused: the rest of a recovery is done")
		return a.rejoin(cmd, c, deployment, all, began, limit)
	}
	seed, err := survivor(all, from)
	if err != nil {
		return err
	}
	if err := a.printMembers(cmd, all); err != nil {
		return err
	}
	printRecovery(cmd, deployment, seed, all)
	if dry {
		return nil
	}
	if !yes {
		if err := confirm(cmd, deployment, "recover"); err != nil {
			return err
		}
	}
	if err := halted(cmd, c, deployment, all, seed.Node); err != nil {
		return err
	}
	if _, err := c.Act(cmd.Context(), seed.role(), "revive", nil); err != nil {
		return err
	}
	cmd.PrintErrf("etcd on %s serves, with all that it had\n", seed.Node)
	return a.rejoin(cmd, c, deployment, all, began, limit)
}

func printRecovery(cmd *cobra.Command, deployment string, seed etcdMember, all []etcdMember) {
	cmd.Printf("\nwhat will be done:\n  pause deployment %s\n", deployment)
	for _, m := range all {
		switch {
		case m.Node == seed.Node:
		case m.Dark:
			cmd.Printf("  nothing on %s, which does not answer: it counts as not alive; keep it off until it can be reached again\n", m.Node)
		default:
			cmd.Printf("  stop etcd on %s; its data stays beside\n", m.Node)
		}
	}
	known := ""
	if seed.Running {
		known = fmt.Sprintf(", revision %d", seed.Revision)
	}
	cmd.Printf("  begin a cluster of one member with the data on %s%s; a copy of it stays beside\n", seed.Node, known)
	cmd.Printf("  resume deployment %s: the others join as new members, one after the other\n\n", deployment)
}

// halted pauses the deployment, waits until nothing runs in it, and has all members but one take part in nothing any more.
// Nodes that do not answer count as not alive from then on.
func halted(cmd *cobra.Command, c *client.Client, deployment string, all []etcdMember, but string) error {
	ctx := cmd.Context()
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "pause", nil); err != nil {
		return err
	}
	busy := func(s crowbar.Status) bool {
		return slices.ContainsFunc(s.NodeRoles, func(nr crowbar.NodeRoleStatus) bool { return nr.State == crowbar.Transition })
	}
	if _, err := follow(ctx, c, deployment, func(crowbar.Status) {}, func(s crowbar.Status) bool { return !busy(s) }); err != nil {
		return err
	}
	for _, m := range all {
		if m.Node == but {
			continue
		}
		if m.Dark {
			if err := c.Update(ctx, crowbar.KindNode, m.Node, map[string]bool{"alive": false}, nil); err != nil {
				return err
			}
			continue
		}
		if _, err := c.Act(ctx, m.role(), "halt", nil); err != nil {
			return err
		}
		cmd.PrintErrf("etcd on %s is stopped, its data is beside\n", m.Node)
	}
	return nil
}

// rejoin lets the deployment go on, in which the members that were lost join again.
func (a *app) rejoin(cmd *cobra.Command, c *client.Client, deployment string, all []etcdMember, began time.Time, limit time.Duration) error {
	ctx := cmd.Context()
	s, err := c.Status(ctx, deployment, 0)
	if err != nil {
		return err
	}
	for _, nr := range s.NodeRoles {
		if nr.State != crowbar.Error || !slices.ContainsFunc(all, func(m etcdMember) bool { return m.Node == nr.Node }) {
			continue
		}
		if err := c.Do(ctx, crowbar.KindNodeRole, nr.Node+"/"+nr.Role, "retry", nil); err != nil && crowbar.KindOf(err) != crowbar.Conflict {
			return err
		}
	}
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "resume", nil); err != nil {
		return err
	}
	if err := c.Do(ctx, crowbar.KindDeployment, deployment, "rerun", nil); err != nil {
		return err
	}
	var dark []string
	for _, m := range all {
		if m.Dark {
			dark = append(dark, m.Node)
		}
	}
	if len(dark) > 0 { // what waits for them does not come to an end
		cmd.PrintErrf("etcd serves without %s, which did not answer: when it does, 'kubeclamp nodes update NODE --alive' lets it join again; if it never will, 'kubeclamp nodes forget NODE'\n", strings.Join(dark, ", "))
		return nil
	}
	return a.await(cmd, c, deployment, began, limit)
}
