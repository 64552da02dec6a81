//go:build robustness

package three

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const prefix = "/kubeclamp/v1/"

// audit goes through every revision that etcd has had, and says what no legal history has: two runs on a node, an attempt
// that does not grow, a commit of a daemon that was not registered.
func audit(t *testing.T, c *clientv3.Client) (commits, begun int, wrong []string) {
	t.Helper()
	now, err := c.Get(t.Context(), prefix+"head")
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	h := &history{roles: map[crowbar.ID]crowbar.NodeRole{}, busy: map[crowbar.ID]crowbar.ID{}, daemons: map[string]bool{}}
	for resp := range c.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(1)) {
		must(t, resp.Err())
		for events := resp.Events; len(events) > 0; {
			n := 1
			for n < len(events) && events[n].Kv.ModRevision == events[0].Kv.ModRevision {
				n++
			}
			h.revision(events[:n])
			events = events[n:]
		}
		if n := len(resp.Events); n > 0 && resp.Events[n-1].Kv.ModRevision >= now.Kvs[0].ModRevision {
			break
		}
	}
	return h.commits, h.begun, h.wrong
}

type history struct {
	roles   map[crowbar.ID]crowbar.NodeRole
	busy    map[crowbar.ID]crowbar.ID // node -> node-role in transition
	daemons map[string]bool
	commits int
	begun   int
	wrong   []string
}

func (h *history) say(rev int64, format string, a ...any) {
	h.wrong = append(h.wrong, fmt.Sprintf("revision %d: ", rev)+fmt.Sprintf(format, a...))
}

func (h *history) revision(events []*clientv3.Event) {
	rev, head, by := events[0].Kv.ModRevision, false, ""
	var changed []entry
	for _, ev := range events {
		key, put := strings.TrimPrefix(string(ev.Kv.Key), prefix), ev.Type == mvccpb.PUT
		kind, rest, _ := strings.Cut(key, "/")
		switch {
		case kind == "head":
			head = true
		case kind == "done" && put:
			by = rest
		case kind == "daemons":
			h.daemons[rest] = put
		case kind == "journal" && put:
			changed = append(changed, unpack(ev.Kv.Value)...)
		case kind == "node_roles":
			var e entry
			fmt.Sscanf(rest, "%d", &e.ID)
			e.Kind = kind
			if put {
				e.Value = ev.Kv.Value
			}
			changed = append(changed, e)
		}
	}
	if !head { // the roll, or a journal being folded
		return
	}
	h.commits++
	if !h.daemons[by] {
		h.say(rev, "written by %q, which is not registered", by)
	}
	h.apply(rev, by, changed)
}

type entry struct {
	Kind  string          `json:"kind"`
	ID    crowbar.ID      `json:"id"`
	Value json.RawMessage `json:"value"`
}

func unpack(b []byte) (out []entry) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		err = json.NewDecoder(z).Decode(&out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

// apply takes the node-roles of one commit in: first what ends, then what begins.
func (h *history) apply(rev int64, by string, changed []entry) {
	var begins []crowbar.NodeRole
	for _, e := range changed {
		if e.Kind != "node_roles" {
			continue
		}
		was := h.roles[e.ID]
		var is crowbar.NodeRole
		if e.Value != nil {
			if err := json.Unmarshal(e.Value, &is); err != nil {
				panic(err)
			}
		}
		h.roles[e.ID] = is
		if was.State == crowbar.Transition && was.ID != 0 && (is.State != crowbar.Transition || is.Attempt != was.Attempt) && h.busy[was.Node] == was.ID {
			delete(h.busy, was.Node)
		}
		if is.Attempt < was.Attempt && is.ID != 0 {
			h.say(rev, "attempt of node-role %d went from %d to %d", e.ID, was.Attempt, is.Attempt)
		}
		if is.ID != 0 && is.State == crowbar.Transition && (was.State != crowbar.Transition || was.Attempt != is.Attempt) {
			begins = append(begins, is)
			if is.Attempt != was.Attempt+1 {
				h.say(rev, "node-role %d began attempt %d after %d", e.ID, is.Attempt, was.Attempt)
			}
			if is.Owner != by {
				h.say(rev, "node-role %d was begun for %q by %q", e.ID, is.Owner, by)
			}
		}
	}
	for _, is := range begins {
		h.begun++
		if other, busy := h.busy[is.Node]; busy {
			h.say(rev, "node %d: node-role %d began while %d ran", is.Node, is.ID, other)
		}
		h.busy[is.Node] = is.ID
	}
}
