package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
)

// only keeps those keys of an answer that the header x-return-attributes names: of the object, or of each in a list.
func only(r *http.Request, v any) (any, error) {
	header := r.Header.Get("X-Return-Attributes")
	if header == "" {
		return v, nil
	}
	var keys []string
	if err := json.Unmarshal([]byte(header), &keys); err != nil {
		return nil, legacy(crowbar.Errorf(crowbar.Invalid, `header x-return-attributes: want a JSON list such as ["id","name"]: %w`, err), http.StatusBadRequest)
	}
	t, err := jsonTree(v)
	if err != nil {
		return nil, err
	}
	keep := func(o any) any {
		m, ok := o.(map[string]any)
		if !ok {
			return o
		}
		out := map[string]any{}
		for _, k := range keys {
			if v, has := m[k]; has {
				out[k] = v
			}
		}
		return out
	}
	if l, ok := t.([]any); ok {
		for i := range l {
			l[i] = keep(l[i])
		}
		return l, nil
	}
	return keep(t), nil
}

// jsonTree is a value as it goes over the wire; numbers keep their digits.
func jsonTree(v any) (out any, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return out, d.Decode(&out)
}

// sample is an object with the defaults of its columns: without its id, what refers to others, and times.
func (a *API) sample(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		o := engine.Blank(k)
		if n, is := o.(*crowbar.Node); is && a.tongue(r) == rebars {
			n.BootEnv = rebarBootEnv
		}
		t, err := jsonTree(newMasker(crowbar.NewSnapshot(), a.tongue(r)).shape(o))
		if err != nil {
			return "", nil, err
		}
		m := t.(map[string]any)
		for key := range m {
			if key == "id" || key == "uuid" || strings.HasSuffix(key, "_id") || strings.HasSuffix(key, "_at") {
				delete(m, key)
			}
		}
		return form(singular(k) + ".obj"), m, nil
	}
}

// match finds the objects all of whose keys are what the request says; where it names none that there is, it finds nothing.
func (a *API) match(k crowbar.Kind) handler {
	return func(r *http.Request) (form, any, error) {
		p, err := read(r)
		if err != nil {
			return "", nil, err
		}
		s := a.Engine.View()
		m, out := newMasker(s, a.tongue(r)), []any{}
		var find picker
		for o := range s.All(k) {
			v := m.shape(o)
			is, err := a.matches(&find, m, o, v, p)
			if err != nil {
				return "", nil, err
			}
			if is {
				out = append(out, v)
			}
		}
		return form(singular(k) + ".list"), out, nil
	}
}

// matches says that an object has all that is asked for. Digital Rebar's clients may ask a node for the values of attribs, too.
func (a *API) matches(find *picker, m *masker, o crowbar.Object, v any, p params) (bool, error) {
	n, is := o.(*crowbar.Node)
	if !is || m.as != rebars {
		return find.takes(v, p)
	}
	rest, known := params{}, 0
	for name, want := range p {
		at := m.s.AttribNamed(name)
		if at == nil || at.Secret || find.has(v, name) {
			rest[name] = want
			continue
		}
		have, err := a.Engine.AttribIn(crowbar.KindNode, n.ID, name, "all")
		if err != nil || text(have) != text(want) {
			return false, nil //nolint:nilerr // a node on which the attrib's role is not has no value of it
		}
		known++
	}
	for name := range rest {
		if find.has(v, name) {
			return find.takes(v, rest)
		}
	}
	return known > 0, nil
}

// text compares as a database casts: true and "true", 7 and "7" are the same.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number, bool:
		return fmt.Sprint(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
