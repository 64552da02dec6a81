package store

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// roll is the daemons that are registered, by key, and who stands for election, by key, with the revision of its entry.
type roll struct {
	daemons map[string]crowbar.Daemon
	leaders map[string]candidate
	owners  []string // of daemons, sorted; made anew when they change
}

// count brings owners up to date.
func (r *roll) count() {
	owners := make([]string, 0, len(r.daemons))
	for _, d := range r.daemons {
		owners = append(owners, d.Owner)
	}
	slices.Sort(owners)
	if !slices.Equal(owners, r.owners) {
		r.owners = owners
	}
}

type candidate struct {
	owner string
	since int64
}

// isRoll says whether a key belongs to the roll.
func isRoll(key string) bool {
	return strings.HasPrefix(key, daemonPrefix) || strings.HasPrefix(key, leaderPrefix)
}

// put takes an entry in; what does not decode is of a program that this one does not know, and counts by its key alone.
func (r *roll) put(kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	if strings.HasPrefix(key, leaderPrefix) {
		if r.leaders == nil {
			r.leaders = map[string]candidate{}
		}
		r.leaders[key] = candidate{string(kv.Value), kv.CreateRevision}
		return
	}
	var d crowbar.Daemon
	if json.Unmarshal(kv.Value, &d) != nil || d.Owner == "" {
		d.Owner = strings.TrimPrefix(key, daemonPrefix)
	}
	if r.daemons == nil {
		r.daemons = map[string]crowbar.Daemon{}
	}
	r.daemons[key] = d
}

func (r *roll) take(events []*clientv3.Event) {
	for _, ev := range events {
		key := string(ev.Kv.Key)
		switch {
		case !isRoll(key):
		case ev.Type == mvccpb.PUT:
			r.put(ev.Kv)
		default:
			delete(r.daemons, key)
			delete(r.leaders, key)
		}
	}
}

// sortedDaemons is the daemons in order of names, the leader marked: whoever stood first.
func sortedDaemons(daemons map[string]crowbar.Daemon, leaders map[string]candidate) []crowbar.Daemon {
	first := candidate{}
	for _, c := range leaders {
		if first.since == 0 || c.since < first.since {
			first = c
		}
	}
	out := slices.Collect(maps.Values(daemons))
	for i := range out {
		out[i].Leader = out[i].Leader || out[i].Owner == first.owner
	}
	slices.SortFunc(out, func(a, b crowbar.Daemon) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}
