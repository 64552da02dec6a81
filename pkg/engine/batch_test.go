package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// dam is a store whose first commit waits until the dam is opened: what comes meanwhile is one batch.
type dam struct {
	*storetest.Memory
	reached, open chan struct{}
	once          sync.Once
	mu            sync.Mutex
	sizes         []int
	fate          func(n int, changes []crowbar.Change) error // of the n-th commit, from 1
}

func newDam() *dam {
	return &dam{Memory: storetest.NewMemory(), reached: make(chan struct{}), open: make(chan struct{})}
}

func (d *dam) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	d.mu.Lock()
	d.sizes = append(d.sizes, len(changes))
	n := len(d.sizes)
	d.mu.Unlock()
	if n == 1 {
		d.once.Do(func() { close(d.reached) })
		select {
		case <-d.open:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if d.fate != nil {
		if err := d.fate(n, changes); err != nil {
			return err
		}
	}
	return d.Memory.Commit(ctx, at, changes...)
}

func (d *dam) commits() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sizes
}

func putNode(name string) func(*draft) error {
	return func(d *draft) error {
		if d.s.NodeNamed(name) != nil {
			return crowbar.Errorf(crowbar.Conflict, "node %s is there", name)
		}
		d.put(&crowbar.Node{ID: d.s.Next(), Name: name})
		return nil
	}
}

// behind has a first verb wait at the dam, lets others queue up behind it, opens the dam, and gives the others' answers.
func behind(t *testing.T, d *dam, others ...func(*draft) error) []error {
	t.Helper()
	e := New(Config{Store: d, Owner: "me"})
	first := make(chan error, 1)
	go func() { first <- e.change(t.Context(), putNode("first")) }()
	<-d.reached
	answers := make([]chan error, len(others))
	for i, compute := range others {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- e.change(t.Context(), compute) }()
		for {
			e.queue.mu.Lock()
			n := len(e.queue.waiting)
			e.queue.mu.Unlock()
			if n == i+1 {
				break
			}
		}
	}
	close(d.open)
	if err := <-first; err != nil {
		t.Error(err)
	}
	out := make([]error, len(others))
	for i, ch := range answers {
		out[i] = <-ch
	}
	return out
}

func TestVerbsThatWaitShareACommit(t *testing.T) {
	d := newDam()
	var verbs []func(*draft) error
	for i := range 20 {
		verbs = append(verbs, putNode(fmt.Sprintf("n%d", i)))
	}
	verbs = append(verbs, putNode("n7"), func(*draft) error { panic("bug") }, func(d *draft) error {
		d.put(&crowbar.Node{ID: d.s.Next(), Name: "half"})
		return errors.New("no")
	})
	answers := behind(t, d, verbs...)
	for i, err := range answers {
		want := map[int]string{20: "node n7 is there", 21: "it panicked: bug", 22: "no"}[i]
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("answer %d is %v, want %q", i, err, want)
		}
	}
	if n := d.commits(); len(n) != 2 || n[1] != 20 {
		t.Errorf("commits of %v changes, want 1 and 20", n)
	}
	if s := d.View(); s.Count(crowbar.KindNode) != 21 || s.NodeNamed("half") != nil {
		t.Errorf("%d nodes", s.Count(crowbar.KindNode))
	}
}

func TestABatchIsComputedAnewAfterAConflict(t *testing.T) {
	d := newDam()
	d.fate = func(n int, _ []crowbar.Change) error {
		if n == 2 { // another daemon makes b first
			s := d.View()
			return errors.Join(d.Memory.Commit(t.Context(), s.Rev(), crowbar.Change{Put: &crowbar.Node{ID: s.Next(), Name: "b"}}), crowbar.Errorf(crowbar.Conflict, "moved"))
		}
		return nil
	}
	answers := behind(t, d, putNode("a"), putNode("b"), putNode("c"))
	if answers[0] != nil || crowbar.KindOf(answers[1]) != crowbar.Conflict || answers[2] != nil {
		t.Errorf("answers are %v", answers)
	}
	if d.View().Count(crowbar.KindNode) != 4 {
		t.Errorf("%d nodes", d.View().Count(crowbar.KindNode))
	}
}

// TestARefusalIsNotTheAnswerOfAFailedBatch: what was refused because of something before it in a batch that is not stored
// would have been told something untrue.
func TestARefusalIsNotTheAnswerOfAFailedBatch(t *testing.T) {
	d := newDam()
	down := crowbar.Errorf(crowbar.Unavailable, "down")
	d.fate = func(n int, _ []crowbar.Change) error {
		if n == 2 {
			return down
		}
		return nil
	}
	nothing := func(*draft) error { return nil }
	answers := behind(t, d, putNode("first"), nothing, putNode("a"), putNode("a"), nothing)
	if crowbar.KindOf(answers[0]) != crowbar.Conflict || answers[1] != nil {
		t.Errorf("what rests on nothing of the batch: %v, %v", answers[0], answers[1])
	}
	for _, err := range answers[2:] {
		if !errors.Is(err, down) {
			t.Errorf("answer is %v, want %v", err, down)
		}
	}
}

func TestWhatCannotBeStoredSpoilsNoOther(t *testing.T) {
	d := newDam()
	bad := func(d *draft) error {
		d.put(&crowbar.Node{ID: d.s.Next(), Name: "bad", Hint: crowbar.Data{"f": func() {}}})
		return nil
	}
	answers := behind(t, d, putNode("a"), bad, putNode("b"))
	if answers[0] != nil || crowbar.KindOf(answers[1]) != crowbar.Invalid || answers[2] != nil {
		t.Errorf("answers are %v", answers)
	}
	if s := d.View(); s.NodeNamed("a") == nil || s.NodeNamed("b") == nil || s.NodeNamed("bad") != nil {
		t.Error("the wrong ones are there")
	}
}

func TestACallerThatGoesAwayIsNotWaitedFor(t *testing.T) {
	d := newDam()
	e := New(Config{Store: d, Owner: "me"})
	ctx, cancel := context.WithCancel(t.Context())
	under, waits := make(chan error, 1), make(chan error, 1)
	go func() { under <- e.change(ctx, putNode("under way")) }()
	<-d.reached
	go func() { waits <- e.change(ctx, putNode("waits")) }()
	cancel()
	for _, ch := range []chan error{under, waits} {
		if err := <-ch; !errors.Is(err, context.Canceled) {
			t.Errorf("answer is %v", err)
		}
	}
	if err := e.change(t.Context(), putNode("later")); err != nil { // the dam let go when nobody waited any more
		t.Error(err)
	}
	if s := d.View(); s.NodeNamed("later") == nil || s.NodeNamed("waits") != nil {
		t.Error("the wrong ones are there")
	}
}
