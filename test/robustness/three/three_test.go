//go:build robustness

package three

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/store"
)

const lease = 5 * time.Second // of a daemon's registration

var many = flag.Int("nodes", 500, "how many simulated nodes")

// world is all of it, and an eye on the state that takes no part.
type world struct {
	t       *testing.T
	etcd    *cluster
	daemons []*daemon
	nodes   *nodes
	eye     *store.Store
	client  *clientv3.Client
	worst   map[string]time.Duration
	acked   []string // names of nodes that a daemon said it has made
	gen     int      // the generation that was last said to be set
}

// TestThreeDaemons: kill -9, SIGSTOP and cutting off of each daemon and of an etcd member while the deployment is at work.
func TestThreeDaemons(t *testing.T) {
	w := build(t)
	faults := []struct {
		name  string
		owner int // of the runs that must be taken over; -1 = nobody's
		do    func()
		undo  func()
	}{}
	add := func(name string, owner int, do, undo func()) {
		faults = append(faults, struct {
			name  string
			owner int
			do    func()
			undo  func()
		}{name, owner, do, undo})
	}
	for i, d := range w.daemons {
		add("kill -9 of "+d.name, i, d.kill, d.start)
		add("SIGSTOP of "+d.name, i, func() { d.signal(syscall.SIGSTOP) }, func() { d.signal(syscall.SIGCONT) })
		add("etcd cut off from "+d.name, i, func() { d.place.cut("db") }, d.place.heal)
		add("everything cut off from "+d.name, i, func() { d.place.cut("db", "lan") }, d.place.heal)
	}
	for _, which := range []string{"leader", "follower"} {
		var m *process
		pick := func() { m = w.etcd.member(t, w.client, which) }
		add("kill -9 of etcd's "+which, -1, func() { pick(); m.kill() }, func() { m.start() })
		add("SIGSTOP of etcd's "+which, -1, func() { pick(); m.signal(syscall.SIGSTOP) }, func() { m.signal(syscall.SIGCONT) })
		add("cutting off of etcd's "+which, -1, func() { pick(); m.place.cut("db") }, func() { m.place.heal() })
	}
	for _, f := range faults {
		held := map[crowbar.ID]uint64{}
		victim := ""
		if f.owner >= 0 {
			victim = w.daemons[f.owner].name
			w.atWork(victim)
			held = w.runsOf(victim)
		} else {
			w.atWork("")
		}
		began := time.Now()
		f.do()
		if f.owner >= 0 {
			w.taken(f.name, victim, held, began)
		}
		w.touch()
		if rest := 3*lease - time.Since(began); rest > 0 {
			time.Sleep(rest) // the fault lasts three leases
		}
		f.undo()
		t.Logf("%-34s %d runs under way, taken over after %s", f.name, len(held), w.worst[f.name].Round(10*time.Millisecond))
		w.until(time.Minute, "three daemons are there", func() bool { return w.ready() == 3 })
		w.until(time.Minute, "three members are there", func() bool { return w.etcd.healthy(t.Context(), w.client) })
	}
	w.converge(3 * time.Minute)
	w.report()
}

func build(t *testing.T) *world {
	dir, err := os.MkdirTemp("", "kcr")
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("logs are left in", dir)
			return
		}
		os.RemoveAll(dir)
	})
	buildNetwork(t)
	w := &world{t: t, worst: map[string]time.Duration{}}
	program := filepath.Join(dir, "kubeclampd")
	if out, err := exec.Command("go", "build", "-o", program, "../../../cmd/kubeclampd").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.etcd = startCluster(t, dir)
	var key string
	field := filepath.Join(dir, "nodes")
	must(t, os.MkdirAll(field, 0o755))
	w.nodes, key = serveNodes(t, field, *many)
	conf, closed, err := store.Dial(store.Remote{Endpoints: w.etcd.endpoints(), CA: w.etcd.ca, Cert: w.etcd.cert, Key: w.etcd.key})
	must(t, err)
	t.Cleanup(func() { closed() })
	opening, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.client = conf.Client
	w.eye, err = store.Open(opening, conf)
	must(t, err)
	t.Cleanup(func() { w.eye.Close() })
	for i := range 3 {
		w.daemons = append(w.daemons, startDaemon(t, dir, program, key, i, w.etcd))
		w.until(time.Minute, "daemon "+w.daemons[i].name+" is there", func() bool {
			if said := w.daemons[i].failed(); said != "" {
				t.Fatalf("daemon %d does not start: %s", i, said)
			}
			return w.ready() == i+1
		})
	}
	doc := crowbar.Cluster{Deployment: "sim"}
	for i := range *many {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: fmt.Sprintf("n%d", i), Address: nodeAddress(i), Roles: []string{"sim-top", "sim-mid", "sim-base"}})
	}
	w.insist("apply the deployment", func(ctx context.Context, c *client.Client) error { return c.Apply(ctx, doc, false) })
	return w
}

// ready is how many daemons answer.
func (w *world) ready() int {
	n := 0
	for _, d := range w.eye.Daemons() {
		if d.Endpoint != "" {
			n++
		}
	}
	return n
}

// insist asks daemons, one after the other, until one of them does it.
func (w *world) insist(what string, do func(context.Context, *client.Client) error) {
	w.t.Helper()
	w.until(2*time.Minute, what, func() bool {
		c, err := w.daemons[rand.IntN(3)].client()
		if err == nil {
			ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
			defer cancel()
			err = do(ctx, c)
		}
		return err == nil
	})
}

