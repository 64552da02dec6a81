package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// Around makes, changes and drops what is around nodes: groups, networks, names, hammers.
type Around interface {
	CreateNodeIn(ctx context.Context, n crowbar.Node, network crowbar.ID, address string) (*crowbar.Node, error)
	Make(ctx context.Context, o crowbar.Object, with ...crowbar.Object) (crowbar.Object, error)
	Edit(ctx context.Context, k crowbar.Kind, id crowbar.ID, edit func(crowbar.Object) error) (crowbar.Object, error)
	Destroy(ctx context.Context, k crowbar.Kind, id crowbar.ID) error
	Join(ctx context.Context, group, node crowbar.ID, member bool) error
	Sinking
	SetAuthenticator(ctx context.Context, hammer crowbar.ID, text string) error
}

// noun is one kind of what is around nodes, as requests tell of it.
type noun struct {
	kind crowbar.Kind
	need []string // that a new one must be told
	keys []string // that may be changed
	// onto takes what a request says into an object; fresh for one that is being made.
	onto func(s *crowbar.Snapshot, o crowbar.Object, p params, fresh bool) error
	// with is what is made together with a new one; nil = nothing.
	with func(p params) ([]crowbar.Object, error)
	// then is what is done with one that was made or changed; nil = nothing.
	then func(ctx context.Context, e Engine, id crowbar.ID, p params) error
}

// told makes a noun's onto of a function that knows its form and its object.
func told[P crowbar.Object, F any](take func(s *crowbar.Snapshot, o P, f F, p params, fresh bool) error) func(*crowbar.Snapshot, crowbar.Object, params, bool) error {
	return func(s *crowbar.Snapshot, o crowbar.Object, p params, fresh bool) error {
		var f F
		if err := p.into(&f); err != nil {
			return err
		}
		return take(s, o.(P), f, p, fresh)
	}
}

// nouns are those that are told of in the same way.
func nouns() []noun {
	return []noun{groupNoun(), networkNoun(), rangeNoun(), routerNoun(), filterNoun(), availableHammerNoun(), hammerNoun(), sinkNoun(), selectorNoun()}
}

func (a *API) routeAround() {
	for _, n := range nouns() {
		at := "/api/v2/" + string(n.kind)
		a.handle("POST "+at, func(r *http.Request) (form, any, error) {
			p, err := read(r)
			if err != nil {
				return "", nil, err
			}
			if n.kind == crowbar.KindNetwork && a.tongue(r) == rebars {
				networkName(p)
			}
			return a.made(r.Context(), n, p)
		})
		e := a.nounEditor(n)
		a.handle("PUT "+at+"/{id}", a.put(n.kind, e))
		a.handle("PATCH "+at+"/{id}", a.patch(n.kind, e))
		if n.kind != crowbar.KindNetwork {
			a.handle("DELETE "+at+"/{id}", a.destroyed(n.kind))
		}
	}
	for _, k := range []crowbar.Kind{crowbar.KindGroup, crowbar.KindNetwork, crowbar.KindRange, crowbar.KindRouter, crowbar.KindAllocation,
		crowbar.KindDNSNameFilter, crowbar.KindAvailableHammer, crowbar.KindHammer, crowbar.KindEventSink, crowbar.KindEventSelector} {
		at := "/api/v2/" + string(k)
		if k != crowbar.KindNetwork && k != crowbar.KindAllocation {
			a.handle("GET "+at, a.list(k))
		}
		a.handle("GET "+at+"/{id}", a.show(k))
		a.handle("GET "+at+"/sample", a.sample(k))
		a.handle("POST "+at+"/match", a.match(k))
	}
	a.handle("GET /api/v2/event_sinks/{id}/event_selectors", a.selectorsOf)
	a.routeGroups()
	a.routeNetworks()
	a.routeNames()
}

// made makes what a request tells of.
func (a *API) made(ctx context.Context, n noun, p params) (form, any, error) {
	for _, key := range n.need {
		if p[key] == nil {
			return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "%s: it is missing", key), http.StatusInternalServerError)
		}
	}
	o := engine.Blank(n.kind)
	if err := n.onto(a.Engine.View(), o, p, true); err != nil {
		return "", nil, err
	}
	var with []crowbar.Object
	if n.with != nil {
		var err error
		if with, err = n.with(p); err != nil {
			return "", nil, err
		}
	}
	o, err := a.Engine.Make(ctx, o, with...)
	if err == nil && n.then != nil {
		err = n.then(ctx, a.Engine, o.Key(), p)
	}
	return form(singular(n.kind) + ".obj"), o, err
}

func (a *API) nounEditor(n noun) editor {
	return editor{n.keys, func(ctx context.Context, id crowbar.ID, p params) error {
		s := a.Engine.View()
		_, err := a.Engine.Edit(ctx, n.kind, id, func(o crowbar.Object) error { return n.onto(s, o, p, false) })
		if err == nil && n.then != nil {
			err = n.then(ctx, a.Engine, id, p)
		}
		return err
	}}
}

func (a *API) destroyed(k crowbar.Kind) handler {
	return a.destroy(k, func(ctx context.Context, id crowbar.ID) error { return a.Engine.Destroy(ctx, k, id) })
}

// refer takes the id of the object that a request names, by its name or by its id, if it names one.
func refer(s *crowbar.Snapshot, k crowbar.Kind, to *crowbar.ID, keys ...*string) error {
	for _, key := range keys {
		if key == nil {
			continue
		}
		o, err := find(s, k, *key)
		if err != nil {
			return err
		}
		*to = o.Key()
	}
	return nil
}

// cleared says that a patch sets a key to null.
func cleared(p params, key string) bool {
	v, said := p[key]
	return said && v == nil
}

// optional sets an optional field: to what was said, or to nothing where a patch says null.
func optional[T any](to **T, said *T, p params, key string) {
	switch {
	case said != nil:
		*to = said
	case cleared(p, key):
		*to = nil
	}
}

// sorted is the objects of a kind in the order in which they are listed: by id, but for filters, which go by priority.
func sorted(s *crowbar.Snapshot, k crowbar.Kind) []crowbar.Object {
	out := make([]crowbar.Object, 0, s.Count(k))
	for o := range s.All(k) {
		out = append(out, o)
	}
	if k == crowbar.KindDNSNameFilter {
		slices.SortStableFunc(out, func(x, y crowbar.Object) int {
			return cmp.Compare(x.(*crowbar.DNSNameFilter).Priority, y.(*crowbar.DNSNameFilter).Priority)
		})
	}
	return out
}
