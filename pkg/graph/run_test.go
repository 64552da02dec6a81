package graph

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func three(t *testing.T) *world {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a etcd@b etcd@c master@a master@b minion@d")
	w.commit()
	return w
}

func TestEverythingRunsInOrder(t *testing.T) {
	w := three(t)
	w.want(w.states("prep", "etcd", "minion"), "prep@a:todo etcd@a:blocked prep@b:todo etcd@b:blocked prep@c:todo etcd@c:blocked prep@d:todo minion@d:blocked")
	ran := w.settle()
	w.want(strings.Join(ran, " "), "prep@a pki@k8s-phantom.internal.local prep@b prep@c prep@d "+
		"proxy@a proxy@b proxy@c proxy@d etcd@a docker@d etcd@b etcd@c master@a master@b flannel@d minion@d")
	if c, err := Commit(w.s, w.dep.ID); err != nil || len(c) != 0 {
		t.Errorf("committing again made %d changes, %v", len(c), err)
	}
	if first := w.s.DeploymentRoleOf(w.dep.ID, w.s.RoleNamed("etcd").ID).First; first != w.at("etcd@a").ID {
		t.Errorf("etcd's first is %d", first)
	}
}

func TestPlanIsWhatRuns(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a etcd@b master@b minion@d")
	check := func(why string) {
		t.Helper()
		steps, err := Plan(w.s, w.dep.ID)
		if err != nil {
			t.Fatal(err)
		}
		var planned []string
		for _, st := range steps {
			planned = append(planned, st.Role+"@"+st.Node)
			if st.Why != why {
				t.Errorf("%s on %s is planned because %q", st.Role, st.Node, st.Why)
			}
		}
		w.commit()
		ran := strings.ReplaceAll(strings.Join(w.settle(), " "), ".internal.local", "")
		w.want(strings.Join(planned, " "), ran)
	}
	check("never applied")
	w.apply(Rerun(w.s, w.dep.ID))
	check("rerun")
	steps, _ := Plan(w.s, w.dep.ID)
	if len(steps) != 0 {
		t.Errorf("%d steps are planned when all is done", len(steps))
	}
	w.apply(Unbind(w.s, w.at("minion@d").ID))
	check("unbound")
}

func TestANewMemberIsSeenByItsPeersChildren(t *testing.T) {
	w := three(t)
	w.settle()
	w.bind("etcd@e")
	w.want(w.states("master", "flannel"), "master@a:active master@b:active flannel@d:active")
	w.commit()
	w.want(strings.Join(w.settle(), " "), "prep@e proxy@e etcd@e master@a master@b flannel@d")
}

func TestAPreceedingRoleBoundLaterIsSeen(t *testing.T) {
	w := three(t)
	w.settle()
	w.bind("proxy-server@p")
	w.commit()
	ran := strings.Join(w.settle(), " ")
	w.want(ran, "proxy-server@p proxy@a proxy@b proxy@c proxy@d")
}

func TestErrorBlocksDescendantsAndTheNode(t *testing.T) {
	w := three(t)
	w.run("prep@a proxy@a prep@b prep@c prep@d proxy@d pki")
	w.begin("etcd@a")
	w.finish("etcd@a", crowbar.Outcome{Failure: "apt lock held by unattended-upgr (pid 812)\nand more"})
	w.want(w.states("etcd", "flannel", "docker", "minion"), "etcd@a:error etcd@b:blocked etcd@c:blocked docker@d:todo flannel@d:blocked minion@d:blocked")
	w.run("docker@d proxy@b")
	if why := Why(w.s, w.at("etcd@b").ID); why != "todo: etcd on a is in error: apt lock held by unattended-upgr (pid 812), and etcd-lock waits until all peers are well" {
		t.Errorf("why is %q", why)
	}
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Put: func() *crowbar.NodeRole {
		nr := *w.at("etcd@a")
		nr.Since = time.Date(2026, 1, 2, 12, 4, 0, 0, time.UTC)
		return &nr
	}()})
	if why := Why(w.s, w.at("minion@d").ID); !strings.Contains(why, "waits for etcd on a, in error since 12:04: apt lock held by unattended-upgr (pid 812)") || strings.Contains(why, "\n") {
		t.Errorf("why is %q", why)
	}
	_, err := Retry(w.s, w.at("minion@d").ID)
	w.refused(err, crowbar.Conflict, "from blocked to todo", "etcd on a")
	w.apply(Retry(w.s, w.at("etcd@a").ID))
	ran := w.settle()
	if got := w.states(); strings.Count(got, ":active") != len(strings.Fields(got)) {
		t.Errorf("after the retry: %s\nran %v", got, ran)
	}
}

