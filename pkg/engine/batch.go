package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// tries bounds how often verbs are computed anew because another daemon was faster.
const tries = 50

// most is how many verbs go into one commit at most.
const most = 512

// verb is one change of the state that somebody waits for.
type verb struct {
	ctx     context.Context
	compute func(d *draft) error
	done    chan struct{} // closed when err is the answer
	err     error
	alone   bool   // its answer rests on nothing that the batch changes
	in      *batch // it is being computed or committed
}

// batch is verbs that are committed together. Its context ends when nobody waits for any of them any more.
type batch struct {
	verbs  []*verb
	gone   int // verbs whose caller has gone away
	ctx    context.Context
	cancel context.CancelFunc
}

// queue is the verbs that wait while others are on their way to the store.
type queue struct {
	mu      sync.Mutex
	waiting []*verb
	working bool // somebody empties the queue
}

// change is the engine's one way to write. Verbs that come while others are being committed wait, and are then computed one
// after the other, each on the state that the one before it leaves, and committed together; nobody is answered before that.
// compute may be called several times and must have no effect but on its draft.
func (e *Engine) change(ctx context.Context, compute func(d *draft) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v := &verb{ctx: ctx, compute: compute, done: make(chan struct{})}
	q := &e.queue
	q.mu.Lock()
	q.waiting = append(q.waiting, v)
	if !q.working {
		q.working = true
		go e.empty()
	}
	q.mu.Unlock()
	select {
	case <-v.done:
		return v.err
	case <-ctx.Done():
	}
	select {
	case <-v.done:
		return v.err
	default:
		q.leave(v)
		return ctx.Err()
	}
}

// leave takes back a verb that nobody waits for any more; where it is under way, it may be done all the same.
func (q *queue) leave(v *verb) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if v.in == nil {
		return // its context says enough
	}
	if v.in.gone++; v.in.gone == len(v.in.verbs) {
		v.in.cancel()
	}
}

// take is the next batch; nil when nothing waits, and then somebody else may begin.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := &batch{}
	for len(q.waiting) > 0 && len(b.verbs) < most {
		v := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		if v.ctx.Err() == nil {
			v.in = b
			b.verbs = append(b.verbs, v)
		}
	}
	if len(b.verbs) == 0 {
		q.waiting, q.working = nil, false
		return nil
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// empty works until the queue is empty.
func (e *Engine) empty() {
	for b := e.queue.take(); b != nil; b = e.queue.take() {
		err := e.settle(b.ctx, b.verbs)
		if len(b.verbs) > 1 && crowbar.KindOf(err) == crowbar.Invalid {
			for _, v := range b.verbs { // one of them cannot be stored: the others need not suffer
				v.answer(e.settle(b.ctx, []*verb{v}))
			}
		} else {
			for _, v := range b.verbs {
				v.answer(err)
			}
		}
		b.cancel()
	}
}

// answer tells the caller how it ended; err is the commit's.
func (v *verb) answer(err error) {
	if err != nil && !v.alone {
		v.err = err
	}
	close(v.done)
}

// settle computes verbs and commits what they change, and again if another daemon was faster. What it gives is the error of
// the commit; a verb's own is in the verb.
func (e *Engine) settle(ctx context.Context, verbs []*verb) error {
	for try := 1; ; try++ {
		at := e.View()
		d := &draft{s: at}
		for _, v := range verbs {
			v.alone = len(d.changes) == 0
			own, err := e.run(v, d.s)
			if v.err = err; err == nil {
				d.s, d.changes = own.s, append(d.changes, own.changes...)
			}
			v.alone = v.alone && len(d.changes) == 0
		}
		changes := stamped(at, d.changes, e.Now().UTC())
		if len(changes) == 0 {
			return nil
		}
		// gofail: var computed struct{}
		err := e.Store.Commit(ctx, at.Rev(), changes...)
		// gofail: var committed struct{}
		if err == nil {
			e.tell(at, changes)
			return nil
		}
		if crowbar.KindOf(err) != crowbar.Conflict {
			return err
		}
		if try == tries {
			// Not a Conflict: that would say that the verb itself has been overtaken.
			return crowbar.Errorf(crowbar.Unavailable, "gave up after %d tries, in each of which another daemon was faster: %w", try, err)
		}
	}
}

// run computes, and does what goes with every change: addresses for what is bound to a network, seals for what may lie in
// the store only sealed. A panic is the verb's error and nobody else's.
func (e *Engine) run(v *verb, at *crowbar.Snapshot) (d *draft, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked: %v\n%s", p, debug.Stack())
		}
	}()
	d = &draft{s: at}
	if err := v.compute(d); err != nil {
		return nil, err
	}
	if err := d.settleNetworks(at); err != nil {
		return nil, err
	}
	sealed, err := e.sealed(at, d.s, d.changes)
	if err != nil || len(sealed) == 0 || &sealed[0] == &d.changes[0] {
		return d, err
	}
	d.changes = nil
	return d, d.add(sealed, nil)
}
