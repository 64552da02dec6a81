package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-viper/mapstructure/v2"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// params is what a request says, as Rails sees it: the query and the body (JSON or a form) in one. What is null was not
// said. The body counts above the query.
type params map[string]any

// read takes a request's parameters.
func read(r *http.Request) (params, error) {
	p := params{}
	if err := p.add(r.URL.Query()); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, unread(err)
	}
	if len(strings.TrimSpace(string(b))) == 0 {
		return p, nil
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t == "application/x-www-form-urlencoded" && b[0] != '{' {
		if bytes.Count(b, []byte("&")) >= maxParams {
			return nil, legacy(crowbar.Errorf(crowbar.Invalid, "request body: there are more than %d parameters", maxParams), http.StatusBadRequest)
		}
		form, err := url.ParseQuery(string(b))
		if err != nil {
			return nil, legacy(crowbar.Errorf(crowbar.Invalid, "request body: %w", err), http.StatusBadRequest)
		}
		return p, p.add(form)
	}
	v, err := tree(b)
	if err != nil {
		return nil, legacy(err, http.StatusBadRequest)
	}
	said, ok := v.(map[string]any)
	if !ok {
		return nil, legacy(crowbar.Errorf(crowbar.Invalid, "request body: want a JSON object"), http.StatusBadRequest)
	}
	for k, v := range said {
		if v != nil {
			p[k] = v
		}
	}
	return p, nil
}

// tree reads one JSON value of bounded depth.
func tree(b []byte) (v any, err error) {
	if err := sound(b); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "request body: %w", err)
	}
	return v, nil
}

func unread(err error) error {
	return legacy(crowbar.Errorf(crowbar.Invalid, "request body: it broke off: %w", err), http.StatusBadRequest)
}

// add takes what a form says: a, or a[b] for a key of a key.
func (p params) add(form url.Values) error {
	for k, vs := range form {
		if len(vs) == 0 {
			continue
		}
		if !plainText(k + vs[len(vs)-1]) {
			return legacy(crowbar.Errorf(crowbar.Invalid, "parameter %q: want UTF-8 without NUL", k), http.StatusBadRequest)
		}
		outer, rest, nested := strings.Cut(k, "[")
		if !nested {
			p[k] = vs[len(vs)-1]
			continue
		}
		inner, ok := strings.CutSuffix(rest, "]")
		if !ok || strings.Contains(inner, "[") || outer == "" {
			return legacy(crowbar.Errorf(crowbar.Invalid, "parameter %q: want name, or name[key]", k), http.StatusBadRequest)
		}
		m, _ := p[outer].(map[string]any)
		if m == nil {
			m = map[string]any{}
		}
		m[inner] = vs[len(vs)-1]
		p[outer] = m
	}
	return nil
}

// into fills a struct by its json tags. Texts are taken for numbers and booleans where those are wanted, as old clients
// send them; keys that are not known are ignored.
func (p params) into(v any) error {
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{Result: v, TagName: "json", WeaklyTypedInput: true, Squash: true,
		MatchName: func(key, field string) bool { return key == field }})
	if err != nil {
		return err
	}
	if err := d.Decode(map[string]any(p)); err != nil {
		return legacy(crowbar.Errorf(crowbar.Invalid, "request: %w", plain(err)), http.StatusBadRequest)
	}
	return nil
}

// plain is the decoder's error in one line.
func plain(err error) error {
	return errors.New(strings.Join(strings.Fields(err.Error()), " "))
}

// asked reads a request's parameters into a struct.
func asked(r *http.Request, v any) error {
	p, err := read(r)
	if err != nil {
		return err
	}
	return p.into(v)
}
