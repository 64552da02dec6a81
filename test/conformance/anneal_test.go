//go:build linux

package conformance

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func annealFacts() []fact {
	return []fact{
		{56, "a role that fails", fact56},
		{57, "an error of a parent reaches an active child", fact57},
		{58, "a good retry leaves the children alone", func(d *daemon) {
			n := d.ready("a58")
			d.deployment("f58")
			d.bind("test-event-2", n, "f58")
			d.good("PUT deployments/f58/commit")
			child := d.reach(n, "test-event-2", 0)
			d.good("PUT node_roles/" + id(d.nodeRole(n, "test-event")) + "/retry")
			await(d.t, "the second run", func() error {
				if m := d.nodeRole(n, "test-event"); num(m, "run_count") != 2 || num(m, "state") != 0 {
					return fmt.Errorf("%v", m)
				}
				return nil
			})
			d.settle()
			d.is(d.nodeRole(n, "test-event-2"), map[string]any{"state": 0, "run_count": child["run_count"]})
		}},
		{59, "a node that is not alive", fact59},
		{60, "a deployment that is proposed starts nothing", fact60},
		{61, "children of a cluster wait for all its members", fact61},
		{62, "a destructive role runs once", fact62},
		{63, "what may be destroyed", fact63},
		{64, "discovery and bootstrap roles", func(d *daemon) {
			n := d.node("a64")
			d.want(404, "", "GET nodes/"+n+"/node_roles/test-discovery")
			d.good("PUT nodes/" + n + "/commit")
			d.reach(n, "test-discovery", 0)
			admin := d.node("admin64", `"admin":true`)
			d.nodeRole(admin, "test-bootstrap")
			d.want(404, "", "GET nodes/"+n+"/node_roles/test-bootstrap")
		}},
		{65, "service roles live on the phantom", func(d *daemon) {
			n := d.ready("a65")
			d.deployment("f65")
			m := d.bind("test-service", n, "f65")
			phantom := d.good("GET nodes/f65-phantom.internal.local").obj()
			d.is(m, map[string]any{"node_id": phantom["id"]})
			d.want(404, "", "GET nodes/"+n+"/node_roles/test-service")
			d.good("PUT deployments/f65/commit")
			d.reach("f65-phantom.internal.local", "test-service", 0)
		}},
		{66, "GET anneal", fact66},
		{67, "GET runs", func(d *daemon) {
			n := d.node("a67")
			if l := d.good("GET runs").list(); l == nil {
				d.t.Errorf("runs are no list")
			}
			if l := d.good("GET runs/" + n).list(); l == nil || len(l) != 0 {
				d.t.Errorf("runs of an idle node are %v", l)
			}
			d.want(404, "Could not find node with id nosuch67.", "GET runs/nosuch67")
		}},
		{70, "noop does nothing on the node", func(d *daemon) {
			n := d.node("a70")
			d.deployment("f70")
			d.bind("test-event", n, "f70")
			d.good("PUT deployments/f70/commit")
			d.at(n, map[string]int{"test-event": 1})
			d.good("PUT nodes/"+n, `{"available":true}`)
			d.is(d.reach(n, "test-event", 0), map[string]any{"run_count": 1})
			// It went through 2: that is what a run is. No command was sent anywhere, the node has no address.
			if runs := d.runsOf(n); runs[0]["outcome"] != "unchanged" || fmt.Sprint(runs[0]["attempt"]) != "1" {
				d.t.Errorf("runs are %v", runs)
			}
			log := d.log(n, "test-event")
			if strings.Contains(log, "exec") || log == "" {
				d.t.Errorf("the log is:\n%s", log)
			}
			if shown := fmt.Sprint(d.good("GET node_roles/" + id(d.nodeRole(n, "test-event"))).obj()["runlog"]); strings.TrimSpace(shown) != log {
				d.t.Errorf("runlog is %q, the log is %q", shown, log)
			}
		}},
	}
}

