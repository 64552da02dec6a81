// Package apitest holds what tests ask the API, and what it answers, against its description. It does not know what is right
// beyond that.
package apitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/kubeclamp/kubeclamp/pkg/api/openapi"
)

// T is what of a testing.T is needed.
type T interface {
	Helper()
	Errorf(format string, args ...any)
}

// Checker is a handler that has another one answer, and complains where request or answer is not as the description says.
type Checker struct {
	next    http.Handler
	t       T
	spec    *spec
	checked atomic.Int64
}

// Check puts a checker in front of a handler.
func Check(t T, next http.Handler) *Checker {
	t.Helper()
	s, err := load()
	if err != nil {
		t.Errorf("the description of the API: %v", err)
	}
	return &Checker{next: next, t: t, spec: s}
}

// Checked is how many exchanges were held against the description.
func (c *Checker) Checked() int { return int(c.checked.Load()) }

// ServeHTTP answers as the other handler does.
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked, err := io.ReadAll(r.Body)
	if err != nil { // whoever sent it broke off: the handler sees the same
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(asked), broken{err}))
	} else {
		r.Body = io.NopCloser(bytes.NewReader(asked))
	}
	request := r.Clone(r.Context())
	seen := &copier{ResponseWriter: w, code: http.StatusOK}
	c.next.ServeHTTP(seen, r)
	if c.spec == nil || !described(r.URL.Path) {
		return
	}
	c.checked.Add(1)
	if err := c.spec.exchange(request, asked, seen); err != nil {
		c.t.Errorf("%s %s answered %d, and pkg/api/openapi/*.yaml says otherwise (where the answer is right, say there what it is; head.yaml says how): %v", r.Method, r.URL, seen.code, err)
	}
}

// described says of a path that the description is about it: pages and the way in are no part of the API.
func described(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/utils/")
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// copier keeps what is answered.
type copier struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

// WriteHeader keeps the code.
func (c *copier) WriteHeader(code int) { c.code = code; c.ResponseWriter.WriteHeader(code) }

// Write keeps the bytes.
func (c *copier) Write(b []byte) (int, error) { c.body.Write(b); return c.ResponseWriter.Write(b) }

// Unwrap lets streams flush.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// spec is the description, ready to be asked.
type spec struct {
	doc      *openapi.Document
	tree     any // the same, as JSON
	compiler *jsonschema.Compiler
	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema
}

const home = "https://kubeclamp.invalid/openapi.json"

var load = sync.OnceValues(func() (*spec, error) {
	doc, err := openapi.Spec()
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return nil, err
	}
	return &spec{doc: doc, tree: plain, compiler: c, compiled: map[string]*jsonschema.Schema{}}, c.AddResource(home, tree)
})

// pathOf is the path of the description that a request is for; words of a path are worth more than parameters.
func (s *spec) pathOf(r *http.Request) string {
	have := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	best, most := "", -1
	for path, ops := range s.doc.Paths {
		want := strings.Split(strings.Trim(path, "/"), "/")
		if len(want) != len(have) || ops[methodOf(r)] == nil {
			continue
		}
		words := 0
		for i, w := range want {
			if strings.HasPrefix(w, "{") {
				continue
			}
			if w != have[i] {
				words = -1
				break
			}
			words += 1 << (len(want) - i) // an earlier word decides
		}
		if words > most {
			best, most = path, words
		}
	}
	return best
}

func methodOf(r *http.Request) string {
	if r.Method == http.MethodHead {
		return "get"
	}
	return strings.ToLower(r.Method)
}

func (s *spec) exchange(r *http.Request, asked []byte, got *copier) error {
	path := s.pathOf(r)
	if path == "" {
		if got.code < 400 {
			return fmt.Errorf("it has no such path: add that of %s to the file of its noun", r.URL.Path)
		}
		return s.check("/components/responses/error", got)
	}
	op := s.doc.Paths[path][methodOf(r)].(map[string]any)
	at := "/paths/" + escape(path) + "/" + methodOf(r)
	if got.code < 300 {
		if err := s.request(at, op, r, asked); err != nil {
			return err
		}
	}
	answers := op["responses"].(map[string]any)
	code := strconv.Itoa(got.code)
	if answers[code] == nil {
		if got.code < 400 {
			return fmt.Errorf("%s has no answer %d", path, got.code)
		}
		return s.check("/components/responses/error", got)
	}
	if r.Method == http.MethodHead {
		return nil
	}
	if r.Header.Get("X-Return-Attributes") != "" { // fewer keys, as it was asked for
		return nil
	}
	return s.check(at+"/responses/"+code, got)
}

