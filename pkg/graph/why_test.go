package graph

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// change puts a changed copy of an object.
func change[T any, P interface {
	*T
	crowbar.Object
}](w *world, of P, how func(P)) {
	c := *of
	how(&c)
	w.apply([]crowbar.Change{{Put: P(&c)}}, nil)
}

func (w *world) fail(what, text string) {
	w.t.Helper()
	w.begin(what)
	w.finish(what, crowbar.Outcome{Failure: text})
	change(w, w.at(what), func(nr *crowbar.NodeRole) { nr.Since = noon })
}

// besideDocker brings docker and etcd to the point where both could begin on one node.
func (w *world) besideDocker() {
	w.bind("docker@a")
	w.commit()
	w.run("prep@a proxy@a pki")
}

// hindered is a world in which one node-role is kept from beginning by each kind of hindrance, and what is said of it.
var hindered = map[obstacle]struct {
	of    string
	make  func(w *world)
	why   string // of the node-role itself
	kind  crowbar.CauseKind
	cause string // the root
}{
	lost: {"minion@d", func(w *world) {
		w.run("prep@d proxy@d pki docker@d")
		change(w, w.at("minion@d"), func(nr *crowbar.NodeRole) { nr.State = crowbar.Todo })
		w.apply([]crowbar.Change{{Drop: w.s.RoleNamed("minion")}}, nil)
	}, "todo: its deployment, node or role is gone: unbind it", crowbar.CauseRole, "has lost its deployment, node or role"},
	proposed: {"prep@a", func(w *world) { w.apply(Propose(w.s, w.dep.ID)) },
		"todo: deployment k8s is proposed: commit it", crowbar.CauseProposed, "deployment k8s is proposed"},
	paused: {"prep@a", func(w *world) { change(w, w.s.Deployment(w.dep.ID), func(d *crowbar.Deployment) { d.Paused = true }) },
		"todo: deployment k8s is paused: resume it", crowbar.CausePaused, "deployment k8s is paused"},
	unplanned: {"prep@b", func(w *world) { w.hold("prep@a") },
		"todo: it is not in the plan of 2026-01-02 12:00 UTC that deployment k8s carries out: see 'kubeclamp plan' for what is left, and 'kubeclamp deployments release k8s' lets it begin",
		crowbar.CausePlan, "deployment k8s carries out the plan of 2026-01-02 12:00 UTC, and nothing else"},
	untargeted: {"prep@a", func(w *world) { change(w, w.at("prep@a"), func(nr *crowbar.NodeRole) { nr.Available = false }) },
		"todo: it is not available: clear the node's target role", crowbar.CauseNode, "node a has a target role, and runs nothing beyond it"},
	jigless: {"prep@a", func(w *world) { w.apply([]crowbar.Change{{Drop: w.s.JigNamed("noop")}}, nil) },
		"todo: there is no jig noop: import the barclamp that has it", crowbar.CauseRole, "there is no jig noop"},
	addressless: {"prep@a", func(w *world) {
		change(w, w.s.NodeNamed("a"), func(n *crowbar.Node) { n.Address, n.Jig = "", "ssh" })
	}, "todo: node a has no address yet: give it one", crowbar.CauseNode, "node a has no address yet"},
	dead: {"prep@a", func(w *world) { w.apply(Alive(w.s, w.node("a"), false)) },
		"todo: node a is not alive", crowbar.CauseNode, "node a is not alive"},
	unavailable: {"prep@a", func(w *world) { change(w, w.s.NodeNamed("a"), func(n *crowbar.Node) { n.Available = false }) },
		"todo: node a is not available", crowbar.CauseNode, "node a is not available"},
	crowded: {"etcd@a", func(w *world) {
		w.besideDocker()
		w.begin("docker@a")
		change(w, w.at("docker@a"), func(nr *crowbar.NodeRole) { nr.Since, nr.Status = noon, "pulls an image" })
	}, "todo: docker on a runs first", crowbar.CauseRun, "docker on a runs since 12:00: pulls an image"},
	stuck: {"etcd@a", func(w *world) { w.besideDocker(); w.fail("docker@a", "disk full") },
		"todo: docker on a is in error: disk full", crowbar.CauseError, "docker on a is in error since 12:00: disk full"},
	above: {"docker@d", func(w *world) {
		w.settle()
		change(w, w.at("docker@d"), func(nr *crowbar.NodeRole) { nr.State, nr.Removing = crowbar.Todo, true })
	}, "todo: minion on d goes first", crowbar.CauseNeeded, "docker on d is to be removed, and minion on d needs it"},
	unaware: {"etcd@a", func(w *world) { w.settle(); w.apply(Unbind(w.s, w.at("etcd@a").ID)); w.begin("master@b") },
		"todo: master on a lets go of it first; master on a is todo: the annealer takes it next", crowbar.CauseNext, "nothing is in the way"},
	taken: {"etcd@b", func(w *world) {
		w.run("prep@a proxy@a prep@b proxy@b pki etcd@a")
		w.run("prep@c proxy@c")
		w.begin("etcd@c")
	}, "todo: etcd on c holds etcd-lock", crowbar.CauseRun, "etcd on c runs"},
	gated: {"etcd@b", func(w *world) {
		w.run("prep@a proxy@a prep@b proxy@b pki")
		w.fail("etcd@a", "apt lock held")
	}, "todo: etcd on a is in error: apt lock held, and etcd-lock waits until all peers are well", crowbar.CauseError, "etcd on a is in error since 12:00: apt lock held"},
	later: {"etcd@b", func(w *world) { w.run("prep@b proxy@b pki"); w.fail("prep@a", "no route to host") },
		"todo: etcd on a founds the cluster first; etcd on a is blocked: waits for proxy on a, which waits for prep on a, in error since 12:00: no route to host",
		crowbar.CauseError, "prep on a is in error since 12:00: no route to host"},
}

