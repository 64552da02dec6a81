package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// labDeployment is the name of the deployment that 'lab up' makes.
const labDeployment = "lab"

// labCluster says which roles go where: the first nodes are masters with etcd, two nodes (one of them no master) serve the pool's
// name, and every node runs pods. The admin host is a node as well; its proxy is the nodes' one way out.
func labCluster(inv lab.Inventory, network netip.Prefix, masters int) crowbar.Cluster {
	c := crowbar.Cluster{Deployment: labDeployment, Attribs: map[string]any{
		"node-network": network.Masked().String(),
		// The nodes share this machine's disk: a share of it says nothing about a node.
		"k8s-minion-eviction": map[string]any{"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
	}}
	c.Nodes = append(c.Nodes, crowbar.ClusterNode{Name: "admin", Address: inv.Admin.String(), Admin: true, Jig: "local", Roles: []string{"proxy-server"}})
	for i, n := range inv.Nodes {
		cn := crowbar.ClusterNode{Name: n.Name, Address: n.Address.String(), SSH: crowbar.ClusterSSH{User: inv.User, HostKey: n.HostKey}}
		if i < masters {
			cn.Roles = append(cn.Roles, "etcd", "k8s-master")
		}
		if i == 1 || i == len(inv.Nodes)-1 {
			cn.Roles = append(cn.Roles, "dns-pool") // one beside a master, one not where there are workers
		}
		cn.Roles = append(cn.Roles, "k8s-minion")
		if i == 0 {
			cn.Roles = append(cn.Roles, "k8s-addons", "k8s-ready")
		}
		c.Nodes = append(c.Nodes, cn)
	}
	return c
}

// labConverge declares the lab's cluster, shows the plan, and watches.
func (a *app) labConverge(cmd *cobra.Command, c *client.Client, doc crowbar.Cluster, d labDaemon) error {
	start := time.Now()
	if err := writeDocument(d.document(), doc); err != nil {
		return err
	}
	plan, err := c.Plan(cmd.Context(), crowbar.PlanFor{Deployment: doc.Deployment, Document: &doc}, false)
	if err != nil {
		return err
	}
	if len(plan.Steps) > 0 {
		if err := a.printPlan(cmd, plan, false); err != nil {
			return err
		}
		b, err := json.Marshal(plan)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(d.dir, "plan.json"), b, 0o644); err != nil {
			return err
		}
		if err = c.Apply(cmd.Context(), doc, false); err != nil {
			return err
		}
	} else if err := c.Do(cmd.Context(), crowbar.KindDeployment, doc.Deployment, "rerun", nil); err != nil {
		return err
	}
	return a.await(cmd, c, doc.Deployment, start, 30*time.Minute)
}

func writeDocument(file string, doc crowbar.Cluster) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(printYAML(f, doc), f.Close())
}

// labClusterFlags say what cluster 'lab up' makes of its nodes.
type labClusterFlags struct {
	masters   int
	artifacts string
	attribs   []string
}

func (c *labClusterFlags) add(cmd *cobra.Command) {
	cmd.Flags().IntVar(&c.masters, "masters", 3, "how many of the nodes are masters with etcd: 1, 3 or 5")
	cmd.Flags().StringVar(&c.artifacts, "artifact-cache", defaultArtifacts(), "where 'kubeclampd artifacts' has put the binaries")
	cmd.Flags().StringArrayVar(&c.attribs, "set", nil, "ATTRIB=VALUE for the cluster, such as flannel-backend=udp")
}

func defaultArtifacts() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kubeclamp", "artifacts")
}

// labUp makes a cluster of the lab's nodes and proves it.
func (a *app) labUp(cmd *cobra.Command, l *lab.Lab, f *labClusterFlags) error {
	inv, err := l.Inventory()
	if err != nil {
		return err
	}
	if f.masters%2 == 0 || f.masters < 1 || f.masters > len(inv.Nodes) {
		return usage("--masters %d: an odd number (a majority of etcd members has to survive), at most the number of nodes, %d", f.masters, len(inv.Nodes))
	}
	if err := aloneWithProxy(l); err != nil {
		return err
	}
	doc := labCluster(inv, l.Network(), f.masters)
	for _, s := range f.attribs {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return usage("--set %q: say ATTRIB=VALUE", s)
		}
		doc.Attribs[name] = jsonOrText(value)
	}
	d := labDaemon{dir: l.Dir(), artifacts: f.artifacts, key: inv.Key, address: inv.Admin.String()}
	if err := d.remember(); err != nil {
		return err
	}
	c, err := d.start(cmd.Context())
	if err != nil {
		return err
	}
	if err := a.labConverge(cmd, c, doc, d); err != nil {
		return err
	}
	cmd.Printf("\nto look around: export KUBECLAMP_CONFIG=%s; kubeclamp status\n", d.admin())
	return labProof(cmd, l, c, doc)
}

