// Package openapi is the description of the API (OpenAPI 3.1), joined from the files of this folder. It does not know which
// routes the API has: a test of package api holds the two against each other.
package openapi

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed *.yaml
var files embed.FS

// Document is the whole description. Below Paths and Components it is plain JSON.
type Document struct {
	OpenAPI    string                    `json:"openapi" yaml:"openapi"`
	Info       map[string]any            `json:"info" yaml:"info"`
	Servers    []any                     `json:"servers" yaml:"servers"`
	Security   []any                     `json:"security" yaml:"security"`
	Paths      map[string]map[string]any `json:"paths" yaml:"paths"`
	Components Components                `json:"components" yaml:"components"`
}

// Components are what several routes share.
type Components struct {
	Schemas         map[string]any `json:"schemas" yaml:"schemas"`
	Parameters      map[string]any `json:"parameters" yaml:"parameters"`
	Responses       map[string]any `json:"responses" yaml:"responses"`
	SecuritySchemes map[string]any `json:"securitySchemes" yaml:"securitySchemes"`
}

// part is one file; head.yaml says what its keys mean.
type part struct {
	Info            map[string]any            `yaml:"info"`
	Servers         []any                     `yaml:"servers"`
	Security        []any                     `yaml:"security"`
	SecuritySchemes map[string]any            `yaml:"securitySchemes"`
	Parameters      map[string]any            `yaml:"parameters"`
	Responses       map[string]any            `yaml:"responses"`
	Schemas         map[string]any            `yaml:"schemas"`
	Shapes          map[string]map[string]any `yaml:"shapes"`
	Objects         map[string]noun           `yaml:"objects"`
	Paths           map[string]map[string]any `yaml:"paths"`
}

// Spec is the description of the API.
func Spec() (*Document, error) { return spec() }

// YAML is the document as it is served.
func (d *Document) YAML() ([]byte, error) {
	var b bytes.Buffer
	out := yaml.NewEncoder(&b)
	out.SetIndent(2)
	err := out.Encode(d)
	return b.Bytes(), errors.Join(err, out.Close())
}

var spec = sync.OnceValues(func() (*Document, error) { return join(files) })

// join makes one document of all files.
func join(from fs.FS) (*Document, error) {
	names, err := fs.Glob(from, "*.yaml")
	if err != nil {
		return nil, err
	}
	d := &Document{OpenAPI: "3.1.0", Paths: map[string]map[string]any{}, Components: Components{Schemas: map[string]any{}, Parameters: map[string]any{},
		Responses: map[string]any{}, SecuritySchemes: map[string]any{}}}
	var bad []error
	for _, name := range names {
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		var p part
		in := yaml.NewDecoder(bytes.NewReader(b))
		in.KnownFields(true)
		if err = in.Decode(&p); err == nil {
			err = d.add(p)
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", name, err))
		}
	}
	return d, errors.Join(bad...)
}

func (d *Document) add(p part) error {
	if p.Info != nil {
		d.Info, d.Servers, d.Security = plain(p.Info).(map[string]any), plain(p.Servers).([]any), plain(p.Security).([]any)
	}
	bad := []error{put(d.Components.Parameters, p.Parameters), put(d.Components.Responses, p.Responses), put(d.Components.Schemas, p.Schemas),
		put(d.Components.SecuritySchemes, p.SecuritySchemes)}
	for name, keys := range p.Shapes {
		s, err := shape(keys)
		bad = append(bad, at(name, err), put(d.Components.Schemas, map[string]any{name: s}))
	}
	for name, n := range p.Objects {
		bad = append(bad, at(name, d.noun(name, n)))
	}
	for path, ops := range p.Paths {
		for method, op := range ops {
			o, _ := plain(op).(map[string]any)
			bad = append(bad, at(path, d.operation(path, method, o)))
		}
	}
	return errors.Join(bad...)
}

func at(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

// put adds what is not there yet.
func put(to, from map[string]any) error {
	for name, v := range from {
		if to[name] != nil {
			return fmt.Errorf("%s is there twice", name)
		}
		to[name] = plain(v)
	}
	return nil
}

// plain is a YAML tree as JSON has it: keys are texts.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = plain(x)
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[fmt.Sprint(k)] = plain(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x)
		}
		return out
	}
	return v
}

var inPath = regexp.MustCompile(`{(\w+)}`)

// operation adds one, with what it does not say itself.
func (d *Document) operation(path, method string, op map[string]any) error {
	if d.Paths[path] == nil {
		d.Paths[path] = map[string]any{}
	}
	if d.Paths[path][method] != nil {
		return fmt.Errorf("%s is there twice", method)
	}
	params, _ := op["parameters"].([]any)
	var own []any
	for _, m := range inPath.FindAllStringSubmatch(path, -1) {
		own = append(own, map[string]any{"name": m[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}, "description": paramAbout(m[1])})
	}
	if op["answer"] != nil {
		own = append(own, ref("parameters", "returns"))
	}
	if all := append(own, params...); len(all) > 0 {
		op["parameters"] = all
	}
	if err := said(op); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	answers, _ := op["responses"].(map[string]any)
	if answers == nil {
		return fmt.Errorf("%s: it has neither answer nor responses", method)
	}
	alsoRebar(answers)
	answers["default"] = ref("responses", "error")
	if op["operationId"] == nil {
		op["operationId"] = operationID(path, method)
	}
	words := strings.Split(strings.Trim(path, "/"), "/")
	tag := words[0]
	if len(words) > 2 {
		tag = words[2]
	}
	op["tags"] = []any{tag}
	d.Paths[path][method] = op
	return nil
}

// alsoRebar gives each content type of OpenCrowbar's its other name, by which a daemon answers that speaks to Digital Rebar's clients.
func alsoRebar(answers map[string]any) {
	for _, one := range answers {
		a, _ := one.(map[string]any)
		content, _ := a["content"].(map[string]any)
		more := map[string]any{}
		for kind, v := range content {
			if rest, is := strings.CutPrefix(kind, "application/vnd.crowbar."); is {
				more["application/vnd.rebar."+rest] = v
			}
		}
		maps.Copy(content, more)
	}
}

func paramAbout(name string) string {
	switch name {
	case "id":
		return "Its id or its name"
	case "attrib":
		return "Name of the attrib"
	}
	return "Which " + name
}

var notWord = regexp.MustCompile(`[^a-zA-Z0-9]+`)

func operationID(path, method string) string {
	words := strings.Split(strings.Trim(notWord.ReplaceAllString(strings.TrimPrefix(path, "/api/v2"), " "), " "), " ")
	return method + "." + strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ".")
}

func ref(section, name string) map[string]any {
	return map[string]any{"$ref": "#/components/" + section + "/" + name}
}