// request checks what was asked, where it was taken.
func (s *spec) request(at string, op map[string]any, r *http.Request, asked []byte) error {
	if err := s.queries(op, r); err != nil {
		return err
	}
	body, _ := op["requestBody"].(map[string]any)
	if len(bytes.TrimSpace(asked)) == 0 {
		if body["required"] == true {
			return errors.New("the request has no body, and must have one")
		}
		return nil
	}
	if body == nil {
		return fmt.Errorf("the request has a body, and the description none: %.100s", asked)
	}
	content := body["content"].(map[string]any)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" && asked[0] != '{' {
		if content[kind] == nil {
			return errors.New("the request is a form, and the description does not take one")
		}
		return nil
	}
	for kind := range content {
		if strings.HasSuffix(kind, "json") {
			return s.valid(at+"/requestBody/content/"+escape(kind)+"/schema", asked)
		}
	}
	return nil
}

// queries wants that what stands in a query is known, unless the whole body may.
func (s *spec) queries(op map[string]any, r *http.Request) error {
	known := map[string]bool{}
	params, _ := op["parameters"].([]any)
	for _, p := range params {
		m := p.(map[string]any)
		if to, ok := m["$ref"].(string); ok {
			m = s.doc.Components.Parameters[to[strings.LastIndexByte(to, '/')+1:]].(map[string]any)
		}
		if m["in"] == "query" {
			known[m["name"].(string)] = true
		}
	}
	if op["requestBody"] != nil && op["x-only-query"] == nil {
		return nil
	}
	for name := range r.URL.Query() {
		name, _, _ = strings.Cut(name, "[") // filter[name]
		if !known[name] && name != "x" {    // x stands for one that nobody knows
			return fmt.Errorf("the query has %q, which the description does not know", name)
		}
	}
	return nil
}

// check holds an answer against the content of a response.
func (s *spec) check(at string, got *copier) error {
	response, err := s.find(at)
	if err != nil {
		return err
	}
	content, _ := response["content"].(map[string]any)
	kind, _, err := mime.ParseMediaType(got.Header().Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("content type %q: %w", got.Header().Get("Content-Type"), err)
	}
	general, _, _ := strings.Cut(kind, "/")
	for _, k := range []string{kind, general + "/*"} {
		if content[k] == nil {
			continue
		}
		if !strings.HasSuffix(kind, "json") {
			return nil
		}
		if got.body.Len() == 0 {
			return nil // of a HEAD
		}
		return s.valid(at+"/content/"+escape(k)+"/schema", got.body.Bytes())
	}
	return fmt.Errorf("there is no content type %s in its description", kind)
}

func (s *spec) find(at string) (map[string]any, error) {
	v := s.tree
	for _, w := range strings.Split(strings.TrimPrefix(at, "/"), "/") {
		m, _ := v.(map[string]any)
		v = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(w)]
	}
	if m, ok := v.(map[string]any); ok {
		return m, nil
	}
	return nil, fmt.Errorf("there is nothing at %s", at)
}

func (s *spec) valid(at string, text []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	sch, err := s.schema(at)
	if err != nil {
		return err
	}
	return sch.Validate(v)
}

func (s *spec) schema(at string) (*jsonschema.Schema, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sch := s.compiled[at]; sch != nil {
		return sch, nil
	}
	sch, err := s.compiler.Compile(home + "#" + strings.ReplaceAll(strings.ReplaceAll(at, "{", "%7B"), "}", "%7D"))
	if err == nil {
		s.compiled[at] = sch
	}
	return sch, err
}

func escape(word string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(word)
}