func TestTheFounderGoesFirst(t *testing.T) {
	w := three(t)
	w.run("prep@b proxy@b pki")
	_, err := Begin(w.s, w.at("etcd@b").ID, "d1")
	w.refused(err, crowbar.Conflict, "etcd on a founds the cluster first")
	w.apply(Alive(w.s, w.node("a"), false))
	w.run("etcd@b")
	w.apply(Alive(w.s, w.node("a"), true))
	w.run("prep@a proxy@a etcd@a")
}

func TestExclusiveLetsOneRun(t *testing.T) {
	w := three(t)
	w.run("prep@a proxy@a prep@b proxy@b prep@c proxy@c pki etcd@a")
	w.begin("etcd@b")
	_, err := Begin(w.s, w.at("etcd@c").ID, "d1")
	w.refused(err, crowbar.Conflict, "etcd on b holds etcd-lock")
}

func TestTheLeastLimitOfAnExclusiveCounts(t *testing.T) {
	one, two := role("one"), role("two")
	one.Exclusive = []crowbar.Exclusive{{Name: "lock", Limit: 1}}
	two.Exclusive = []crowbar.Exclusive{{Name: "lock", Limit: 2}}
	w := newWorld(t, one, two)
	w.bind("one@a two@b")
	w.commit()
	w.begin("one@a")
	_, err := Begin(w.s, w.at("two@b").ID, "d1")
	w.refused(err, crowbar.Conflict, "one on a holds lock")
}

func TestFinish(t *testing.T) {
	w := three(t)
	nr := w.begin("prep@a")
	if nr.Attempt != 1 || nr.Owner != "d1" || w.s.Run(nr.Run) == nil {
		t.Errorf("begun: %+v", nr)
	}
	_, err := Finish(w.s, nr.ID, 7, crowbar.Outcome{})
	w.refused(err, crowbar.Conflict, "attempt 7 is stale")
	w.finish("prep@a", crowbar.Outcome{Lost: true})
	w.want(w.states("prep"), "prep@a:todo prep@b:todo prep@c:todo prep@d:todo")
	if out := w.s.Run(nr.Run).Outcome; out != "lost" {
		t.Errorf("run is %q", out)
	}
	w.begin("prep@a")
	w.finish("prep@a", crowbar.Outcome{Status: "done", Changes: []string{"x"}, Wall: crowbar.Data{"p": 1.0}})
	nr = w.at("prep@a")
	if nr.RunCount != 1 || nr.Status != "done" || nr.Wall["p"] != 1.0 || w.s.Run(nr.Run).Outcome != "changed" {
		t.Errorf("finished: %+v", nr)
	}
}

func TestAChangedWallIsSeenByChildren(t *testing.T) {
	w := three(t)
	w.settle()
	w.apply(Rerun(w.s, w.dep.ID))
	w.settle()
	w.apply(Retry(w.s, w.at("master@a").ID))
	w.begin("master@a")
	w.finish("master@a", crowbar.Outcome{Wall: crowbar.Data{"x": "y"}})
	w.want(w.states("minion"), "minion@d:todo")
}

