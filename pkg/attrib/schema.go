package attrib

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Check holds a value against an attrib's schema (kwalify). The error is of kind Invalid and names the attrib, the place in
// the value, and the rule that it breaks.
func Check(a *crowbar.Attrib, value any) error {
	if a.Schema == nil {
		return nil
	}
	if value == nil {
		if yes(a.Schema["required"]) {
			return crowbar.Errorf(crowbar.Invalid, "Attrib %s: a value is required", a.Name)
		}
		return nil
	}
	var broken []string
	check(a.Schema, value, "/"+a.Name, func(path, text string) { broken = append(broken, fmt.Sprintf("[%s]: %s", path, text)) })
	if len(broken) == 0 {
		return nil
	}
	shown, _ := json.Marshal(value)
	if a.Secret {
		shown = []byte("(secret)")
	}
	return crowbar.Errorf(crowbar.Invalid, "Attrib %s: New requested data %s failed schema validation\n%s", a.Name, shown, strings.Join(broken, "\n"))
}

func yes(v any) bool { b, _ := v.(bool); return b }

type complain func(path, text string)

func check(rule crowbar.Data, v any, path string, bad complain) {
	kind, _ := rule["type"].(string)
	if kind == "" {
		kind = "str"
		if rule["mapping"] != nil {
			kind = "map"
		} else if rule["sequence"] != nil {
			kind = "seq"
		}
	}
	is, known := kinds[kind]
	switch {
	case !known:
		bad(path, fmt.Sprintf("the schema has type %q, which is not known", kind))
		return
	case !is(v):
		bad(path, fmt.Sprintf("%s is not of type %s", shown(v), kind))
		return
	}
	switch v := v.(type) {
	case crowbar.Data:
		checkMap(rule, v, path, bad)
	case []any:
		checkList(rule, v, path, bad)
	default:
		checkScalar(rule, v, path, bad)
	}
}

// kinds says which values are of a type. JSON has one kind of number.
var kinds = map[string]func(any) bool{
	"str":   func(v any) bool { _, ok := v.(string); return ok },
	"int":   func(v any) bool { f, ok := v.(float64); return ok && f == math.Trunc(f) },
	"float": func(v any) bool { _, ok := v.(float64); return ok }, "number": func(v any) bool { _, ok := v.(float64); return ok },
	"bool": func(v any) bool { _, ok := v.(bool); return ok },
	"seq":  func(v any) bool { _, ok := v.([]any); return ok },
	"map":  func(v any) bool { _, ok := v.(crowbar.Data); return ok },
	"text": func(v any) bool { return scalarKind(v) && !isBool(v) }, "scalar": scalarKind, "any": func(any) bool { return true },
}

func isBool(v any) bool { _, ok := v.(bool); return ok }

func scalarKind(v any) bool {
	switch v.(type) {
	case crowbar.Data, []any:
		return false
	}
	return true
}

func checkMap(rule, v crowbar.Data, path string, bad complain) {
	mapping, _ := rule["mapping"].(crowbar.Data)
	if mapping == nil {
		return
	}
	other, _ := mapping["="].(crowbar.Data)
	for _, k := range sorted(v) {
		at := path + "/" + k
		one, ok := mapping[k].(crowbar.Data)
		switch {
		case k != "=" && ok && v[k] != nil:
			check(one, v[k], at, bad)
		case !ok && other != nil && v[k] != nil:
			check(other, v[k], at, bad)
		case !ok && other == nil:
			bad(at, "key is not known; known are "+strings.Join(sorted(mapping), ", "))
		}
	}
	for _, k := range sorted(mapping) {
		one, _ := mapping[k].(crowbar.Data)
		if k != "=" && yes(one["required"]) && v[k] == nil {
			bad(path+"/"+k, "is required")
		}
	}
}

func checkList(rule crowbar.Data, v []any, path string, bad complain) {
	sequence, _ := rule["sequence"].([]any)
	if len(sequence) == 0 {
		return
	}
	one, _ := sequence[0].(crowbar.Data)
	if one == nil {
		return
	}
	seen := map[string]bool{}
	for i, e := range v {
		at := fmt.Sprintf("%s/%d", path, i)
		if e == nil {
			if yes(one["required"]) {
				bad(at, "is required")
			}
			continue
		}
		check(one, e, at, bad)
		if text := crowbar.Text(e); yes(one["unique"]) && seen[text] {
			bad(at, shown(e)+" is there twice")
		} else {
			seen[text] = true
		}
	}
}

func checkScalar(rule crowbar.Data, v any, path string, bad complain) {
	text := crowbar.Text(v)
	if enum, ok := rule["enum"].([]any); ok && !slices.ContainsFunc(enum, func(e any) bool { return crowbar.Text(e) == text }) {
		words := make([]string, len(enum))
		for i, e := range enum {
			words[i] = crowbar.Text(e)
		}
		bad(path, fmt.Sprintf("%s is not one of %s", shown(v), strings.Join(words, ", ")))
	}
	if pattern, ok := rule["pattern"].(string); ok {
		re, err := regexp.Compile(strings.TrimSuffix(strings.TrimPrefix(pattern, "/"), "/"))
		if err != nil {
			bad(path, fmt.Sprintf("the schema's pattern %s is no regular expression", pattern))
		} else if !re.MatchString(text) {
			bad(path, fmt.Sprintf("%s does not match %s", shown(v), pattern))
		}
	}
	if span, ok := rule["range"].(crowbar.Data); ok {
		if f, number := v.(float64); number {
			within(span, f, "", shown(v), path, bad)
		}
	}
	if span, ok := rule["length"].(crowbar.Data); ok {
		if s, is := v.(string); is {
			within(span, float64(utf8.RuneCountInString(s)), "length of ", shown(v), path, bad)
		}
	}
}

// within keeps min, max, min-ex and max-ex.
func within(span crowbar.Data, f float64, what, shown, path string, bad complain) {
	for _, limit := range []struct {
		key, text string
		out       func(limit float64) bool
	}{
		{"min", "less than", func(l float64) bool { return f < l }},
		{"max", "more than", func(l float64) bool { return f > l }},
		{"min-ex", "not more than", func(l float64) bool { return f <= l }},
		{"max-ex", "not less than", func(l float64) bool { return f >= l }},
	} {
		if l, ok := span[limit.key].(float64); ok && limit.out(l) {
			bad(path, fmt.Sprintf("%s%s is %s %s", what, shown, limit.text, crowbar.Text(l)))
		}
	}
}

func shown(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func sorted(d crowbar.Data) []string {
	out := make([]string, 0, len(d))
	for k := range d {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
