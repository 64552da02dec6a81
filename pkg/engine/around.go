package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rule says what holds for one kind of what is around nodes.
type rule struct {
	fill  func(d *draft, o crowbar.Object) error        // what a new one has where nothing is said; nil = nothing
	check func(d *draft, o crowbar.Object) error        // whether the state can hold it, with all others
	after func(d *draft, was, now crowbar.Object) error // what follows when it is put; was is nil for a new one
	drop  func(d *draft, o crowbar.Object) error        // what goes with it, or why it stays
}

// ruleOf is the rule of a kind that Make, Edit and Destroy know.
func (e *Engine) ruleOf(k crowbar.Kind) (rule, error) {
	switch k {
	case crowbar.KindGroup:
		return rule{fill: of(fillGroup), check: of(checkGroup), drop: of(leaveGroup)}, nil
	case crowbar.KindNetwork:
		return rule{fill: of(fillNetwork), check: of(checkNetwork), after: from(networkChanged), drop: of(dropNetwork)}, nil
	case crowbar.KindRange:
		return rule{check: of(checkRange), drop: of(dropRange)}, nil
	case crowbar.KindRouter:
		return rule{fill: of(fillRouter), check: of(checkRouter), after: from(routerChanged), drop: of(dropRouter)}, nil
	case crowbar.KindAllocation:
		return rule{check: of(noOther), drop: of(dropAllocation)}, nil
	case crowbar.KindDNSNameFilter:
		return rule{fill: of(fillFilter), check: of(checkFilter)}, nil
	case crowbar.KindAvailableHammer:
		return rule{check: of(checkAvailableHammer), drop: of(dropAvailableHammer)}, nil
	case crowbar.KindHammer:
		return rule{fill: of(fillHammer), check: of(checkHammer), after: from(hammerChanged), drop: of(dropHammer)}, nil
	case crowbar.KindEventSink:
		return rule{check: of(checkSink), after: from(sinkChanged), drop: of(dropSink)}, nil
	case crowbar.KindEventSelector:
		return rule{check: of(checkSelector)}, nil
	case crowbar.KindUser:
		return rule{check: of(checkUser), after: from(e.userChanged)}, nil
	}
	return rule{}, crowbar.Errorf(crowbar.Invalid, "%s are not made, changed or deleted by themselves", k)
}

func of[P crowbar.Object](f func(*draft, P) error) func(*draft, crowbar.Object) error {
	return func(d *draft, o crowbar.Object) error { return f(d, o.(P)) }
}

func from[P crowbar.Object](f func(d *draft, was, now P) error) func(*draft, crowbar.Object, crowbar.Object) error {
	return func(d *draft, was, now crowbar.Object) error {
		old, _ := was.(P)
		return f(d, old, now.(P))
	}
}

