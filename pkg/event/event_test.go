package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func put(objects ...crowbar.Object) []crowbar.Change {
	var out []crowbar.Change
	for _, o := range objects {
		out = append(out, crowbar.Change{Put: o})
	}
	return out
}

// TestOf: what one revision is told as.
func TestOf(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	dep := &crowbar.Deployment{ID: 1, Name: "k8s", Stored: crowbar.DeploymentCommitted}
	node := &crowbar.Node{ID: 2, Name: "n1.example.org", Deployment: 1, Alive: true, Available: true, Hint: crowbar.Data{"password": "hunter2"}}
	role := &crowbar.Role{ID: 3, Name: "etcd"}
	nr := &crowbar.NodeRole{ID: 4, Deployment: 1, Node: 2, Role: 3, State: crowbar.Todo, Available: true, Since: at, Committed: crowbar.Data{"password": "hunter2"}}
	before := crowbar.NewSnapshot().Apply(7, put(dep, node, role, nr)...)
	edit := func(f func(*crowbar.NodeRole)) *crowbar.NodeRole { c := *nr; f(&c); return &c }
	dark := *node
	dark.Alive = false
	run := &crowbar.Run{ID: 9, NodeRole: 4, Node: 2, Role: 3, Deployment: 1, Attempt: 1, Started: at}
	over := *run
	over.Finished, over.Outcome = at.Add(time.Second), "failed"
	user := &crowbar.User{ID: 10, Username: "u", Credentials: []byte("hunter2")}
	for _, c := range []struct {
		name    string
		was     []crowbar.Change
		changes []crowbar.Change
		want    string // types, with subject
		says    []string
	}{
		{"a state", nil, put(edit(func(n *crowbar.NodeRole) { n.State, n.Status = crowbar.Error, "disk full" })), "node_role.error node_roles/4",
			[]string{`"was":"todo"`, `"why":"error: disk full`, `"deployment":"k8s"`, `"node":"n1.example.org"`, `"time":"2026-01-02T03:04:05Z"`, `"id":"8-1"`}},
		{"tried again later", nil, put(edit(func(n *crowbar.NodeRole) { n.State, n.RetryIn = crowbar.Error, crowbar.Duration(time.Minute) })), "node_role.error node_roles/4",
			[]string{`"retry_at":"2026-01-02T03:05:05Z"`, "it is tried again by itself at 03:05:05 UTC"}},
		{"the same state", nil, put(edit(func(n *crowbar.NodeRole) { n.Status = "half way" })), "", nil},
		{"a node-role comes", nil, put(&crowbar.NodeRole{ID: 5, Deployment: 1, Node: 2, Role: 3, State: crowbar.Proposed}), "node_role.proposed node_roles/5", []string{`"was":null`, "commit deployment k8s"}},
		{"a node-role goes", nil, []crowbar.Change{{Drop: nr}}, "node_role.removed node_roles/4", []string{`"was":"todo"`, `"role":"etcd"`, `"node":"n1.example.org"`}},
		{"a node goes dark", nil, put(&dark), "node.changed nodes/2", []string{`"changes":{"alive":[true,false]}`}},
		{"a node goes", nil, []crowbar.Change{{Drop: node}}, "node.removed nodes/2", []string{`"name":"n1.example.org"`}},
		{"a run begins", nil, put(run), "run.begun runs/9", []string{`"attempt":1`}},
		{"a run ends", put(run), put(&over), "run.ended runs/9", []string{`"outcome":"failed"`, `"seconds":1`}},
		{"a run begins and ends", nil, put(&over), "run.begun runs/9, run.ended runs/9", nil},
		{"a record is dropped", put(&over), []crowbar.Change{{Drop: run}}, "", nil},
		{"a user", nil, put(user), "user.created users/10", []string{`"username":"u"`}},
		{"several, in one order", nil, put(&over, edit(func(n *crowbar.NodeRole) { n.State = crowbar.Active }), &dark), "node.changed nodes/2, node_role.active node_roles/4, run.begun runs/9, run.ended runs/9", nil},
	} {
		was := before.Apply(7, c.was...)
		m := crowbar.Moved{Was: was, Now: was.Apply(8, c.changes...)}
		var got []string
		text := ""
		for i, e := range Of(m) {
			got = append(got, strings.TrimPrefix(e.Type, crowbar.EventTypes)+" "+e.Subject)
			if e.ID != (crowbar.EventID{Rev: 8, Index: i + 1}) {
				t.Errorf("%s: id %s", c.name, e.ID)
			}
			if (e.Right == crowbar.RightAdmin) != strings.HasPrefix(e.Subject, "users/") {
				t.Errorf("%s: right %s", c.name, e.Right)
			}
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, ", "), c.want)
		}
		for _, s := range c.says {
			if !strings.Contains(text, s) {
				t.Errorf("%s: %s is not in %s", c.name, s, text)
			}
		}
		if strings.Contains(text, "hunter2") || strings.Contains(text, "aHVudGVyMg") {
			t.Errorf("%s: a secret is told: %s", c.name, text)
		}
		m.Lost = true
		if all := Of(m); all[0].Type != crowbar.EventsLost || len(all) != len(got)+1 {
			t.Errorf("%s: that something is lost is not told first: %v", c.name, all)
		}
	}
}

// TestEachWaitsForAReason: also where one commit concerns very many.
func TestEachWaitsForAReason(t *testing.T) {
	dep := &crowbar.Deployment{ID: 1, Name: "k8s"}
	var all []crowbar.Change
	for i := range crowbar.ID(1000) {
		all = append(all, put(&crowbar.NodeRole{ID: i + 10, Deployment: 1, State: crowbar.Proposed})...)
	}
	was := crowbar.NewSnapshot().Apply(1, put(dep)...)
	with := 0
	for _, e := range Of(crowbar.Moved{Was: was, Now: was.Apply(2, all...)}) {
		if e.Data["why"] != nil {
			with++
		}
	}
	if with != 1000 {
		t.Errorf("%d have a reason, want 1000", with)
	}
}