func fact56(d *daemon) {
	n := d.ready("a56")
	d.deployment("f56")
	d.bind("test-fails", n, "f56")
	d.bind("test-event", n, "f56")
	d.good("PUT deployments/f56/commit")
	m := d.reach(n, "test-fails", -1)
	if log := fmt.Sprint(m["runlog"]); !strings.Contains(strings.SplitN(log, "\n", 2)[0], "test-fails role always fails") {
		d.t.Errorf("runlog is %q", log)
	}
	before := d.nodeRole(n, "test-event")
	for _, o := range d.good("GET nodes/" + n + "/node_roles").list() {
		d.is(o.(map[string]any), map[string]any{"node_error": true})
	}
	if a := d.ask("GET anneal"); a.code != http.StatusConflict || a.message() != "failed" {
		d.t.Errorf("anneal: %s", a)
	}
	// What comes now does not run: another deployment's role is committed on the same node.
	d.deployment("g56")
	d.bind("test-b", n, "g56")
	d.good("PUT deployments/g56/commit")
	d.at(n, map[string]int{"test-b": 1})
	other := d.ready("b56")
	d.bind("test-b", other, "g56")
	d.good("PUT deployments/g56/commit")
	d.reach(other, "test-b", 0) // the annealer has looked at both
	d.at(n, map[string]int{"test-b": 1, "test-fails": -1})
	d.is(d.nodeRole(n, "test-event"), map[string]any{"run_count": before["run_count"]})
}

func fact57(d *daemon) {
	n := d.ready("a57")
	d.deployment("f57")
	d.bind("test-after-flaky", n, "f57")
	d.good("PUT deployments/f57/commit")
	child := d.reach(n, "test-after-flaky", 0)
	parent := id(d.nodeRole(n, "test-flaky"))
	d.good("PUT nodes/"+n+"/attribs/test-flaky-fails", `{"value":true}`) // which has it run again
	d.reach(n, "test-flaky", -1)
	d.at(n, map[string]int{"test-after-flaky": 3})
	d.good("PUT node_roles/" + parent + "/retry")
	d.reach(n, "test-flaky", -1)
	d.at(n, map[string]int{"test-after-flaky": 3})
	d.good("PUT nodes/"+n+"/attribs/test-flaky-fails", `{"value":false}`)
	d.good("PUT node_roles/" + parent + "/retry")
	d.reach(n, "test-flaky", 0)
	if now := d.reach(n, "test-after-flaky", 0); num(now, "run_count") != num(child, "run_count")+1 {
		d.t.Errorf("the child was %v and is %v", child, now)
	}
}

func fact59(d *daemon) {
	n := d.ready("a59")
	d.deployment("f59")
	d.bind("test-event-2", n, "f59")
	d.good("PUT deployments/f59/commit")
	d.reach(n, "test-event-2", 0)
	d.deployment("g59")
	d.bind("test-b", n, "g59")
	d.good("PUT nodes/"+n, `{"alive":"false"}`)
	d.at(n, map[string]int{"test-event": 1, "test-event-2": 3, "test-b": 4})
	if l := d.good("GET runs/" + n).list(); l == nil || len(l) != 0 {
		d.t.Errorf("runs are %v", l)
	}
	d.good("PUT nodes/"+n, `{"alive":"true"}`)
	d.is(d.reach(n, "test-event-2", 0), map[string]any{"run_count": 2})
	d.at(n, map[string]int{"test-event": 0, "test-b": 4})
}

// gates is a folder in which files let test-slow end, and the value that tells it so.
func (d *daemon) gates() (folder, value string) {
	d.t.Helper()
	folder = d.t.TempDir()
	return folder, fmt.Sprintf(`{"value":%q}`, folder)
}

