package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Store is what is tested.
type Store interface {
	View() *crowbar.Snapshot
	Commit(ctx context.Context, at crowbar.Rev, c ...crowbar.Change) error
	Watch(ctx context.Context) <-chan *crowbar.Snapshot
	Moves(ctx context.Context) (*crowbar.Snapshot, <-chan crowbar.Moved)
	Since(ctx context.Context, after crowbar.Rev, each func(crowbar.Moved) bool) error
}

// Run runs the suite; open gives a new, empty store each time and cleans it up with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"empty":         empty,
		"put and drop":  putAndDrop,
		"conflict":      conflicts,
		"all or none":   allOrNone,
		"aliases":       aliases,
		"large commit":  large,
		"writers":       writers,
		"watch":         watch,
		"slow watcher":  slowWatcher,
		"watch ends":    watchEnds,
		"ids go upward": upward,
		"moves":         moves,
		"since":         since,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Restart checks that open, called again on the same place after its store was closed, gives the same state.
func Restart(t *testing.T, open func() (s Store, closed func())) {
	s, closed := open()
	commit(t, s, put(&crowbar.Node{ID: 1, Name: "n1.a.b"}), put(&crowbar.Node{ID: 2, Name: "n2.a.b", Hint: crowbar.Data{"x": 1}}))
	commit(t, s, put(&crowbar.Run{ID: 3, NodeRole: 9, Changes: []string{"a"}}))
	commit(t, s, drop(&crowbar.Run{ID: 3}), put(&crowbar.Role{ID: 4, Name: "etcd", Timeout: crowbar.Duration(time.Minute)}))
	commit(t, s, drop(&crowbar.Role{ID: 4}))
	want, next, rev := Dump(s.View()), s.View().Next(), s.View().Rev()
	closed()
	s, closed = open()
	defer closed()
	if got := Dump(s.View()); got != want {
		t.Errorf("state after restart:\n%s\nwant:\n%s", got, want)
	}
	if s.View().Next() != next || next != 5 || s.View().Rev() != rev {
		t.Errorf("next id %d, revision %d after restart; want %d (5), %d", s.View().Next(), s.View().Rev(), next, rev)
	}
	commit(t, s, put(&crowbar.Node{ID: next, Name: "n3.a.b"}))
}

// Dump is the state as text, for comparisons.
func Dump(s *crowbar.Snapshot) string {
	var out []byte
	for _, k := range crowbar.Kinds {
		for o := range s.All(k) {
			b, err := json.Marshal(o)
			if err != nil {
				panic(err)
			}
			out = fmt.Appendf(out, "%s %d %s\n", k, o.Key(), b)
		}
	}
	return string(out)
}

func put(o crowbar.Object) crowbar.Change  { return crowbar.Change{Put: o} }
func drop(o crowbar.Object) crowbar.Change { return crowbar.Change{Drop: o} }

func commit(t *testing.T, s Store, c ...crowbar.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), s.View().Rev(), c...); err != nil {
		t.Fatal(err)
	}
}

func empty(t *testing.T, s Store) {
	v := s.View()
	if v.Rev() != 0 || v.Next() != 1 || Dump(v) != "" {
		t.Errorf("revision %d, next %d, %s", v.Rev(), v.Next(), Dump(v))
	}
	if err := s.Commit(t.Context(), 0); err != nil || s.View() != v {
		t.Errorf("no changes: %v", err)
	}
}

func putAndDrop(t *testing.T, s Store) {
	commit(t, s, put(&crowbar.Node{ID: 1, Name: "n1.a.b"}), put(&crowbar.NodeRole{ID: 2, Node: 1, Parents: []crowbar.Link{{ID: 7}}}))
	before := s.View()
	if before.NodeNamed("n1.a.b") == nil || len(before.NodeRolesOn(1)) != 1 || len(before.Children(7)) != 1 {
		t.Error("committed, and not in the view")
	}
	commit(t, s, drop(&crowbar.Node{ID: 1}), put(&crowbar.NodeRole{ID: 2, Node: 3}))
	if s.View().NodeNamed("n1.a.b") != nil || len(s.View().NodeRolesOn(1)) != 0 || len(s.View().NodeRolesOn(3)) != 1 {
		t.Error("dropped, and still in the view")
	}
	if before.NodeNamed("n1.a.b") == nil {
		t.Error("an old snapshot changed")
	}
	if s.View().Rev() <= before.Rev() {
		t.Error("the revision did not grow")
	}
}

