// Command live runs one shipped role, in this process, against one real node, as the daemon would: attribs from
// barclamp.yaml with their computed values, peers and walls from what it ran before. It does not know the engine, the
// plugin or the store: it is for trying a role while it is being written.
//
//	go run ./test/live -role etcd -node n1 -addr 198.18.0.11 -key KEYFILE -artifacts DIR
//
// What it made (authorities, leaves, walls, host keys, who is applied) is kept in -state, so that calls for several nodes
// and roles add up to a cluster.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/jigs/local"
	"github.com/kubeclamp/kubeclamp/jigs/noop"
	"github.com/kubeclamp/kubeclamp/jigs/ssh"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles"
)

type options struct {
	role, node, addr, key, user, jig, state, barclamp string
	attribs, peers, artifacts                         string
	port                                              int
	first, dry, check, remove, verbose                bool
	timeout                                           time.Duration
	extra                                             peerFlags
}

func flags() options {
	var o options
	flag.StringVar(&o.role, "role", "", "role to run (required); one of "+strings.Join(roles.Names(), " "))
	flag.StringVar(&o.node, "node", "", "short name of the node; empty means what `hostname -s` says there")
	flag.StringVar(&o.addr, "addr", "", "IP of the node (required with jig ssh)")
	flag.IntVar(&o.port, "port", 22, "ssh port")
	flag.StringVar(&o.user, "user", "root", "ssh user")
	flag.StringVar(&o.key, "key", "", "ssh private key file; empty means ssh-agent")
	flag.StringVar(&o.jig, "jig", "", "ssh, local or noop; empty means the role's own")
	flag.StringVar(&o.state, "state", ".cache/live", "folder for what the runs share")
	flag.StringVar(&o.barclamp, "barclamp", "barclamp.yaml", "the barclamp")
	flag.StringVar(&o.attribs, "attribs", "", "JSON file {\"attrib\": value} that overrides defaults, computed values and walls")
	flag.StringVar(&o.peers, "peers", "", "JSON file with a list of peers, in place of those known from -state")
	flag.Var(&o.extra, "peer", "one more peer, bound but not applied: role/node/address (may be repeated)")
	flag.StringVar(&o.artifacts, "artifacts", "", "folder of artifacts: component/file is DIR/component/file or DIR/file (images: also .tar)")
	flag.BoolVar(&o.first, "first", false, "be the founder; without it the first node of a role in -state is")
	flag.BoolVar(&o.dry, "dry-run", false, "say what would change")
	flag.BoolVar(&o.check, "check", false, "run Check instead of Apply")
	flag.BoolVar(&o.remove, "remove", false, "run Remove instead of Apply")
	flag.BoolVar(&o.verbose, "v", false, "print every Exec, Put and Get")
	flag.DurationVar(&o.timeout, "timeout", 0, "limit of the run; 0 means the role's")
	flag.Parse()
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, flags()); err != nil {
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	r, ok := roles.New(o.role)
	if !ok {
		return fmt.Errorf("no role %q in roles/roles.go; there are %s", o.role, strings.Join(roles.Names(), ", "))
	}
	st, err := openState(o.state)
	if err != nil {
		return err
	}
	defer st.close()
	c, err := loadCatalog(o.barclamp, o.role)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, o, c, st)
	if err != nil {
		return err
	}
	defer conn.Close()
	rec := &recorder{Conn: conn, verbose: o.verbose}
	if o.node == "" {
		if o.node, err = jig.Run(ctx, conn, jig.Cmd{Argv: []string{"hostname", "-s"}}); err != nil {
			return err
		}
		o.node = strings.TrimSpace(o.node)
	}
	target, err := buildTarget(ctx, o, c, st, rec)
	if err != nil {
		return err
	}
	if limit := o.limit(c); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return do(ctx, o, r, target, rec, st)
}

func (o options) limit(c *catalog) time.Duration {
	if o.timeout > 0 {
		return o.timeout
	}
	if t := time.Duration(c.role.Timeout); t > 0 {
		return t
	}
	return 30 * time.Minute
}

func dial(ctx context.Context, o options, c *catalog, st *state) (jig.Conn, error) {
	node := &crowbar.Node{ID: 1, Name: o.node, Address: o.addr, SSH: crowbar.SSH{Port: o.port, User: o.user, HostKey: st.HostKeys[o.addr]}}
	kind := o.jig
	if kind == "" {
		kind = c.role.Jig
	}
	switch kind {
	case "noop":
		return noop.New().Dial(ctx, node)
	case "local":
		return local.New().Dial(ctx, node)
	}
	if o.addr == "" {
		return nil, errors.New("-addr is needed")
	}
	cfg := ssh.Config{Record: func(_ context.Context, _ crowbar.ID, key string) error {
		st.HostKeys[o.addr] = key
		return st.save()
	}}
	if o.key != "" {
		cfg.KeyFiles = []string{o.key}
	} else {
		cfg.AgentSocket = os.Getenv("SSH_AUTH_SOCK")
	}
	return ssh.New(cfg).Dial(ctx, node)
}

func do(ctx context.Context, o options, r role.Role, on role.Target, rec *recorder, st *state) error {
	start := time.Now()
	var err error
	switch {
	case o.check:
		checker, ok := r.(role.Checker)
		if !ok {
			return fmt.Errorf("role %s has no Check", o.role)
		}
		var d role.Drift
		d, err = checker.Check(ctx, on)
		printChanges("drift", d.Changes)
	case o.remove:
		remover, ok := r.(role.Remover)
		if !ok {
			return fmt.Errorf("role %s has no Remove", o.role)
		}
		if err = remover.Remove(ctx, on); err == nil {
			err = st.forget(o.role, o.node)
		}
	default:
		var res role.Result
		res, err = r.Apply(ctx, on)
		printChanges("change", res.Changes)
		if len(res.Wall) > 0 {
			b, _ := json.MarshalIndent(res.Wall, "", "  ")
			fmt.Println("wall:", string(b))
		}
		if err == nil && !on.DryRun {
			err = errors.Join(roundTrip(res.Wall), st.applied(o.role, o.node, on, res.Wall))
		}
	}
	fmt.Printf("%s: %s in %s; %s\n", o.role, outcome(err), time.Since(start).Round(time.Millisecond), rec.sum())
	return err
}

func outcome(err error) string {
	if err != nil {
		return "FAILED"
	}
	return "ok"
}

func printChanges(word string, changes []role.Change) {
	if len(changes) == 0 {
		fmt.Printf("no %s\n", word)
	}
	for _, c := range changes {
		fmt.Println(word+":", c)
	}
}

// roundTrip is what the plugin's wire does with a wall.
func roundTrip(d crowbar.Data) error {
	if _, err := json.Marshal(d); err != nil {
		return fmt.Errorf("the wall is not JSON: %w", err)
	}
	return nil
}