func (w *world) until(limit time.Duration, what string, so func() bool) {
	w.t.Helper()
	for end := time.Now().Add(limit); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not so after %s: %s; %s", limit, what, w.states())
		}
	}
}

func (w *world) states() string {
	count := map[crowbar.State]int{}
	for nr := range w.eye.View().NodeRoles() {
		count[nr.State]++
	}
	return fmt.Sprint(count)
}

// atWork sees to it that a daemon ("" = all together) has runs under way, and more to do: where it has not, everything is
// given another generation.
func (w *world) atWork(daemon string) {
	w.t.Helper()
	w.until(2*time.Minute, "runs of "+daemon+" are under way", func() bool {
		owners := w.eye.Owners()
		todo, running := 0, 0
		for nr := range w.eye.View().NodeRoles() {
			switch {
			case nr.State == crowbar.Transition && strings.HasPrefix(nr.Owner, daemon):
				running++
			case (nr.State == crowbar.Todo || nr.State == crowbar.Blocked) && strings.HasPrefix(graph.Share(owners, nr.Node), daemon):
				todo++
			}
		}
		if todo < *many/6 {
			w.generation()
			return false
		}
		return running >= min(20, *many/10)
	})
}

func (w *world) generation() {
	w.t.Helper()
	next := w.gen + 1
	w.insist("set the generation", func(ctx context.Context, c *client.Client) error {
		if err := c.SetAttrib(ctx, crowbar.KindDeployment, "sim", "generation", next); err != nil {
			return err
		}
		return c.Do(ctx, crowbar.KindDeployment, "sim", "commit", nil)
	})
	w.gen = next
}

// touch has a node made, by whichever daemon answers: what is acknowledged must be there at the end.
func (w *world) touch() {
	w.t.Helper()
	name := fmt.Sprintf("mark-%d", len(w.acked))
	w.insist("make a node", func(ctx context.Context, c *client.Client) error {
		err := c.Create(ctx, crowbar.KindNode, map[string]any{"name": name, "address": fmt.Sprintf("192.0.2.%d", 1+len(w.acked)), "alive": false}, nil)
		if crowbar.KindOf(err) == crowbar.Conflict && c.Show(ctx, crowbar.KindNode, name, &crowbar.Node{}) == nil { // its answer was lost
			return nil
		}
		return err
	})
	w.acked = append(w.acked, name)
}

// runsOf is the runs that a daemon has under way.
func (w *world) runsOf(name string) map[crowbar.ID]uint64 {
	held := map[crowbar.ID]uint64{}
	for nr := range w.eye.View().NodeRoles() {
		if nr.State == crowbar.Transition && len(nr.Owner) > len(name) && nr.Owner[:len(name)+1] == name+"-" {
			held[nr.ID] = nr.Attempt
		}
	}
	return held
}

// taken waits until none of the runs is the victim's any more.
func (w *world) taken(fault, victim string, held map[crowbar.ID]uint64, began time.Time) {
	w.t.Helper()
	w.until(time.Minute, "the runs of "+victim+" are taken over", func() bool {
		still := w.runsOf(victim)
		for id, attempt := range held {
			if still[id] == attempt {
				return false
			}
		}
		return true
	})
	w.worst[fault] = time.Since(began)
	if w.worst[fault] >= 2*lease {
		w.t.Errorf("%s: its runs were taken over after %s, two leases are %s", fault, w.worst[fault], 2*lease)
	}
}

func (w *world) converge(limit time.Duration) {
	w.t.Helper()
	w.generation()
	w.until(limit, "it converges", func() bool {
		done := 0
		for nr := range w.eye.View().NodeRoles() {
			if nr.State == crowbar.Active && nr.RunCount > 0 {
				done++
			}
		}
		return done == 3**many
	})
}

// report holds the node's own records, etcd's history and what was acknowledged against what is promised.
func (w *world) report() {
	w.t.Helper()
	violations, steps := 0, 0
	for i := range *many {
		n, wrong := w.nodes.judge(w.t, i)
		steps += n
		for _, x := range wrong {
			w.t.Errorf("node %d: %s", i, x)
		}
		violations += len(wrong)
		for _, r := range []string{"sim-base", "sim-mid", "sim-top"} {
			b, err := os.ReadFile(filepath.Join(w.nodes.dir, nodeAddress(i), r))
			if err != nil || string(b) != fmt.Sprint(w.gen) {
				w.t.Errorf("node %d: %s is of generation %q, want %d", i, r, b, w.gen)
			}
		}
	}
	for _, name := range w.acked {
		if w.eye.View().NodeNamed(name) == nil {
			w.t.Errorf("node %s was acknowledged and is lost", name)
			violations++
		}
	}
	commits, begun, wrong := audit(w.t, w.client)
	for _, x := range wrong {
		w.t.Error(x)
	}
	worst := time.Duration(0)
	for _, d := range w.worst {
		worst = max(worst, d)
	}
	fmt.Printf("%d nodes, %d runs begun, %d commits, %d steps on nodes, %d generations, %d acknowledged\n", *many, begun, commits, steps, w.gen, len(w.acked))
	fmt.Printf("violations: %d; longest take-over: %s (two leases: %s)\n", violations+len(wrong), worst.Round(10*time.Millisecond), 2*lease)
	if begun < 3**many || steps < 6**many || begun < steps/3 {
		w.t.Error("too little was done for this to prove anything")
	}
}
