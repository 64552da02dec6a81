package ui

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Spec is the description of the REST API, as plain JSON.
type Spec struct {
	Paths               map[string]map[string]any
	Parameters, Schemas map[string]any
}

// apiPage is the routes that have the words that were looked for.
type apiPage struct {
	Query      string
	Found, All int
	Groups     []routeGroup
}

type routeGroup struct {
	Name   string
	Routes []route
}

// route is one operation.
type route struct {
	Method, Path, Summary, About string
	Params                       []parameter
	Takes                        []parameter // keys of its body
	Answers                      []answerOf
}

type parameter struct {
	Name, In, Type, About string
	Required              bool
}

type answerOf struct{ Code, About, Forms string }

func (u *UI) api(r *http.Request, _ *crowbar.Snapshot, _ Visitor) (page, error) {
	p := apiPage{Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	if u.Spec == nil {
		return page{}, crowbar.Errorf(crowbar.NotFound, "This daemon has no description of its API.")
	}
	spec, err := u.Spec()
	if err != nil {
		return page{}, err
	}
	groups := map[string][]route{}
	words := strings.Fields(strings.ToLower(p.Query))
	for at, methods := range spec.Paths {
		for method, v := range methods {
			op := dict(v)
			if op == nil || method == "parameters" {
				continue
			}
			p.All++
			o := spec.route(strings.ToUpper(method), at, op)
			text := strings.ToLower(o.Method + " " + o.Path + " " + o.Summary + " " + o.About)
			if slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				continue
			}
			p.Found++
			tags, _ := op["tags"].([]any)
			name := "other"
			if len(tags) > 0 {
				name = fmt.Sprint(tags[0])
			}
			groups[name] = append(groups[name], o)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		slices.SortFunc(groups[name], func(a, b route) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(methodOrder(a.Method), methodOrder(b.Method)))
		})
		p.Groups = append(p.Groups, routeGroup{name, groups[name]})
	}
	return page{name: "api", title: "API reference", menu: "/docs", body: p}, nil
}

func methodOrder(m string) int {
	return slices.Index([]string{"GET", "POST", "PUT", "PATCH", "DELETE"}, m)
}

func dict(v any) map[string]any { m, _ := v.(map[string]any); return m }

func words(m map[string]any, key string) string { s, _ := m[key].(string); return s }

// follow is what a reference leads to, or the thing itself.
func (s Spec) follow(v any) map[string]any {
	m := dict(v)
	ref := words(m, "$ref")
	if name, is := strings.CutPrefix(ref, "#/components/parameters/"); is {
		return dict(s.Parameters[name])
	}
	if name, is := strings.CutPrefix(ref, "#/components/schemas/"); is {
		return dict(s.Schemas[name])
	}
	return m
}

func (s Spec) route(method, at string, op map[string]any) route {
	o := route{Method: method, Path: at, Summary: words(op, "summary"), About: words(op, "description")}
	all, _ := op["parameters"].([]any)
	for _, v := range all {
		p := s.follow(v)
		required, _ := p["required"].(bool)
		o.Params = append(o.Params, parameter{words(p, "name"), words(p, "in"), s.typeOf(p["schema"]), words(p, "description"), required})
	}
	body := dict(dict(op["requestBody"])["content"])
	if forms := slices.Sorted(maps.Keys(body)); len(forms) > 0 { // all have the same keys
		schema := s.follow(dict(body[forms[0]])["schema"])
		for _, k := range slices.Sorted(maps.Keys(dict(schema["properties"]))) {
			v := dict(schema["properties"])[k]
			o.Takes = append(o.Takes, parameter{Name: k, Type: s.typeOf(v), About: words(dict(v), "description")})
		}
	}
	answers := dict(op["responses"])
	for _, code := range slices.Sorted(maps.Keys(answers)) {
		if code == "default" {
			continue
		}
		a := dict(answers[code])
		forms := slices.DeleteFunc(slices.Sorted(maps.Keys(dict(a["content"]))), func(f string) bool { return strings.Contains(f, "vnd.rebar") })
		o.Answers = append(o.Answers, answerOf{code, words(a, "description"), strings.Join(forms, ", ")})
	}
	return o
}

func (s Spec) typeOf(v any) string {
	m := dict(v)
	if ref := words(m, "$ref"); ref != "" {
		return ref[strings.LastIndexByte(ref, '/')+1:]
	}
	switch t := m["type"].(type) {
	case string:
		if t == "array" {
			return "list of " + cmp.Or(s.typeOf(m["items"]), "anything")
		}
		return t
	case []any:
		var out []string
		for _, one := range t {
			out = append(out, fmt.Sprint(one))
		}
		return strings.Join(out, " or ")
	}
	return ""
}