func TestWhatChangesDuringARunIsSeen(t *testing.T) {
	for what, change := range map[string]func(*world){
		"a parent's wall": func(w *world) {
			w.apply(Retry(w.s, w.at("master@a").ID))
			w.begin("master@a")
			w.finish("master@a", crowbar.Outcome{Wall: crowbar.Data{"x": "y"}})
		},
		"a peer of a parent that goes": func(w *world) { w.apply(Unbind(w.s, w.at("master@a").ID)) },
		"a node that went and came back": func(w *world) {
			w.apply(Alive(w.s, w.node("d"), false))
			w.apply(Alive(w.s, w.node("d"), true))
		},
		"what is said of it": func(w *world) {
			nr := *w.at("minion@d")
			nr.Proposed = crowbar.Data{"x": 1.0}
			w.apply([]crowbar.Change{{Put: &nr}}, nil)
			w.commit()
		},
		"a value of its node": func(w *world) {
			w.apply(Poke(w.s, w.node("d"), &crowbar.Attrib{Role: w.at("minion@d").Role}), nil)
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := three(t)
			w.settle()
			w.apply(Retry(w.s, w.at("minion@d").ID))
			nr := w.begin("minion@d")
			change(w)
			if w.at("minion@d").State == crowbar.Transition {
				w.finish("minion@d", crowbar.Outcome{})
			}
			w.settle()
			w.want(w.states("minion"), "minion@d:active")
			if got := w.at("minion@d"); got.Attempt == nr.Attempt || got.Stale {
				t.Errorf("attempt %d after %d, stale %v", got.Attempt, nr.Attempt, got.Stale)
			}
		})
	}
}

func TestARerunReachesWhatIsRunning(t *testing.T) {
	w := three(t)
	w.settle()
	w.apply(Retry(w.s, w.at("minion@d").ID))
	w.begin("minion@d")
	w.apply(Rerun(w.s, w.dep.ID))
	w.finish("minion@d", crowbar.Outcome{})
	w.want(w.states("minion"), "minion@d:blocked")
	w.settle()
	w.want(w.states("minion"), "minion@d:active")
}

// but says that every owner is gone but one.
func but(owner string) func(string) bool { return func(o string) bool { return o != owner } }

func TestOrphans(t *testing.T) {
	r := role("wipe destructive")
	w := newWorld(t, append(cluster(), r)...)
	w.bind("etcd@a wipe@b")
	w.commit()
	w.begin("prep@a")
	w.begin("wipe@b")
	if c := Orphans(w.s, but("d1")); len(c) != 0 {
		t.Errorf("its own runs are orphans: %d changes", len(c))
	}
	w.apply(Orphans(w.s, but("d2")), nil)
	w.want(w.states("prep", "wipe"), "prep@a:todo wipe@b:error")
	if out := w.s.Run(w.at("prep@a").Run).Outcome; out != "lost" {
		t.Errorf("run is %q", out)
	}
}

// TestAnOrphanInErrorAboveItsParent: the parent on its node waits for the error to be mended, and the error for the parent.
func TestAnOrphanInErrorAboveItsParent(t *testing.T) {
	w := newWorld(t, role("base implicit"), role("wipe destructive < base"))
	w.bind("wipe@a")
	w.commit()
	w.run("base@a")
	w.begin("wipe@a")
	w.apply(Rerun(w.s, w.dep.ID))
	w.apply(Orphans(w.s, but("d2")), nil)
	w.want(w.states(), "base@a:todo wipe@a:error")
	w.want(strings.Join(w.settle(), " "), "")
	w.apply(Retry(w.s, w.at("wipe@a").ID))
	w.want(w.states(), "base@a:todo wipe@a:blocked")
	w.want(strings.Join(w.settle(), " "), "base@a wipe@a")
}

