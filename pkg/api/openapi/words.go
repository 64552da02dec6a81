package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// noun is a kind of objects with its standard routes.
type noun struct {
	One     string         `yaml:"one"`
	Routes  string         `yaml:"routes"`
	Within  string         `yaml:"within"`
	Crowbar map[string]any `yaml:"crowbar"`
	Own     map[string]any `yaml:"own"`
	Rebar   map[string]any `yaml:"rebar"` // beyond crowbar's, and uuid
	Takes   map[string]any `yaml:"takes"`
	Sample  map[string]any `yaml:"sample"` // where it is not the object without ids and times
	Query   map[string]struct {
		On    string `yaml:"on"`
		About string `yaml:"about"`
	} `yaml:"query"`
}

// standard is what the words of noun.Routes stand for.
var standard = map[string]struct{ method, below, form, summary string }{
	"list":    {"get", "", "list", "All %s"},
	"sample":  {"get", "/sample", "obj", "One of the %s as it would be where nothing is said: without id, references and times"},
	"match":   {"post", "/match", "list", "The %s that have these values"},
	"show":    {"get", "/{id}", "obj", "One of the %s"},
	"create":  {"post", "", "obj", "Make one of the %s"},
	"update":  {"put", "/{id}", "obj", "Change one of the %s"},
	"patch":   {"patch", "/{id}", "obj", "Change one of the %s by a JSON patch"},
	"destroy": {"delete", "/{id}", "empty", "Delete one of the %s"},
}

func (d *Document) noun(plural string, n noun) error {
	if err := d.shapes(n); err != nil {
		return err
	}
	path := "/api/v2/" + plural
	for _, word := range strings.Fields(n.Routes) {
		s, ok := standard[word]
		if !ok {
			return fmt.Errorf("routes: there is no standard route %q", word)
		}
		op := map[string]any{"summary": fmt.Sprintf(s.summary, plural), "answer": n.One + "." + s.form, "of": n.answer(s.form, word)}
		switch word {
		case "match":
			op["body"] = "=match"
		case "patch":
			op["body"] = "=patch"
		case "create", "update":
			op["takes"] = n.Takes
		}
		var query []any
		for name, q := range n.Query {
			if q.On == word {
				query = append(query, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "boolean"}, "description": q.About})
			}
		}
		if word == "list" {
			query = append(query, paging()...)
		}
		op["parameters"] = query
		if err := d.operation(path+s.below, s.method, op); err != nil {
			return err
		}
	}
	for _, below := range strings.Fields(n.Within) {
		one := strings.TrimSuffix(below, "s")
		op := map[string]any{"summary": fmt.Sprintf("The %s of one of the %s", below, plural), "answer": one + ".list", "of": "list of =" + one, "parameters": paging()}
		if err := d.operation(path+"/{id}/"+below, "get", op); err != nil {
			return err
		}
	}
	return nil
}

// paging is what a list may be asked for.
func paging() []any {
	return []any{ref("parameters", "limit"), ref("parameters", "offset"), ref("parameters", "after"), ref("parameters", "sort"), ref("parameters", "filter")}
}

func (n noun) answer(form, word string) string {
	switch {
	case form == "empty":
		return "=message"
	case form == "list":
		return "list of =" + n.One
	case word == "sample":
		return "=" + n.One + ".sample"
	}
	return "=" + n.One
}

// shapes are the schemas of a noun: as OpenCrowbar's clients see it, as Digital Rebar's do, as ours do, any of them, and its sample.
func (d *Document) shapes(n noun) error {
	either := func(of ...any) any { return map[string]any{"anyOf": of} }
	theirs, err := shape(n.Crowbar)
	if err != nil {
		return err
	}
	keys := map[string]any{"uuid": "string"}
	maps.Copy(keys, n.Crowbar)
	maps.Copy(keys, n.Rebar)
	rebars, err := shape(keys)
	if err != nil {
		return err
	}
	all := map[string]any{"crowbar." + n.One: theirs, "rebar." + n.One: rebars}
	seen := []any{ref("schemas", "crowbar."+n.One), ref("schemas", "rebar."+n.One)}
	samples := []any{}
	for _, keys := range []map[string]any{n.Crowbar, keys, n.Own} {
		s, err := shape(sampled(keys))
		if err != nil {
			return err
		}
		if keys != nil {
			samples = append(samples, s)
		}
	}
	if n.Own != nil {
		ours, err := shape(n.Own)
		if err != nil {
			return err
		}
		all["own."+n.One] = ours
		seen = append(seen, ref("schemas", "own."+n.One))
	}
	all[n.One], all[n.One+".sample"] = either(seen...), either(samples...)
	if n.Sample != nil {
		if all[n.One+".sample"], err = shape(n.Sample); err != nil { // of a user: nothing at all
			return err
		}
	}
	return put(d.Components.Schemas, all)
}