// aloneWithProxy refuses while another lab has a cluster: each would set up the one proxy of this machine for its own nodes.
func aloneWithProxy(l *lab.Lab) error {
	others, err := l.Neighbours()
	if err != nil {
		return err
	}
	for _, dir := range others {
		if (labDaemon{dir: dir}).pid() != 0 {
			return crowbar.Errorf(crowbar.Conflict, "the lab in %s has a cluster, and this machine has one proxy for one cluster's nodes: take that down first (kubeclamp lab down --dir %s), or make nodes alone (--nodes-only)", dir, dir)
		}
	}
	return nil
}

// stopLabCluster ends what the cluster has on this machine outside the nodes: the daemon, and the proxy of the admin host.
func stopLabCluster(ctx context.Context, l *lab.Lab, say io.Writer) error {
	d, err := rememberedDaemon(l)
	if err != nil {
		return nil // there never was one
	}
	if err := removeLabProxy(ctx, d); err != nil {
		fmt.Fprintf(say, "the proxy of this machine may still run (%v); the rest is taken down\n", err)
	}
	if err := d.stop(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(d.data()), os.Remove(filepath.Join(d.dir, "daemon.json")), os.RemoveAll(d.pidFile()), os.RemoveAll(d.log()))
}

// removeLabProxy has the daemon take proxy-server off this machine. The lab's other nodes are about to be deleted whole.
func removeLabProxy(ctx context.Context, d labDaemon) error {
	c, err := d.start(ctx)
	if err != nil {
		return err
	}
	const key = "admin/proxy-server"
	if err := c.Destroy(ctx, crowbar.KindNodeRole, key, false); crowbar.KindOf(err) == crowbar.NotFound {
		return nil
	} else if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		var nr crowbar.NodeRole
		err := c.Show(limit, crowbar.KindNodeRole, key, &nr)
		switch {
		case crowbar.KindOf(err) == crowbar.NotFound:
			return nil
		case err != nil:
			return err
		case nr.State == crowbar.Error:
			return fmt.Errorf("take %s off this machine: %s", key, nr.Failure)
		}
		select {
		case <-limit.Done():
			return fmt.Errorf("waited a minute for %s to be taken off this machine: it is %s (%s)", key, nr.State, nr.Status)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// withDaemon gives a command its lab, and the daemon of the cluster in it.
func (f *labFlags) withDaemon(do func(*cobra.Command, *lab.Lab, labDaemon) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		l, _, err := f.open(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		d, err := rememberedDaemon(l)
		if err != nil {
			return err
		}
		return do(cmd, l, d)
	}
}

func (f *labFlags) daemonCommand() *cobra.Command {
	return &cobra.Command{Use: "daemon", Short: "Start the lab's kubeclampd again, if it does not run", Args: cobra.NoArgs,
		RunE: f.withDaemon(func(cmd *cobra.Command, _ *lab.Lab, d labDaemon) error {
			_, err := d.start(cmd.Context())
			return err
		})}
}

func (f *labFlags) proofCommand() *cobra.Command {
	return &cobra.Command{Use: "proof", Short: "Show that the lab's cluster is what it should be", Args: cobra.NoArgs,
		RunE: f.withDaemon(func(cmd *cobra.Command, l *lab.Lab, d labDaemon) error {
			c, err := d.client()
			if err != nil {
				return err
			}
			doc, err := readDocument(d.document(), nil)
			if err != nil {
				return err
			}
			return labProof(cmd, l, c, doc.cluster)
		})}
}

func labProof(cmd *cobra.Command, l *lab.Lab, c *client.Client, doc crowbar.Cluster) error {
	p := &proof{ctx: cmd.Context(), c: c, doc: doc, out: cmd.OutOrStdout(), run: func(ctx context.Context, node string, argv ...string) (string, error) {
		for i := range argv {
			argv[i] = "'" + strings.ReplaceAll(argv[i], "'", `'\''`) + "'" // ssh joins its words for the node's shell
		}
		line, err := l.SSH(node, argv...)
		if err != nil {
			return "", err
		}
		out, err := exec.CommandContext(ctx, line[0], line[1:]...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("on %s: %w: %s", node, err, strings.TrimSpace(string(exit.Stderr)))
		}
		return string(out), err
	}}
	return p.prove()
}