func conflicts(t *testing.T, s Store) {
	at := s.View().Rev()
	commit(t, s, put(&crowbar.Node{ID: 1, Name: "n1.a.b"}))
	want := Dump(s.View())
	err := s.Commit(t.Context(), at, put(&crowbar.Node{ID: 2}))
	if crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("commit at an old revision: %v", err)
	}
	if Dump(s.View()) != want {
		t.Error("a refused commit changed the state")
	}
}

func allOrNone(t *testing.T, s Store) {
	bad := crowbar.Data{"f": func() {}}
	if s.Commit(t.Context(), s.View().Rev(), put(&crowbar.Node{ID: 1}), put(&crowbar.Node{ID: 2, Hint: bad})) == nil {
		t.Error("an object that cannot be written was taken")
	}
	for _, c := range []crowbar.Change{{}, put(&crowbar.Node{}), {Put: &crowbar.Node{ID: 1}, Drop: &crowbar.Node{ID: 1}}} {
		if err := s.Commit(t.Context(), s.View().Rev(), c); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if s.Commit(gone, s.View().Rev(), put(&crowbar.Node{ID: 1})) == nil {
		t.Error("committed after its context ended")
	}
	if Dump(s.View()) != "" {
		t.Error(Dump(s.View()))
	}
}

// aliases: the caller keeps no hand on the state, and numbers are as after a restart.
func aliases(t *testing.T, s Store) {
	n := &crowbar.Node{ID: 1, Name: "n1.a.b", Hint: crowbar.Data{"n": 1}}
	commit(t, s, put(n))
	n.Name, n.Hint["n"] = "changed", 2
	got := s.View().Node(1)
	if got.Name != "n1.a.b" || got.Hint["n"] != 1.0 {
		t.Errorf("got %q %v", got.Name, got.Hint)
	}
}

func large(t *testing.T, s Store) {
	for round := range 2 {
		var all []crowbar.Change
		for i := range crowbar.ID(1000) {
			all = append(all, put(&crowbar.Node{ID: i + 1, Name: fmt.Sprintf("n%d.r%d.b", i, round)}))
		}
		commit(t, s, all...)
	}
	if s.View().Count(crowbar.KindNode) != 1000 || s.View().Node(500).Name != "n499.r1.b" {
		t.Error(s.View().Count(crowbar.KindNode))
	}
	var all []crowbar.Change
	for i := range crowbar.ID(999) {
		all = append(all, drop(&crowbar.Node{ID: i + 1}))
	}
	commit(t, s, all...)
	commit(t, s, put(&crowbar.Node{ID: 1000, Name: "last.a.b"}))
	if s.View().Count(crowbar.KindNode) != 1 {
		t.Error(s.View().Count(crowbar.KindNode))
	}
}

// writers: many at once, each taking the next id; every commit counts once and no id is given twice.
func writers(t *testing.T, s Store) {
	const each, many = 15, 4
	var wg sync.WaitGroup
	for w := range many {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("n%d.w%d.b", i, w)
				for {
					v := s.View()
					err := s.Commit(t.Context(), v.Rev(), put(&crowbar.Node{ID: v.Next(), Name: name}))
					if err == nil {
						break
					}
					if crowbar.KindOf(err) != crowbar.Conflict {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	v := s.View()
	if v.Count(crowbar.KindNode) != each*many || v.Next() != each*many+1 {
		t.Errorf("%d nodes, next %d", v.Count(crowbar.KindNode), v.Next())
	}
}

func watch(t *testing.T, s Store) {
	ch := s.Watch(t.Context())
	if first := receive(t, ch); first.Rev() != 0 {
		t.Errorf("first revision %d", first.Rev())
	}
	for i := range crowbar.ID(5) {
		commit(t, s, put(&crowbar.Node{ID: i + 1}))
		if got := receive(t, ch); got.Rev() != s.View().Rev() || got.Node(i+1) == nil {
			t.Errorf("revision %d, want %d", got.Rev(), s.View().Rev())
		}
	}
}

func slowWatcher(t *testing.T, s Store) {
	ch := s.Watch(t.Context())
	for i := range crowbar.ID(20) {
		commit(t, s, put(&crowbar.Node{ID: i + 1}))
	}
	if got := receive(t, ch); got.Rev() != s.View().Rev() {
		t.Errorf("a slow watcher got revision %d, newest is %d", got.Rev(), s.View().Rev())
	}
}

func watchEnds(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	ch := s.Watch(ctx)
	cancel()
	deadline := time.After(5 * time.Second)
	for {
		select {
		case _, open := <-ch:
			if !open {
				commit(t, s, put(&crowbar.Node{ID: 1}))
				return
			}
		case <-deadline:
			t.Fatal("the channel stays open")
		}
	}
}

func upward(t *testing.T, s Store) {
	commit(t, s, put(&crowbar.Node{ID: 1}), put(&crowbar.Node{ID: 2}))
	commit(t, s, drop(&crowbar.Node{ID: 2}))
	commit(t, s, put(&crowbar.Run{ID: 3}), drop(&crowbar.Run{ID: 3}))
	if s.View().Next() != 4 {
		t.Errorf("next id %d, want 4", s.View().Next())
	}
	var ids []crowbar.ID
	for n := range s.View().Nodes() {
		ids = append(ids, n.ID)
	}
	if !slices.Equal(ids, []crowbar.ID{1}) {
		t.Error(ids)
	}
}

func receive(t *testing.T, ch <-chan *crowbar.Snapshot) *crowbar.Snapshot {
	t.Helper()
	select {
	case s, open := <-ch:
		if !open {
			t.Fatal("the watch ended")
		}
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("no snapshot came")
	}
	return nil
}

// moves: a follower gets every revision, one by one, however many come at once.
func moves(t *testing.T, s Store) {
	commit(t, s, put(&crowbar.Node{ID: 1, Name: "n1.a.b"}))
	ctx, cancel := context.WithCancel(t.Context())
	at, ch := s.Moves(ctx)
	if at.Rev() != s.View().Rev() {
		t.Fatalf("it follows from revision %d, the state is at %d", at.Rev(), s.View().Rev())
	}
	const n = 50
	for i := range n {
		commit(t, s, put(&crowbar.Node{ID: 1, Name: fmt.Sprintf("n%d.a.b", i+2)}))
	}
	prior := at
	for i := range n {
		m := <-ch
		if m.Lost || m.Was.Rev() != prior.Rev() || m.Now.Rev() <= m.Was.Rev() || m.Now.Node(1).Name != fmt.Sprintf("n%d.a.b", i+2) {
			t.Fatalf("move %d: %+v, from %d to %d, want from %d", i, m, m.Was.Rev(), m.Now.Rev(), prior.Rev())
		}
		prior = m.Now
	}
	cancel()
	for range ch { //nolint:revive // until it is closed
	}
}

// since: what a follower has missed it is told from the state's own past, the same as it would have been told then.
func since(t *testing.T, s Store) {
	commit(t, s, put(&crowbar.Node{ID: 1, Name: "n1.a.b"}))
	from := s.View()
	for i := range 5 {
		commit(t, s, put(&crowbar.Node{ID: 1, Name: fmt.Sprintf("n%d.a.b", i+2)}), put(&crowbar.Run{ID: crowbar.ID(10 + i)}))
	}
	commit(t, s, drop(&crowbar.Run{ID: 10}))
	prior, got := from.Rev(), 0
	err := s.Since(t.Context(), from.Rev(), func(m crowbar.Moved) bool {
		if m.Was.Rev() != prior || m.Lost {
			t.Errorf("from %d to %d, want from %d", m.Was.Rev(), m.Now.Rev(), prior)
		}
		if got < 5 && m.Now.Node(1).Name != fmt.Sprintf("n%d.a.b", got+2) {
			t.Errorf("revision %d has node %q", m.Now.Rev(), m.Now.Node(1).Name)
		}
		prior = m.Now.Rev()
		got++
		return true
	})
	if err != nil || got != 6 || prior != s.View().Rev() || s.View().Run(10) != nil {
		t.Errorf("%d revisions, up to %d of %d, %v", got, prior, s.View().Rev(), err)
	}
	if err := s.Since(t.Context(), s.View().Rev(), func(crowbar.Moved) bool { t.Error("there is nothing newer"); return false }); err != nil {
		t.Error(err)
	}
	got = 0
	if err := s.Since(t.Context(), from.Rev(), func(crowbar.Moved) bool { got++; return false }); err != nil || got != 1 {
		t.Errorf("%d, %v", got, err)
	}
}