func (d *daemon) open(folder, node string) {
	d.t.Helper()
	short, _, _ := strings.Cut(node, ".")
	if err := os.WriteFile(filepath.Join(folder, short), nil, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func fact60(d *daemon) {
	n := d.ready("a60")
	d.deployment("f60")
	d.bind("test-after-slow", n, "f60")
	folder, value := d.gates()
	d.good("PUT deployments/f60/attribs/test-slow-gate", value)
	d.good("PUT deployments/f60/commit")
	d.reach(n, "test-slow", 2)
	if l := d.good("GET runs/" + n).list(); len(l) != 1 {
		d.t.Errorf("runs are %v", l)
	}
	d.good("PUT deployments/f60/propose")
	d.at(n, map[string]int{"test-slow": 2})
	d.open(folder, n)
	d.reach(n, "test-slow", 0)
	// Another deployment's node goes on; when that has run, the annealer has looked at this one as well.
	other := d.ready("b60")
	d.deployment("g60")
	d.bind("test-event", other, "g60")
	d.good("PUT deployments/g60/commit")
	d.reach(other, "test-event", 0)
	d.at(n, map[string]int{"test-after-slow": 1})
	d.good("PUT deployments/f60/commit")
	d.reach(n, "test-after-slow", 0)
}

func fact61(d *daemon) {
	a, b, c, late := d.ready("a61"), d.node("b61"), d.ready("c61"), d.node("d61")
	d.deployment("f61")
	d.bind("test-cluster", a, "f61")
	d.bind("test-cluster", b, "f61")
	d.bind("test-member", c, "f61")
	d.bind("test-cluster", late, "f61")
	d.good("PUT deployments/f61/commit")
	d.reach(a, "test-cluster", 0)
	d.at(c, map[string]int{"test-member": 3})
	d.good("PUT nodes/"+b, `{"available":true}`)
	d.reach(b, "test-cluster", 0)
	d.at(c, map[string]int{"test-member": 3}) // the one that was bound last is a parent as well
	d.good("PUT nodes/"+late, `{"available":true}`)
	d.reach(late, "test-cluster", 0)
	d.reach(c, "test-member", 0)
}

func fact62(d *daemon) {
	n := d.ready("a62")
	d.deployment("f62")
	d.bind("test-destructive", n, "f62")
	file := filepath.Join(d.t.TempDir(), "calls")
	d.good("PUT deployments/f62/attribs/test-destructive-file", fmt.Sprintf(`{"value":%q}`, file))
	d.good("PUT deployments/f62/commit")
	m := d.reach(n, "test-destructive", 0)
	calls := func() int {
		b, err := os.ReadFile(file)
		if err != nil {
			d.t.Fatal(err)
		}
		return bytes.Count(b, []byte("\n"))
	}
	if calls() != 1 || num(m, "run_count") != 1 {
		d.t.Errorf("%d calls, %v", calls(), m)
	}
	d.good("PUT node_roles/" + id(m) + "/retry")
	await(d.t, "the second run", func() error {
		if m = d.nodeRole(n, "test-destructive"); num(m, "state") != 0 || num(m, "run_count") != 2 {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	if calls() != 1 {
		d.t.Errorf("it was called %d times", calls())
	}
	d.good("PUT nodes/" + n + "/redeploy")
	await(d.t, "the run after a redeploy", func() error {
		if m = d.nodeRole(n, "test-destructive"); num(m, "state") != 0 || num(m, "run_count") != 1 {
			return fmt.Errorf("%v", m)
		}
		return nil
	})
	if calls() != 2 {
		d.t.Errorf("after a redeploy it was called %d times", calls())
	}
}

func fact63(d *daemon) {
	p, c := d.ready("p63"), d.ready("c63")
	d.deployment("f63")
	parent := d.bind("test-event", p, "f63")
	child := d.bind("test-event-2", c, "f63")
	d.good("PUT deployments/f63/commit")
	d.reach(c, "test-event-2", 0)
	d.want(409, "test-event-2 on c63 needs it", "DELETE node_roles/"+id(parent))
	d.at(p, map[string]int{"test-event": 0})
	// With children on its own node alone both go, by runs.
	d.good("DELETE node_roles/" + id(child))
	d.gone("node_roles/" + id(child))
	own := d.bind("test-event-2", p, "f63")
	d.good("PUT deployments/f63/commit")
	d.reach(p, "test-event-2", 0)
	d.good("DELETE node_roles/" + id(parent))
	d.gone("node_roles/" + id(parent))
	d.gone("node_roles/" + id(own))
}

func fact66(d *daemon) {
	if a := d.settle(); a.code != http.StatusOK || a.message() != "finished" {
		d.t.Fatalf("before anything: %s", a)
	}
	n, other := d.ready("a66"), d.node("b66")
	d.deployment("f66")
	d.bind("test-after-slow", n, "f66")
	folder, value := d.gates()
	d.good("PUT deployments/f66/attribs/test-slow-gate", value)
	d.is(d.good("GET anneal").obj(), map[string]any{"message": "finished"}) // proposed does not count
	d.good("PUT deployments/f66/commit")
	d.reach(n, "test-slow", 2)
	if a := d.ask("GET anneal"); a.code != http.StatusAccepted || a.message() != "working" {
		d.t.Errorf("while it runs: %s", a)
	}
	d.open(folder, n)
	d.reach(n, "test-after-slow", 0)
	d.is(d.good("GET anneal").obj(), map[string]any{"message": "finished"})
	d.bind("test-event-2", other, "f66")
	d.good("PUT deployments/f66/commit")
	if a := d.ask("GET anneal"); a.code != http.StatusAccepted || a.message() != "scheduled" {
		d.t.Errorf("while it is todo: %s", a)
	}
	if ct := d.ask("GET anneal").header.Get("Content-Type"); !slices.Contains([]string{"application/json", "application/json; charset=utf-8"}, ct) {
		d.t.Errorf("content type is %s", ct)
	}
}
