package api

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// paging is which part of a list a request asks for, and in which order. One that says nothing of it is given the whole list, as
// OpenCrowbar's clients expect.
type paging struct {
	offset, limit int // limit 0 = all
	byID          bool
	after         crowbar.ID // with byID: only those with a greater id
	sort          []string
	filter        params
}

func pageOf(r *http.Request) (p paging, err error) {
	offset, err := number(r, "offset")
	if err != nil {
		return p, err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return p, err
	}
	q := r.URL.Query()
	if q.Has("limit") && limit == 0 {
		return p, crowbar.Errorf(crowbar.Invalid, "limit=0: want a number from 1 on")
	}
	after, err := number(r, "after")
	if err != nil {
		return p, err
	}
	if q.Has("after") && (q.Has("offset") || q.Has("sort")) {
		return p, crowbar.Errorf(crowbar.Invalid, "after=%d goes by id: leave offset and sort out", after)
	}
	const most = 1 << 30
	p = paging{byID: q.Has("after"), after: crowbar.ID(after), offset: int(min(offset, most)), limit: int(min(limit, most)), sort: words(q["sort"]), filter: params{}}
	for name, values := range q {
		if key, ok := strings.CutPrefix(name, "filter["); ok && len(values) > 0 {
			p.filter[strings.TrimSuffix(key, "]")] = values[len(values)-1]
		}
	}
	return p, nil
}

// paged is the part of a list that was asked for, in the shape of its caller; how long the whole is stands in a header.
func (a *API) paged(w http.ResponseWriter, r *http.Request, all []crowbar.Object) (any, error) {
	p, err := pageOf(r)
	if err != nil {
		return nil, legacy(err, http.StatusBadRequest)
	}
	if p.byID {
		all = slices.DeleteFunc(slices.Clone(all), func(o crowbar.Object) bool { return o.Key() <= p.after })
		slices.SortStableFunc(all, func(x, y crowbar.Object) int { return cmp.Compare(x.Key(), y.Key()) })
	}
	if len(p.sort) == 0 && len(p.filter) == 0 {
		p.headers(w, r, len(all))
		return a.shaped(r, cutOut(p, all)), nil
	}
	shapes, _ := a.shaped(r, all).([]any)
	trees := make([]map[string]any, 0, len(shapes))
	for _, s := range shapes {
		t, err := jsonTree(s)
		if err != nil {
			return nil, err
		}
		m, _ := t.(map[string]any)
		if len(p.filter) == 0 || p.takes(m) {
			trees = append(trees, m)
		}
	}
	for _, key := range slices.Backward(p.sort) {
		key, down := strings.CutPrefix(key, "-")
		slices.SortStableFunc(trees, func(x, y map[string]any) int {
			if down {
				x, y = y, x
			}
			return compare(x[key], y[key])
		})
	}
	p.headers(w, r, len(trees))
	return cutOut(p, trees), nil
}

// takes says that an object has all values of the filter; a key that it does not have has none.
func (p paging) takes(o map[string]any) bool {
	for k, want := range p.filter {
		have, ok := o[k]
		if !ok || text(have) != text(want) {
			return false
		}
	}
	return true
}

// compare orders numbers by what they are, and everything else as text.
func compare(x, y any) int {
	a, isA := x.(json.Number)
	b, isB := y.(json.Number)
	if isA && isB {
		m, err := a.Float64()
		n, err2 := b.Float64()
		if err == nil && err2 == nil {
			return cmp.Compare(m, n)
		}
	}
	return strings.Compare(text(x), text(y))
}

func cutOut[T any](p paging, all []T) []T {
	all = all[min(p.offset, len(all)):]
	if p.limit > 0 && p.limit < len(all) {
		return all[:p.limit]
	}
	return all
}

// headers say how many there are, and where the next part is.
func (p paging) headers(w http.ResponseWriter, r *http.Request, total int) {
	w.Header().Set("X-Total-Count", strconv.Itoa(total))
	if next := p.offset + p.limit; p.limit > 0 && next < total {
		u := *r.URL
		q := u.Query()
		q.Set("offset", strconv.Itoa(next))
		u.RawQuery = q.Encode()
		w.Header().Set("Link", "<"+u.RequestURI()+`>; rel="next"`)
	}
}