func TestADeadNodeStopsItsOwn(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a master@a minion@b minion@c")
	w.commit()
	w.settle()
	w.apply(Alive(w.s, w.node("b"), false))
	w.want(w.states("prep", "minion"), "prep@a:active prep@b:todo minion@b:blocked prep@c:active minion@c:active")
	w.apply(Rerun(w.s, w.dep.ID))
	w.settle()
	w.want(w.states("prep", "minion"), "prep@a:active prep@b:todo minion@b:blocked prep@c:active minion@c:active")
	if why := Why(w.s, w.at("minion@b").ID); !strings.Contains(why, "prep on b") || !strings.Contains(why, "node b is not alive") {
		t.Errorf("why is %q", why)
	}
}

func TestANodeWithoutAddress(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("minion@b")
	w.commit()
	n := *w.s.Node(w.node("b"))
	n.Address, n.Jig = "", "ssh"
	w.apply([]crowbar.Change{{Put: &n}}, nil)
	w.settle()
	if why := Why(w.s, w.at("minion@b").ID); !strings.Contains(why, "node b has no address yet") {
		t.Errorf("why is %q", why)
	}
	n.Jig = "noop"
	w.apply([]crowbar.Change{{Put: &n}}, nil)
	w.settle()
	w.want(w.states("minion"), "minion@b:active")
}

func TestProposedHoldsStill(t *testing.T) {
	w := three(t)
	w.apply(Propose(w.s, w.dep.ID))
	if n := Runnable(w.s); len(n) != 0 {
		t.Errorf("%d are runnable", len(n))
	}
	if why := Why(w.s, w.at("prep@a").ID); why != "todo: deployment k8s is proposed: commit it" {
		t.Errorf("why is %q", why)
	}
}

func TestCommitPokesWhatSeesAChange(t *testing.T) {
	w := three(t)
	w.apply([]crowbar.Change{{Put: &crowbar.Attrib{ID: w.s.Next(), Name: "port", Map: "etcd/port", Default: 1.0, Role: w.s.RoleNamed("etcd").ID}}}, nil)
	w.settle()
	set := func(v any) {
		dr := *w.s.DeploymentRoleOf(w.dep.ID, w.s.RoleNamed("etcd").ID)
		dr.Proposed = crowbar.Data{"etcd": crowbar.Data{"port": v}}
		w.apply([]crowbar.Change{{Put: &dr}}, nil)
		w.commit()
	}
	set(1.0)
	w.want(strings.Join(w.settle(), " "), "")
	set(2.0)
	w.want(strings.Join(w.settle(), " "), "etcd@a etcd@b etcd@c")
}

func TestUnbind(t *testing.T) {
	w := three(t)
	if _, err := Unbind(w.s, w.at("pki").ID); err == nil {
		t.Error("what is committed on other nodes went with it")
	}
	_, err := Unbind(w.s, 999)
	w.refused(err, crowbar.NotFound)
	w.settle()
	_, err = Unbind(w.s, w.at("pki").ID)
	w.refused(err, crowbar.Conflict, "pki on k8s-phantom", "needs it")

	// A member of a cluster goes; its peers stand in, and their children run before it goes and see that it will.
	w.apply(Unbind(w.s, w.at("etcd@a").ID))
	w.want(w.states("etcd", "master"), "etcd@a:todo etcd@b:active etcd@c:active master@a:todo master@b:todo")
	w.want(strings.Join(w.settle(), " "), "master@a master@b flannel@d etcd@a")
	if w.has("etcd@a") || !w.has("master@a") {
		t.Error(w.states())
	}
	w.want(w.parents("master@a"), "etcd@b etcd@c")

	// Children on the node go first.
	w.apply(Unbind(w.s, w.at("docker@d").ID))
	w.want(strings.Join(w.settle(), " "), "minion@d docker@d flannel@d")
	w.apply(Unbind(w.s, w.at("etcd@b").ID))
	_, err = Unbind(w.s, w.at("etcd@c").ID)
	w.refused(err, crowbar.Conflict, "needs it")
}

