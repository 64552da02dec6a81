package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// resealBatch is how many objects are sealed anew in one commit.
const resealBatch = 100

// SealStatus says which keys seal how many values.
func (e *Engine) SealStatus() crowbar.SealStatus {
	e.mu.Lock() // asked first: what is counted after the end of the work is what it has left
	out := crowbar.SealStatus{Source: e.Ring.Source(), Busy: e.resealing, Error: e.resealError}
	e.mu.Unlock()
	counts := SealedBy(e.View(), e.Ring.KeyID)
	ids := e.Ring.IDs()
	for i, id := range ids {
		out.Keys = append(out.Keys, crowbar.SealKey{ID: id, Seals: i == 0, Here: true, Values: counts[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		if id != ids[0] {
			out.Left += counts[id]
		}
		if !slices.Contains(ids, id) {
			out.Keys = append(out.Keys, crowbar.SealKey{ID: id, Here: id == "", Values: counts[id]})
		}
	}
	return out
}

// RotateKeys makes a new sealing key, or with given takes the first one of the key file as it is now, and has everything
// sealed anew by KeepSealed. The older keys stay until ForgetKey.
func (e *Engine) RotateKeys(given bool) (crowbar.SealStatus, error) {
	change := e.Ring.Renew
	if given {
		change = e.Ring.Reload
	} else if d, ok := e.Store.(interface{ Daemons() []crowbar.Daemon }); ok && len(d.Daemons()) > 1 {
		return crowbar.SealStatus{}, crowbar.Errorf(crowbar.Conflict, "rotate secrets: %d daemons work on this state, and all need the new key: run `kubeclampd seal-key FILE` on one host, copy FILE to the others, then `kubeclamp secrets rotate --given`", len(d.Daemons()))
	}
	if err := change(); err != nil {
		return crowbar.SealStatus{}, fmt.Errorf("rotate secrets: %w", err)
	}
	// gofail: var keyChanged struct{}
	e.mu.Lock()
	e.resealing = true
	select {
	case e.reseal <- struct{}{}:
	default: // it is to look again already
	}
	e.mu.Unlock()
	return e.SealStatus(), nil
}

// ForgetKey takes a key that seals nothing any more out of the key file. What was sealed by it and is not in the state (a
// backup, a snapshot, an export) does not open any more then.
func (e *Engine) ForgetKey(id string) (crowbar.SealStatus, error) {
	if n := SealedBy(e.View(), e.Ring.KeyID)[id]; n > 0 {
		return crowbar.SealStatus{}, crowbar.Errorf(crowbar.Conflict, "forget key %s: it seals %d values: rotate first, and wait until it seals none", id, n)
	}
	// gofail: var beforeForget struct{}
	if err := e.Ring.Forget(id); err != nil {
		return crowbar.SealStatus{}, err
	}
	return e.SealStatus(), nil
}

// KeepSealed seals what older keys sealed anew by the first one, at the start and after each rotation, until ctx ends. It
// works in batches beside everything else, and can be cut off anywhere: each value says which key sealed it.
func (e *Engine) KeepSealed(ctx context.Context) error {
	for {
		err := e.resealAll(ctx)
		e.mu.Lock()
		e.resealing, e.resealError = len(e.reseal) > 0, "" // a rotation may have come meanwhile
		if err != nil && ctx.Err() == nil {
			e.resealError = err.Error()
			e.Log.Error("secrets are not all sealed anew; the older keys still open them", "error", err)
		}
		e.mu.Unlock()
		select {
		case <-e.reseal:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// resealAll goes on until nothing is left that it can seal anew; what does not open it leaves as it is, and says so.
func (e *Engine) resealAll(ctx context.Context) error {
	bad := map[name]error{}
	for ctx.Err() == nil {
		todo := slices.DeleteFunc(e.outdated(), func(n name) bool { return bad[n] != nil })
		if len(todo) == 0 {
			return errors.Join(slices.Collect(maps.Values(bad))...)
		}
		e.Log.Info("sealing secrets anew", "objects", len(todo), "key", e.Ring.IDs()[0])
		for batch := range slices.Chunk(todo, resealBatch) {
			if err := e.change(ctx, func(d *draft) error { e.resealBatch(d, batch, bad); return nil }); err != nil {
				return fmt.Errorf("seal anew: %w", err)
			}
			// gofail: var sealedAnew struct{}
		}
	}
	return ctx.Err()
}

// outdated names the objects that have a value which another key than the first sealed.
func (e *Engine) outdated() []name {
	var out []name
	s, isOld := e.View(), e.isOld()
	for _, k := range sealing {
		for o := range s.All(k) {
			old := false
			eachSealed(o, func(sealed []byte) { old = old || isOld(sealed) })
			if old {
				out = append(out, name{k, o.Key()})
			}
		}
	}
	return out
}

// isOld says of a sealed value that it is to be sealed anew.
func (e *Engine) isOld() func(sealed []byte) bool {
	first := e.Ring.IDs()[0]
	return func(sealed []byte) bool { return e.Ring.KeyID(sealed) != first }
}

func (e *Engine) resealBatch(d *draft, batch []name, bad map[name]error) {
	isOld := e.isOld()
	for _, n := range batch {
		o := d.s.Get(n.kind, n.id)
		if o == nil {
			continue
		}
		fresh, err := e.resealed(o, isOld)
		if err != nil {
			bad[n] = err
		} else if fresh != o {
			d.put(fresh)
		}
	}
}

func (e *Engine) resealed(o crowbar.Object, isOld func([]byte) bool) (crowbar.Object, error) {
	again := func(sealed *[]byte, place string) error {
		plain, err := e.Ring.Open(*sealed, place)
		if err == nil {
			*sealed = e.Ring.Seal(plain, place)
		}
		return err
	}
	switch o := o.(type) {
	case *crowbar.Secret:
		if !isOld(o.Sealed) {
			return o, nil
		}
		c := clone(o)
		return c, again(&c.Sealed, o.Place())
	case *crowbar.User:
		if len(o.Credentials) == 0 || !isOld(o.Credentials) {
			return o, nil
		}
		c := clone(o)
		return c, again(&c.Credentials, o.Place())
	case *crowbar.EventSink:
		c := clone(o)
		for what, sealed := range map[string]*[]byte{sinkPassword: &c.Authenticator, sinkSecret: &c.Secret} {
			if len(*sealed) > 0 && isOld(*sealed) {
				if err := again(sealed, o.Place(what)); err != nil {
					return o, err
				}
			}
		}
		return c, nil
	case *crowbar.AuditHead:
		if len(o.Sealed) == 0 || !isOld(o.Sealed) {
			return o, nil
		}
		c := clone(o)
		return c, again(&c.Sealed, o.Place())
	case *crowbar.Hammer:
		if len(o.Authenticator) == 0 || !isOld(o.Authenticator) {
			return o, nil
		}
		c := clone(o)
		return c, again(&c.Authenticator, o.Place())
	}
	return attrib.Reseal(o, isOld, e.Ring)
}
