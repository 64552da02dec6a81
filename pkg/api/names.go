package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

type filterForm struct {
	Name     *string `json:"name"`
	Matcher  *string `json:"matcher"`
	Priority *int    `json:"priority"`
	Service  *string `json:"service"`
	Template *string `json:"template"`
}

func filterNoun() noun {
	keys := []string{"name", "matcher", "priority", "service", "template"}
	return noun{kind: crowbar.KindDNSNameFilter, need: keys, keys: keys,
		onto: told(func(_ *crowbar.Snapshot, o *crowbar.DNSNameFilter, f filterForm, _ params, _ bool) error {
			set(&o.Name, f.Name)
			set(&o.Matcher, f.Matcher)
			set(&o.Priority, f.Priority)
			set(&o.Service, f.Service)
			set(&o.Template, f.Template)
			return nil
		})}
}

// entryWire is a name of an address. It is worked out when it is asked for, and so is only read.
type entryWire struct {
	ID         ref    `json:"id"`
	Allocation ref    `json:"network_allocation_id"`
	Filter     ref    `json:"dns_name_filter_id"`
	Name       string `json:"name"`
	RRType     string `json:"rr_type"`
	stamps
}

func (a *API) routeNames() {
	a.handle("GET /api/v2/dns_name_entries", func(r *http.Request) (form, any, error) { return "dns_name_entry.list", a.entriesFor(r), nil })
	a.handle("GET /api/v2/dns_name_entries/{id}", a.entry)
	a.handle("GET /api/v2/dns_name_entries/sample", func(*http.Request) (form, any, error) {
		return "dns_name_entry.obj", map[string]any{"name": "", "rr_type": "A"}, nil
	})
	a.handle("POST /api/v2/dns_name_entries/match", a.matchEntries)
}

func (a *API) entries() []entryWire {
	out := []entryWire{}
	for _, e := range zone.Entries(a.Engine.View()) {
		out = append(out, entryWire{ref(e.ID), ref(e.Allocation), ref(e.Filter), e.Name, e.RRType, stampsOf(e.Stamps)})
	}
	return out
}

func (e entryWire) uuid() string { return uuidOf("dns_name_entries", crowbar.ID(e.ID), time.Time{}) }

func (a *API) entryFor(r *http.Request, e entryWire) any {
	if a.tongue(r) == rebars {
		return plus{e, rebarObject{e.uuid()}}
	}
	return e
}

func (a *API) entriesFor(r *http.Request) []any {
	out := []any{}
	for _, e := range a.entries() {
		out = append(out, a.entryFor(r, e))
	}
	return out
}

func (a *API) entry(r *http.Request) (form, any, error) {
	key := r.PathValue("id")
	for _, e := range a.entries() {
		if crowbar.ID(e.ID).String() == key || e.Name == key || strings.EqualFold(key, e.uuid()) {
			return "dns_name_entry.obj", a.entryFor(r, e), nil
		}
	}
	return "", nil, &absent{"dns_name_entry", key, "they are made of filters and allocations"}
}

func (a *API) matchEntries(r *http.Request) (form, any, error) {
	p, err := read(r)
	if err != nil {
		return "", nil, err
	}
	out := []any{}
	var find picker
	for _, e := range a.entriesFor(r) {
		is, err := find.takes(e, p)
		if err != nil {
			return "", nil, err
		}
		if is {
			out = append(out, e)
		}
	}
	return "dns_name_entry.list", out, nil
}