func TestUnbindWhatRunsNow(t *testing.T) {
	w := three(t)
	w.begin("prep@d")
	w.apply(Unbind(w.s, w.at("prep@d").ID))
	w.finish("prep@d", crowbar.Outcome{})
	w.want(w.states("prep"), "prep@a:todo prep@b:todo prep@c:todo prep@d:todo")
	nr := w.begin("prep@d")
	if !w.s.Run(nr.Run).Remove {
		t.Error("the next run is no removal")
	}
	w.finish("prep@d", crowbar.Outcome{Failure: "busy"})
	w.want(w.states("proxy"), "proxy@a:blocked proxy@b:blocked proxy@c:blocked")
	w.apply(Retry(w.s, w.at("prep@d").ID))
	w.run("prep@d")
	if w.has("prep@d") {
		t.Error("prep is still on d")
	}
}

func TestRemovalOfAFailedMemberFreesItsPeers(t *testing.T) {
	w := three(t)
	w.run("prep@a proxy@a prep@b proxy@b prep@c proxy@c pki etcd@a etcd@b")
	w.begin("etcd@c")
	w.finish("etcd@c", crowbar.Outcome{Failure: "disk is dead"})
	w.apply(Unbind(w.s, w.at("etcd@c").ID))
	w.settle()
	if w.has("etcd@c") {
		t.Error("etcd is still on c")
	}
	w.want(w.states("master", "minion"), "master@a:active master@b:active minion@d:active")
}

func TestForget(t *testing.T) {
	w := three(t)
	w.settle()
	w.apply(Forget(w.s, w.node("b")))
	if w.s.NodeNamed("b") != nil || w.has("etcd@b") || w.has("master@b") {
		t.Error(w.states())
	}
	w.want(strings.Join(w.settle(), " "), "master@a flannel@d minion@d")
}

// What leaves gives nothing any more: those that run before it goes must not build on its wall.
func TestAPeerThatLeavesHasNoWall(t *testing.T) {
	w := three(t)
	w.run("prep@a proxy@a pki")
	w.begin("etcd@a")
	w.finish("etcd@a", crowbar.Outcome{Wall: crowbar.Data{"member": "1"}})
	w.settle()
	w.apply(Unbind(w.s, w.at("etcd@a").ID))
	for _, to := range []string{"flannel@d", "master@b"} {
		for _, p := range Peers(w.s, w.at(to)) {
			if p.Role == "etcd" && p.Node == "a" && (len(p.Wall) > 0 || p.Settled) {
				t.Errorf("%s sees %+v", to, p)
			}
		}
	}
	for _, p := range Peers(w.s, w.at("etcd@a")) {
		if p.Node == "a" && p.Role == "etcd" && p.Wall["member"] != "1" {
			t.Errorf("it sees of itself %+v", p)
		}
	}
}

// A dead node's member is taken out by a peer: that is a run of its own, after those that used it have let go.
func TestForgetHasAPeerTakeItOut(t *testing.T) {
	w := three(t)
	w.settle()
	r := *w.s.RoleNamed("etcd")
	r.Forgets = true
	w.apply([]crowbar.Change{{Put: &r}}, nil)
	w.apply(Alive(w.s, w.node("b"), false))
	w.apply(Forget(w.s, w.node("b")))
	if n := w.s.NodeNamed("b"); n == nil || !n.Forgotten || !n.Removing || w.has("master@b") || w.has("prep@b") {
		t.Fatal(w.states())
	}
	if by := Survivor(w.s, w.at("etcd@b")); by == nil || by.ID != w.at("etcd@a").ID {
		t.Errorf("it is taken out by %v", by)
	}
	w.want(strings.Join(w.settle(), " "), "master@a flannel@d etcd@b minion@d")
	if w.has("etcd@b") {
		t.Error(w.states())
	}
	// Of the last one nothing is left to be taken out of.
	w.apply(Alive(w.s, w.node("c"), false))
	if by := Survivor(w.s, w.at("etcd@a")); by != nil {
		t.Errorf("a dead one takes it out: %v", by)
	}
}

