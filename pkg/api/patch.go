package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// editor changes an object by what a request says of it. Keys that it does not know it ignores.
type editor struct {
	keys []string // of the object's JSON that may be changed
	edit func(ctx context.Context, id crowbar.ID, p params) error
}

// put changes an object by the keys that the request has.
func (a *API) put(k crowbar.Kind, e editor) handler {
	return func(r *http.Request) (form, any, error) {
		p, err := read(r)
		if err != nil {
			return "", nil, err
		}
		return a.edited(r, k, e, p)
	}
}

func (a *API) edited(r *http.Request, k crowbar.Kind, e editor, p params) (form, any, error) {
	id, err := findID(a.Engine.View(), k, r)
	if err != nil {
		return "", nil, err
	}
	if err := e.edit(r.Context(), id, p); err != nil {
		return "", nil, err
	}
	o := a.Engine.View().Get(k, id)
	if o == nil {
		return "", nil, missing(a.Engine.View(), k, id.String())
	}
	return form(singular(k) + ".obj"), o, nil
}

// patch changes an object by a JSON patch (RFC 6902) of its JSON. What the object computes by itself may be in the patch
// and is left alone; a change of anything else that nobody may set is refused.
func (a *API) patch(k crowbar.Kind, e editor) handler {
	return func(r *http.Request) (form, any, error) {
		o, err := find(a.Engine.View(), k, r.PathValue("id"))
		if err != nil {
			return "", nil, err
		}
		before, after, err := patched(r, a.shaped(r, o))
		if err != nil {
			return "", nil, err
		}
		p := params{}
		for key, v := range after {
			if text(v) == text(before[key]) {
				continue
			}
			switch {
			case slices.Contains(e.keys, key):
				if _, had := before[key].(string); had && v == nil {
					v = "" // null in a request means that it says nothing; here it was taken away
				}
				p[key] = v
			case has(before, key) && !slices.Contains(computedKeys, key):
				return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "Cannot update attribute %s for %s", key, class(k)), http.StatusInternalServerError)
			}
		}
		return a.edited(r, k, e, p)
	}
}

// computedKeys are made on reading.
var computedKeys = []string{"state", "node_error", "runlog", "updated_at", "actions", "uuid", "node-control-address", "proposed", "_proposed", "_role_name", "_role_icon"}

func has(m map[string]any, key string) bool { _, ok := m[key]; return ok }

// patched applies the request's patch to the JSON of v.
func patched(r *http.Request, v any) (before, after map[string]any, err error) {
	malformed := func(err error) error {
		return legacy(crowbar.Errorf(crowbar.Invalid, "Patch not formatted properly: want a list of operations (RFC 6902): %w", err), http.StatusInternalServerError)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil, unread(err)
	}
	if _, err := tree(b); err != nil {
		return nil, nil, legacy(err, http.StatusBadRequest)
	}
	ops, err := jsonpatch.DecodePatch(b)
	if err != nil {
		return nil, nil, malformed(err)
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, nil, err
	}
	opts := jsonpatch.NewApplyOptions()
	opts.AllowMissingPathOnRemove = true
	opts.AccumulatedCopySizeLimit = maxBody
	out, err := ops.ApplyWithOptions(doc, opts)
	if err != nil {
		return nil, nil, legacy(crowbar.Errorf(crowbar.Conflict, "patch: %w", err), http.StatusInternalServerError)
	}
	if err := json.Unmarshal(doc, &before); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(out, &after); err != nil {
		return nil, nil, malformed(err)
	}
	for key := range before { // what was removed is set to nothing
		if !has(after, key) {
			after[key] = nil
		}
	}
	return before, after, nil
}

// class is OpenCrowbar's class of a kind: node_roles -> NodeRole.
func class(k crowbar.Kind) string {
	var b strings.Builder
	for _, word := range strings.Split(singular(k), "_") {
		if word != "" {
			b.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}
	return b.String()
}