// TestEveryHindranceSaysWhy: the line of the node-role itself, that of one that is blocked by it, and the root cause.
func TestEveryHindranceSaysWhy(t *testing.T) {
	for o := 1; o <= obstacles; o++ {
		if _, is := hindered[obstacle(o)]; !is {
			t.Errorf("hindrance %d is in no test", o)
		}
	}
	for _, o := range slices.Sorted(maps.Keys(hindered)) {
		c := hindered[o]
		t.Run(c.why, func(t *testing.T) {
			w := three(t)
			if o == later { // the one that began first is the founder, also while it is not able to
				w.run("prep@a proxy@a pki")
				w.begin("etcd@a")
				w.finish("etcd@a", crowbar.Outcome{Lost: true})
				w.apply(Retry(w.s, w.at("prep@a").ID))
				w.apply(Retry(w.s, w.at("pki").ID))
			}
			c.make(w)
			id := crowbar.ID(0)
			for nr := range w.s.NodeRoles() {
				if r := w.s.Role(nr.Role); (r == nil && o == lost) || r != nil && r.Name+"@"+w.s.Node(nr.Node).Name == c.of {
					id = nr.ID
				}
			}
			if h := viewOf(w.s).hindrance(w.s.NodeRole(id)); h.what != o {
				t.Fatalf("its hindrance is %d, want %d: %s", h.what, o, h.words(w.s, w.s.NodeRole(id)))
			}
			w.want(Why(w.s, id), c.why)
			all := ReasonsIn(w.s).Deployment(w.dep.ID)
			seen := 0
			for _, cause := range all.Causes {
				for _, x := range cause.Waiting {
					seen++
					if strings.Contains(x.Why, "\n") || x.Why == "" {
						t.Errorf("%s/%s: %q", x.Node, x.Role, x.Why)
					}
					if x.ID == id && (cause.Kind != c.kind || !strings.HasSuffix(cause.Cause, c.cause) || cause.Remedy == "") {
						t.Errorf("the cause is %s: %s; %s", cause.Kind, cause.Cause, cause.Remedy)
					}
				}
			}
			if seen != all.Total-all.Active || all.Total != w.s.Count(crowbar.KindNodeRole) {
				t.Errorf("%d are told of, %d of %d are active", seen, all.Active, all.Total)
			}
			for nr := range w.s.NodeRoles() { // what is blocked by it tells the same root
				if nr.State == crowbar.Blocked && len(nr.Parents) > 0 && slices.ContainsFunc(nr.Parents, func(l crowbar.Link) bool { return l.ID == id }) {
					r := ReasonsIn(w.s)
					if root, _ := r.cause(rootOf(r.of(nr))); rank(root.Kind) > rank(c.kind) {
						t.Errorf("%s waits for %s", w.label(nr), root.Cause)
					}
				}
			}
		})
	}
}

func rootOf(x *reason) *reason {
	for x.next != nil {
		x = x.next
	}
	return x
}

// TestReasonsByRootCause: three causes, what needs somebody first, and each node-role once.
func TestReasonsByRootCause(t *testing.T) {
	w := three(t)
	w.bind("minion@e minion@f")
	w.commit()
	w.run("prep@a proxy@a prep@b proxy@b prep@c proxy@c pki etcd@a etcd@b etcd@c")
	w.fail("master@a", "image not found\nand more of it")
	w.apply(Alive(w.s, w.node("e"), false))
	w.begin("prep@f")
	change(w, w.at("prep@f"), func(nr *crowbar.NodeRole) { nr.Since = noon.Add(time.Minute) })
	all := ReasonsIn(w.s).Deployment(w.dep.ID)
	var got []string
	for _, c := range all.Causes {
		var who []string
		for _, x := range c.Waiting {
			who = append(who, x.Role+"@"+x.Node)
		}
		got = append(got, string(c.Kind)+": "+c.Cause+": "+strings.Join(who, " "))
	}
	w.want(strings.Join(got, "\n"), strings.Join([]string{
		"error: master on a is in error since 12:00: image not found: master@a minion@d minion@e minion@f",
		"node: node e is not alive: prep@e proxy@e docker@e flannel@e",
		"run: prep on f runs since 12:01: prep@f proxy@f docker@f flannel@f",
		"next: nothing is in the way: prep@d proxy@d docker@d master@b flannel@d",
	}, "\n"))
	if why := Why(w.s, w.at("minion@e").ID); why != "blocked: waits for master on a, in error since 12:00: image not found" {
		t.Errorf("why is %q", why)
	}
	if why := Why(w.s, w.at("flannel@e").ID); !strings.HasSuffix(why, "which waits for prep on e, which is todo: node e is not alive") && !strings.HasSuffix(why, "waits for prep on e, which is todo: node e is not alive") {
		t.Errorf("why is %q", why)
	}
	if got := Why(w.s, 9999); got != "there is no node-role 9999" {
		t.Errorf("%q", got)
	}
}

func TestWhyOfOneThatIsOutOfDate(t *testing.T) {
	w := three(t)
	w.settle()
	w.want(Why(w.s, w.at("docker@d").ID), "active")
	change(w, w.at("docker@d"), func(nr *crowbar.NodeRole) { nr.Stale = true })
	w.want(Why(w.s, w.at("docker@d").ID), "active, and would be given other values now: commit deployment k8s, and it runs again")
}
