package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/lab"
)

// labFlags say which lab a command means.
type labFlags struct {
	a                          *app
	dir, name, network, images string
}

func newLabCommand(a *app) *cobra.Command {
	f := &labFlags{a: a}
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "A cluster to try, with all its servers on this one machine",
		Long: `A cluster to try, with all its servers on this one machine, each with its own systemd, sshd, disk and network.

  kubeclamp lab prepare             install the Debian packages that the lab needs
  kubeclamp lab up --count 5        five nodes n1..n5, Debian 12 and 13 by turns, and a cluster on them
  kubeclamp lab proof               show again that it is one
  kubeclamp lab ssh n1              a shell on one
  kubeclamp lab fault freeze n2     make one hang
  kubeclamp lab down                nothing is left, but the images for the next time`,
		// The lab's own parts run as other processes, also inside nodes: nothing of a daemon's client may be set up for them.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
	}
	p := cmd.PersistentFlags()
	p.StringVar(&f.dir, "dir", ".lab", "folder of the lab: images, keys, disks, state")
	p.StringVar(&f.images, "image-cache", "", "folder of the node images (default: images in the lab's folder)")
	p.StringVar(&f.name, "name", "", "prefix of the lab's network namespaces, links and control groups (default "+lab.DefaultName+")")
	p.StringVar(&f.network, "network", "", "IPv4 network of the nodes (default "+lab.Network+")")
	cmd.AddCommand(f.upCommand(), f.downCommand(), f.statusCommand(), f.sshCommand(), f.faultCommand(), f.powerCommand(), f.healCommand(), f.reinstallCommand(), f.inventoryCommand(),
		f.checkCommand(), f.prepareCommand(), f.daemonCommand(), f.proofCommand(), labInsideCommand())
	return cmd
}

func labInsideCommand() *cobra.Command {
	return &cobra.Command{Use: "inside", Hidden: true, DisableFlagParsing: true, RunE: func(_ *cobra.Command, args []string) error { return lab.Inside(args) }}
}

// open gives the lab that the flags mean, and the end of its progress display.
func (f *labFlags) open(out io.Writer) (*lab.Lab, func(), error) {
	cfg := lab.Config{Dir: f.dir, Name: f.name, Images: f.images}
	if f.network != "" {
		p, err := netip.ParsePrefix(f.network)
		if err != nil {
			return nil, nil, crowbar.Errorf(crowbar.Invalid, "--network %s: %w", f.network, err)
		}
		cfg.Network = p
	}
	show := newLabProgress(out)
	cfg.Progress = show.tell
	l, err := lab.Open(cfg)
	return l, show.end, err
}

// labProgress shows the lab's steps: lines that stay, and on a terminal a last line that moves.
type labProgress struct {
	out   io.Writer
	live  bool
	mu    sync.Mutex
	moves map[string]lab.Progress
	said  map[string]time.Time
}

func newLabProgress(out io.Writer) *labProgress {
	file, ok := out.(*os.File)
	return &labProgress{out: out, live: ok && term.IsTerminal(int(file.Fd())), moves: map[string]lab.Progress{}, said: map[string]time.Time{}}
}

func (s *labProgress) tell(p lab.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Done < 0 {
		delete(s.moves, p.Subject)
		s.clear()
		fmt.Fprintf(s.out, "%s: %s\n", p.Subject, p.Text)
		return
	}
	s.moves[p.Subject] = p
	if !s.live {
		if time.Since(s.said[p.Subject]) > 10*time.Second { // a log wants a line now and then
			s.said[p.Subject] = time.Now()
			fmt.Fprintln(s.out, labMove(p))
		}
		return
	}
	s.clear()
	var parts []string
	for _, m := range s.moves {
		parts = append(parts, labMove(m))
	}
	fmt.Fprint(s.out, strings.Join(parts, "   "))
}

func labMove(p lab.Progress) string {
	if p.ETA == 0 {
		return fmt.Sprintf("%s: takes longer than usual: %.40s", p.Subject, p.Text)
	}
	return fmt.Sprintf("%s: %3.0f %%, about %s to go: %.40s", p.Subject, p.Done*100, p.ETA.Round(time.Second), p.Text)
}

func (s *labProgress) clear() {
	if s.live {
		fmt.Fprint(s.out, "\r\x1b[K")
	}
}

func (s *labProgress) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

// labSpecs makes the wanted nodes of flags: --count, or NAME[:SUITE] each.
func labSpecs(count int, names []string, suites []string, memory, disk string) ([]lab.NodeSpec, error) {
	if len(names) == 0 {
		for i := range count {
			names = append(names, fmt.Sprintf("n%d:%s", i+1, suites[i%len(suites)]))
		}
	}
	mem, err := labSize("--memory", memory)
	if err != nil {
		return nil, err
	}
	size, err := labSize("--disk", disk)
	if err != nil {
		return nil, err
	}
	var out []lab.NodeSpec
	for _, n := range names {
		name, suite, _ := strings.Cut(n, ":")
		out = append(out, lab.NodeSpec{Name: name, Suite: suite, Memory: mem, Disk: size})
	}
	return out, nil
}

// labSize reads 512M or 8G.
func labSize(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	unit := map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[s[len(s)-1]]
	n, err := strconv.ParseInt(s[:len(s)-1], 10, 64)
	if unit == 0 || err != nil || n <= 0 {
		return 0, crowbar.Errorf(crowbar.Invalid, "%s %q: give a size such as 512M or 8G", flag, s)
	}
	return n * unit, nil
}

