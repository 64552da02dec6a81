package graph_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

var sizes = []int{100, 1_000, 10_000}

// fleet is a committed deployment with the shipped roles: three masters, the rest workers.
type fleet struct {
	b   *testing.B
	s   *crowbar.Snapshot
	dep crowbar.ID
}

func (f *fleet) add(c []crowbar.Change, err error) {
	f.b.Helper()
	if err != nil {
		f.b.Fatal(err)
	}
	f.s = f.s.Apply(f.s.Rev()+1, c...)
}

func (f *fleet) node(name, address string) crowbar.ID {
	n := &crowbar.Node{ID: f.s.Next(), Name: name, Alive: true, Available: true, Address: address, Deployment: f.dep}
	f.add([]crowbar.Change{{Put: n}}, nil)
	return n.ID
}

func (f *fleet) bind(role string, node crowbar.ID) {
	f.b.Helper()
	f.add(graph.Bind(f.s, graph.Binding{Role: f.s.RoleNamed(role).ID, Node: node, Deployment: f.dep}))
}

var fleets = map[int]*fleet{}

// fleetOf makes a fleet once for all benchmarks.
func fleetOf(b *testing.B, nodes int) fleet {
	b.Helper()
	if f := fleets[nodes]; f != nil {
		f.b = b
		return *f
	}
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		b.Fatal(err)
	}
	cat, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		b.Fatal(err)
	}
	f := &fleet{b: b, s: crowbar.NewSnapshot()}
	dep := &crowbar.Deployment{ID: f.s.Next(), Name: "k8s"}
	f.dep = dep.ID
	f.add([]crowbar.Change{{Put: dep}}, nil)
	f.add(graph.Import(f.s, cat))
	var first crowbar.ID
	for i := range nodes {
		id := f.node(fmt.Sprintf("n%05d", i), fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		if i == 0 {
			first = id
		}
		if i < 3 {
			for _, r := range []string{"etcd", "k8s-master", "dns-pool"} {
				f.bind(r, id)
			}
		}
		f.bind("k8s-minion", id)
	}
	f.bind("k8s-ready", first)
	f.add(graph.Commit(f.s, f.dep))
	fleets[nodes] = f
	return *f
}

// every runs one benchmark at each size. x-smallest is how much longer one unit takes than in the smallest fleet: 1 is a
// cost that does not know the size.
func every(b *testing.B, unit string, setup func(b *testing.B, f fleet) (units int, op func())) {
	smallest := 0.0
	for _, n := range sizes {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			units, op := setup(b, fleetOf(b, n))
			for b.Loop() {
				op()
			}
			took := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(units)
			if smallest == 0 {
				smallest = took
			}
			b.ReportMetric(took, "ns/"+unit)
			b.ReportMetric(took/smallest, "x-smallest")
		})
	}
}

// BenchmarkRunnableOfFleet: everything waits; one look over all node-roles.
func BenchmarkRunnableOfFleet(b *testing.B) {
	every(b, "node-role", func(b *testing.B, f fleet) (int, func()) {
		return f.s.Count(crowbar.KindNodeRole), func() {
			if len(graph.Runnable(f.s)) == 0 {
				b.Fatal("nothing is runnable")
			}
		}
	})
}

// BenchmarkPlan: a whole first convergence, foreseen.
func BenchmarkPlan(b *testing.B) {
	every(b, "node-role", func(b *testing.B, f fleet) (int, func()) {
		return f.s.Count(crowbar.KindNodeRole), func() {
			steps, err := graph.Plan(f.s, f.dep)
			if err != nil || len(steps) != f.s.Count(crowbar.KindNodeRole) {
				b.Fatalf("%d steps, %v", len(steps), err)
			}
		}
	})
}

// BenchmarkForecast: how long that plan takes, and its critical path.
func BenchmarkForecast(b *testing.B) {
	every(b, "step", func(b *testing.B, f fleet) (int, func()) {
		steps, err := graph.Plan(f.s, f.dep)
		if err != nil {
			b.Fatal(err)
		}
		return len(steps), func() {
			if _, path := graph.Forecast(f.s, steps, 30); len(path) == 0 {
				b.Fatal("no path")
			}
		}
	})
}

// BenchmarkBind: one worker more, with all that comes along.
func BenchmarkBind(b *testing.B) {
	every(b, "bind", func(b *testing.B, f fleet) (int, func()) {
		binding := graph.Binding{Role: f.s.RoleNamed("k8s-minion").ID, Node: f.node("one-more", "10.255.0.1"), Deployment: f.dep}
		return 1, func() {
			c, err := graph.Bind(f.s, binding)
			if err != nil || len(c) < 5 {
				b.Fatalf("%d changes, %v", len(c), err)
			}
		}
	})
}

// BenchmarkFinish: one run begins and ends in the middle of everything.
func BenchmarkFinish(b *testing.B) {
	every(b, "run", func(b *testing.B, f fleet) (int, func()) {
		next := graph.Runnable(f.s)
		i := 0
		return 1, func() {
			nr := next[i%len(next)]
			i++
			begun, err := graph.Begin(f.s, nr.ID, "bench")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := graph.Finish(f.s.Apply(f.s.Rev()+1, begun...), nr.ID, nr.Attempt+1, crowbar.Outcome{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkReasons is why everything of a deployment waits, when nothing has run yet, a tenth of the nodes is dark and a master
// failed.
func BenchmarkReasons(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			f := fleetOf(b, n)
			i := 0
			for node := range f.s.Nodes() {
				if i++; i%10 == 0 {
					f.add(graph.Alive(f.s, node.ID, false))
				}
			}
			first := graph.Runnable(f.s)[0]
			f.add(graph.Begin(f.s, first.ID, "bench"))
			f.add(graph.Finish(f.s, first.ID, first.Attempt+1, crowbar.Outcome{Failure: "disk full"}))
			b.ReportAllocs()
			for b.Loop() {
				all := graph.ReasonsIn(f.s).Deployment(f.dep)
				if all.Total == 0 || len(all.Causes) < n/10 {
					b.Fatalf("%d causes of %d", len(all.Causes), all.Total)
				}
			}
		})
	}
}