func TestPeers(t *testing.T) {
	w := three(t)
	w.run("prep@a proxy@a pki")
	w.begin("etcd@a")
	w.finish("etcd@a", crowbar.Outcome{Wall: crowbar.Data{"member": "1"}})
	sees := func(what string) string {
		var got []string
		for _, p := range Peers(w.s, w.at(what)) {
			text := p.Role + "@" + p.Node
			if p.Settled {
				text += "+"
			}
			if p.First {
				text += "*"
			}
			got = append(got, text)
		}
		return strings.Join(got, " ")
	}
	w.want(sees("master@b"), "master@a master@b pki@k8s-phantom+* prep@b proxy@b etcd@a+* etcd@b etcd@c")
	w.want(sees("proxy@c"), "proxy@c prep@c")
	proxy := *w.s.RoleNamed("proxy")
	proxy.Peers = []string{"proxy"}
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Put: &proxy})
	w.want(sees("proxy@c"), "proxy@a+* proxy@b proxy@c proxy@d")
	for names, want := range map[string]string{"etcd prep nobody": "prep@b etcd@a+* etcd@b etcd@c", "": ""} {
		r := *w.s.RoleNamed("master")
		r.Peers = append([]string{}, strings.Fields(names)...)
		w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Put: &r})
		w.want(sees("master@b"), want)
	}
}

func TestCriticalPath(t *testing.T) {
	w := three(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var runs []*crowbar.Run
	add := func(what string, from, to int) {
		nr := w.at(what)
		runs = append(runs, &crowbar.Run{ID: crowbar.ID(1000 + len(runs)), NodeRole: nr.ID, Node: nr.Node, Role: nr.Role, Deployment: nr.Deployment,
			Started: at.Add(time.Duration(from) * time.Second), Finished: at.Add(time.Duration(to) * time.Second)})
	}
	add("prep@a", 0, 1)
	add("prep@b", 0, 9)
	add("proxy@a", 1, 2)
	add("etcd@a", 2, 12)
	add("proxy@b", 9, 10)
	add("etcd@b", 12, 17)
	add("master@b", 18, 20)
	path, length := CriticalPath(w.s, runs)
	var names []string
	for _, r := range path {
		names = append(names, w.label(w.s.NodeRole(r.NodeRole)))
	}
	w.want(strings.Join(names, " "), "prep@a proxy@a etcd@a etcd@b master@b")
	if length != 19*time.Second {
		t.Errorf("length is %s", length)
	}
}

// What leaves uses its cluster's members until it is gone: none of them goes before it.
func TestAMemberGoesAfterWhatUsesItAndLeavesAsWell(t *testing.T) {
	w := three(t)
	w.settle()
	w.apply(Unbind(w.s, w.at("etcd@c").ID))
	w.apply(Unbind(w.s, w.at("master@b").ID))
	order := w.settle()
	if master, member := slices.Index(order, "master@b"), slices.Index(order, "etcd@c"); master < 0 || member < master {
		t.Errorf("they go in the order %v", order)
	}
}

// What names its peers is not run again for a member of a cluster that it does not see, on another node.
func TestWhatDoesNotSeeAMemberIsSparedTheRun(t *testing.T) {
	w := three(t)
	w.settle()
	blind := *w.s.RoleNamed("minion")
	blind.Peers = []string{"flannel"}
	w.apply([]crowbar.Change{{Put: &blind}}, nil)
	w.apply(Unbind(w.s, w.at("master@a").ID))
	w.want(strings.Join(w.settle(), " "), "master@a")
	if w.at("minion@d").State != crowbar.Active {
		t.Error(w.states())
	}
}