func sampled(keys map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range keys {
		name := strings.TrimSuffix(k, "?")
		if name != "id" && name != "uuid" && !strings.HasSuffix(name, "_id") && !strings.HasSuffix(name, "_at") {
			out[k] = v
		}
	}
	return out
}

// shape is the schema of an object that has these keys and no others.
func shape(keys map[string]any) (map[string]any, error) {
	properties, required := map[string]any{}, []any{}
	for k, v := range keys {
		name, may := strings.CutSuffix(k, "?")
		s, err := schema(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		properties[name] = s
		if !may {
			required = append(required, name)
		}
	}
	slices.SortFunc(required, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}, nil
}

// taken is the schema of what a request says: texts stand for numbers and booleans, null says nothing, and there may be more.
func taken(keys map[string]any) (map[string]any, error) {
	properties := map[string]any{}
	for k, v := range keys {
		s, err := schema(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		switch s["type"] {
		case "integer", "boolean", "string":
			s["type"] = []any{"string", "integer", "boolean", "null"}
			delete(s, "minimum")
		}
		properties[k] = s
	}
	return map[string]any{"type": "object", "properties": properties}, nil
}

// schema is what a word stands for; what is no word is a schema already.
func schema(v any) (map[string]any, error) {
	word, is := v.(string)
	if !is {
		m, ok := plain(v).(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%v is neither a type nor a schema", v)
		}
		return m, nil
	}
	word, null := strings.CutSuffix(word, " or null")
	for prefix, around := range map[string]func(any) map[string]any{"list of ": listOf, "map of ": mapOf} {
		if inner, ok := strings.CutPrefix(word, prefix); ok {
			s, err := schema(inner)
			return orNull(around(s), null), err
		}
	}
	if name, ok := strings.CutPrefix(word, "="); ok {
		if null {
			return map[string]any{"anyOf": []any{ref("schemas", name), map[string]any{"type": "null"}}}, nil
		}
		return ref("schemas", name), nil
	}
	s := map[string]any{}
	switch word {
	case "id":
		s["type"], s["minimum"] = "integer", 1
	case "int":
		s["type"] = "integer"
	case "number", "string":
		s["type"] = word
	case "bool":
		s["type"] = "boolean"
	case "time":
		s["type"], s["format"] = "string", "date-time"
	case "data":
		s["type"] = "object"
	case "any":
		return s, nil
	default:
		return nil, fmt.Errorf("there is no type %q", word)
	}
	return orNull(s, null), nil
}

func orNull(s map[string]any, null bool) map[string]any {
	if null {
		s["type"] = []any{s["type"], "null"}
	}
	return s
}

func listOf(s any) map[string]any { return map[string]any{"type": "array", "items": s} }
func mapOf(s any) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": s}
}

// said turns an operation's own words into OpenAPI: answer and of into the response, takes or body into the request.
func said(op map[string]any) error {
	if takes, ok := op["takes"].(map[string]any); ok {
		s, err := taken(takes)
		if err != nil {
			return err
		}
		body := map[string]any{"schema": s}
		op["requestBody"] = map[string]any{"content": map[string]any{"application/json": body, "application/x-www-form-urlencoded": body}}
	}
	if op["body"] != nil {
		s, err := schema(op["body"])
		if err != nil {
			return err
		}
		kind := "application/json"
		if op["body"] == "=patch" {
			kind = "application/json-patch+json"
		}
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{kind: map[string]any{"schema": s}}}
	}
	if form, ok := op["answer"].(string); ok {
		s, err := schema(op["of"])
		if err != nil {
			return err
		}
		op["responses"] = map[string]any{"200": map[string]any{"description": "OK", "content": map[string]any{
			"application/vnd.crowbar." + form + "+json": map[string]any{"schema": s}}}}
	}
	for _, word := range []string{"takes", "body", "answer", "of"} {
		delete(op, word)
	}
	if p, ok := op["parameters"].([]any); ok && len(p) == 0 {
		delete(op, "parameters")
	}
	return nil
}
