// Command kubeclamp drives a kubeclamp daemon: it declares clusters, assigns roles to nodes, and watches them converge.
// It does not know how anything is done; all it knows comes over the API.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Exit codes; each has a test.
const (
	exitDone        = 0
	exitFailed      = 1
	exitDifferences = 2 // drift; plan --detailed-exitcode: there is something to do
	exitInvalid     = 3
	exitNotFound    = 4 // or conflict
	exitTimeout     = 5
	exitInError     = 6 // it came to rest with node-roles in error
	exitInterrupted = 130
)

// exitError ends the program with a code.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	began := false
	watchBegin(root, &began)
	err := root.ExecuteContext(ctx)
	if err != nil && !began && crowbar.KindOf(err) == crowbar.Internal {
		err = crowbar.Errorf(crowbar.Invalid, "%w; see: %s --help", err, root.Name()) // arguments and flags, as cobra sees them
	}
	if err != nil {
		fmt.Fprintln(errs, "kubeclamp:", err)
	}
	return codeOf(ctx, err)
}

// watchBegin notes whether a command came to run at all, and refuses a form of output that no command has.
func watchBegin(cmd *cobra.Command, began *bool) {
	if cmd.HasParent() && cmd.HasSubCommands() && cmd.RunE == nil { // a noun alone gets help, with a wrong verb an error
		cmd.Args, cmd.RunE = cobra.NoArgs, func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if do := cmd.RunE; do != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			if f := cmd.Flag("output"); f != nil && f == cmd.Root().PersistentFlags().Lookup("output") && !slices.Contains(formsOf(cmd), f.Value.String()) && (f.Changed || len(cmd.Annotations[forms]) == 0) {
				return usage("output %q: there are %s", f.Value, strings.Join(formsOf(cmd), ", "))
			}
			return do(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		watchBegin(c, began)
	}
}

func codeOf(ctx context.Context, err error) int {
	var e *exitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &e):
		return e.code
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	switch crowbar.KindOf(err) {
	case crowbar.Invalid:
		return exitInvalid
	case crowbar.NotFound, crowbar.Conflict:
		return exitNotFound
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "kubeclamp",
		Short:         "From racked servers to a highly available Kubernetes cluster, and keeping it one",
		SilenceUsage:  true,
		SilenceErrors: true,
		Long: `kubeclamp drives a kubeclampd daemon.

  kubeclamp init                     write a first cluster.yaml, to fill in
  kubeclamp plan -f cluster.yaml     what would be done, where, how long
  kubeclamp apply -f cluster.yaml    declare a cluster and converge it
  kubeclamp drift                    what was changed by hand since
  kubeclamp status                   what every role on every node does now
  kubeclamp why n2/k8s-minion        why something waits
  kubeclamp doctor                   what is wrong, and what to do about it
  kubeclamp kubeconfig               the administrator's kubeconfig
  kubeclamp lab up                   a whole cluster on this one machine, to try it

Exit codes: 0 done, 1 failed, 2 there are differences (drift, plan --detailed-exitcode), 3 not valid, 4 not found or conflict,
5 the wait ran out, 6 came to rest with node-roles in error, 130 interrupted.`,
	}
	a := &app{}
	f := root.PersistentFlags()
	f.StringVar(&a.config, "config", "", "file with endpoint, token and ca (default $KUBECLAMP_CONFIG, then kubeclamp/config.yaml in the user's and the system's configuration folders)")
	f.StringVar(&a.endpoint, "endpoint", "", "address of the daemon, https://host:port ($KUBECLAMP_ENDPOINT)")
	f.StringVar(&a.key, "key", "", "sign in as USER:PASSWORD, or @FILE with that in it, by HTTP digest: to an OpenCrowbar or Digital Rebar server ($CROWBAR_KEY or $REBAR_KEY, with $CROWBAR_ENDPOINT or $REBAR_ENDPOINT)")
	f.StringVarP(&a.output, "output", "o", "table", "table, json, yaml or name")
	f.StringVarP(&a.deployment, "deployment", "d", "", "deployment (default: the only one there is)")
	_ = root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return formsOf(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	_ = root.RegisterFlagCompletionFunc("deployment", a.completeNames(crowbar.KindDeployment))
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return crowbar.Errorf(crowbar.Invalid, "%w", err) })
	root.AddCommand(a.addShared(a.nodesCommand()), a.daemonsCommand(), a.addShared(a.deploymentsCommand()), a.addShared(a.nodeRolesCommand()),
		a.bindCommand(), a.unbindCommand(), a.setCommand(), a.unsetCommand(), a.explainCommand(), a.secretsCommand(), a.certsCommand(), a.stateCommand(), a.commitCommand(), a.convergeCommand(), a.planCommand(), a.applyCommand(), a.upgradeCommand(), a.driftCommand(),
		initCommand(), a.exportCommand(), a.wholeDestroyCommand(), a.graphCommand(), a.waitCommand(), a.doctorCommand(), manCommand(),
		a.statusCommand(), a.eventsCommand(), a.logsCommand(), a.whyCommand(), a.kubeconfigCommand(), a.reportCommand(), a.pingCommand(), a.takeOverCommand(), a.versionCommand(), newLabCommand(a))
	root.AddCommand(a.nounCommands()...)
	root.AddCommand(a.auditCommand(), a.backupCommand(), a.restoreCommand(), a.etcdCommand())
	addExits(root)
	return root
}

// versionCommand says what was built; the version is the module's, which the go command works out from the checkout.
func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version of this program", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		info, ok := debug.ReadBuildInfo()
		if !ok {
			return errors.New("this program was built without build information: build it with 'make build'")
		}
		platform := runtime.GOOS + "/" + runtime.GOARCH
		return a.print(cmd.OutOrStdout(), map[string]string{"version": info.Main.Version, "go": info.GoVersion, "platform": platform}, "",
			[][]string{{"kubeclamp " + info.Main.Version + ", " + info.GoVersion + ", " + platform}})
	}}
}