// Make adds something that is around nodes: a group, network, range, router, DNS filter, hammer or user, with all that
// comes with it. What follows the first is made in the same commit, and belongs to it: ranges and a router to their network.
func (e *Engine) Make(ctx context.Context, o crowbar.Object, with ...crowbar.Object) (crowbar.Object, error) {
	var id crowbar.ID
	err := e.change(ctx, func(d *draft) error {
		made, err := e.make(d, o)
		if err != nil {
			return err
		}
		id = made.Key()
		for _, more := range with {
			more = shallow(more)
			belong(more, id)
			if _, err := e.make(d, more); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", described(o), err)
	}
	return e.View().Get(o.Kind(), id), nil
}

func (e *Engine) make(d *draft, o crowbar.Object) (crowbar.Object, error) {
	if a, ok := o.(*crowbar.Allocation); ok {
		return allocate(d, a)
	}
	r, err := e.ruleOf(o.Kind())
	if err != nil {
		return nil, err
	}
	o = shallow(o)
	identify(o, d.s.Next())
	*stampsOf(o) = crowbar.Stamps{}
	if r.fill != nil {
		if err := r.fill(d, o); err != nil {
			return nil, err
		}
	}
	return o, r.take(d, nil, o)
}

// take puts what its rule allows.
func (r rule) take(d *draft, was, now crowbar.Object) error {
	if err := r.check(d, now); err != nil {
		return err
	}
	d.put(now)
	if r.after == nil {
		return nil
	}
	return r.after(d, was, now)
}

// Edit changes a copy of something that Make makes, and stores it if it still is something that Make would take.
func (e *Engine) Edit(ctx context.Context, k crowbar.Kind, id crowbar.ID, edit func(crowbar.Object) error) (crowbar.Object, error) {
	err := e.around(ctx, "update", k, id, func(d *draft, r rule, was crowbar.Object) error {
		now := shallow(was)
		if err := edit(now); err != nil {
			return err
		}
		identify(now, id)
		*stampsOf(now) = *stampsOf(was)
		return r.take(d, was, now)
	})
	if err != nil {
		return nil, err
	}
	return e.View().Get(k, id), nil
}

// Destroy drops something that Make makes, with all that came with it.
func (e *Engine) Destroy(ctx context.Context, k crowbar.Kind, id crowbar.ID) error {
	return e.around(ctx, "delete", k, id, func(d *draft, r rule, o crowbar.Object) error {
		if r.drop != nil {
			if err := r.drop(d, o); err != nil {
				return err
			}
		}
		if d.s.Get(k, id) != nil {
			d.drop(o)
		}
		return nil
	})
}

func (e *Engine) around(ctx context.Context, verb string, k crowbar.Kind, id crowbar.ID, do func(*draft, rule, crowbar.Object) error) error {
	what := fmt.Sprintf("%s %d", k, id)
	err := e.change(ctx, func(d *draft) error {
		r, err := e.ruleOf(k)
		if err != nil {
			return err
		}
		o := d.s.Get(k, id)
		if o == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		what = described(o)
		return do(d, r, o)
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, what, err)
	}
	return nil
}

// belong says of a range or router which network it is of.
func belong(o crowbar.Object, network crowbar.ID) {
	switch o := o.(type) {
	case *crowbar.Range:
		o.Network = network
	case *crowbar.Router:
		o.Network = network
	}
}

func identify(o crowbar.Object, id crowbar.ID) {
	switch o := o.(type) {
	case *crowbar.Group:
		o.ID = id
	case *crowbar.Network:
		o.ID = id
	case *crowbar.Range:
		o.ID = id
	case *crowbar.Router:
		o.ID = id
	case *crowbar.Allocation:
		o.ID = id
	case *crowbar.DNSNameFilter:
		o.ID = id
	case *crowbar.AvailableHammer:
		o.ID = id
	case *crowbar.Hammer:
		o.ID = id
	case *crowbar.User:
		o.ID = id
	case *crowbar.EventSink:
		o.ID = id
	case *crowbar.EventSelector:
		o.ID = id
	}
}

// described names such an object for people.
func described(o crowbar.Object) string {
	switch o := o.(type) {
	case *crowbar.Group:
		return fmt.Sprintf("group %q", o.Name)
	case *crowbar.Network:
		return fmt.Sprintf("network %q", o.Name)
	case *crowbar.Range:
		return fmt.Sprintf("range %q", o.Name)
	case *crowbar.Router:
		return fmt.Sprintf("router %q", o.Address)
	case *crowbar.Allocation:
		return fmt.Sprintf("allocation %q", o.Address)
	case *crowbar.DNSNameFilter:
		return fmt.Sprintf("DNS name filter %q", o.Name)
	case *crowbar.AvailableHammer:
		return fmt.Sprintf("available hammer %q", o.Name)
	case *crowbar.Hammer:
		return fmt.Sprintf("hammer %q", o.Name)
	case *crowbar.User:
		return fmt.Sprintf("user %q", o.Username)
	case *crowbar.EventSink:
		return fmt.Sprintf("event sink %q", o.Endpoint)
	case *crowbar.EventSelector:
		return "event selector"
	}
	return string(o.Kind())
}