func (f *labFlags) upCommand() *cobra.Command {
	var count int
	var suites []string
	var memory, disk string
	var nodesOnly bool
	c := &labClusterFlags{}
	cmd := &cobra.Command{
		Use:   "up [NAME[:SUITE]...]",
		Short: "Make nodes, converge a cluster on them, and prove it; what is there already stays as it is",
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := labSpecs(count, args, suites, memory, disk)
			if err != nil {
				return err
			}
			l, end, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			err = l.Up(cmd.Context(), want...)
			end()
			if err != nil || nodesOnly {
				return err
			}
			return f.a.labUp(cmd, l, c)
		},
	}
	cmd.Flags().IntVar(&count, "count", 5, "how many nodes, where no names are given")
	cmd.Flags().StringSliceVar(&suites, "suites", lab.Suites(), "Debian releases of unnamed nodes, by turns")
	cmd.Flags().StringVar(&memory, "memory", "", "memory of each new node, such as 2G (default: no limit)")
	cmd.Flags().StringVar(&disk, "disk", "", "size of each new node's own disk, such as 8G (default: a folder on this machine's disk)")
	cmd.Flags().BoolVar(&nodesOnly, "nodes-only", false, "only make the nodes; no cluster")
	c.add(cmd)
	return cmd
}

func (f *labFlags) downCommand() *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use: "down", Short: "End all nodes and remove all that the lab made, also after a crash; images stay", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, end, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer end()
			if err := stopLabCluster(cmd.Context(), l, cmd.ErrOrStderr()); err != nil {
				return err
			}
			return l.Down(cmd.Context(), purge)
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove images and keys as well")
	return cmd
}

func (f *labFlags) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the nodes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			all, err := l.Status(cmd.Context())
			if err != nil {
				return err
			}
			if o := cmd.Flags().Lookup("output"); o != nil && o.Value.String() == "json" {
				return writeLabJSON(cmd.OutOrStdout(), all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tSUITE\tADDRESS\tSTATE\tUP\tMEMORY\tPROCESSES\tPID\tBOOTS\tENDED\tFAULTS")
			for _, n := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d MiB\t%d\t%d\t%d\t%s\t%s\n", n.Name, n.Suite, n.Address, n.State, n.Up, n.Memory>>20, n.Processes, n.PID, n.Boots, n.Ended, strings.Join(n.Faults, ", "))
			}
			return w.Flush()
		},
	}
}

func writeLabJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (f *labFlags) sshCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh NODE [COMMAND...]", Short: "Open a shell on a node, or run a command there", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			argv, err := l.SSH(args[0], args[1:]...)
			if err != nil {
				return err
			}
			program, err := exec.LookPath(argv[0])
			if err != nil {
				return err
			}
			return syscall.Exec(program, argv, os.Environ())
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the node is the command's own
	return cmd
}

func (f *labFlags) faultCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "fault KIND NODE [PEER|RATE]",
		Short: "Break a node: kill freeze thaw drop link link-up slow disk-full clock heal",
		Long: `Break a node:

  kill NODE            the node dies at once
  freeze NODE          everything on it stops, ping answers; thaw ends it
  drop NODE [PEER]     no packet passes between it and PEER (a node, 'admin' for this machine, default everybody)
  link NODE            the cable is out; link-up ends it (link-down is the same)
  slow NODE RATE       the link carries at most RATE, such as 10mbit
  disk-full NODE       its disk is full (lab up --disk)
  clock NODE           says why a node cannot have a clock of its own
  heal NODE            undoes all of these but kill; 'lab heal' does so for all nodes, and boots those that are off`,
		Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			want := lab.Fault{Kind: args[0], Node: args[1]}
			if len(args) == 3 {
				want.Peer, want.Rate = args[2], args[2]
			}
			return l.Fault(cmd.Context(), want)
		},
	}
}

func (f *labFlags) powerCommand() *cobra.Command {
	return &cobra.Command{
		Use: "power on|off|cycle|soft|reset NODE...", Short: "Switch nodes; off pulls the plug, soft asks the node to shut down", Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return l.Power(cmd.Context(), args[0], args[1:]...)
		},
	}
}

func (f *labFlags) healCommand() *cobra.Command {
	return &cobra.Command{
		Use: "heal [NODE...]", Short: "Undo every fault of nodes, of all where none is named, and boot those that are off",
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return l.Heal(cmd.Context(), args...)
		},
	}
}

func (f *labFlags) reinstallCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reinstall NODE...", Short: "Make nodes as new: all that was on their disks is gone", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return l.Reinstall(cmd.Context(), args...)
		},
	}
}

func (f *labFlags) inventoryCommand() *cobra.Command {
	return &cobra.Command{
		Use: "inventory", Short: "Print the nodes as a cluster file's nodes section, with pinned host keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			inv, err := l.Inventory()
			if err != nil {
				return err
			}
			if o := cmd.Flags().Lookup("output"); o != nil && o.Value.String() == "json" {
				return writeLabJSON(cmd.OutOrStdout(), inv)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), inv.YAML())
			return err
		},
	}
}

func (f *labFlags) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Say what this machine lacks for a lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return l.Check(cmd.Context())
		},
	}
}

func (f *labFlags) prepareCommand() *cobra.Command {
	return &cobra.Command{
		Use: "prepare", Short: "Install the Debian packages that the lab needs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, _, err := f.open(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return l.Prepare(cmd.Context(), cmd.ErrOrStderr())
		},
	}
}
