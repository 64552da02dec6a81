package attrib

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Sealer closes values and opens them; each is bound to its place.
type Sealer interface {
	Seal(plain []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// Secrets knows where secret values lie: along their attribs' maps, and in walls by the attribs' names too.
type Secrets struct{ paths, wall *word }

// word is one step on the way to secret values.
type word struct {
	secret bool
	next   map[string]*word
}

func (w *word) add(path string) {
	for step := range strings.SplitSeq(path, "/") {
		if w.next == nil {
			w.next = map[string]*word{}
		}
		if w.next[step] == nil {
			w.next[step] = &word{}
		}
		w = w.next[step]
	}
	w.secret = true
}

// IsSecret says whether an attrib's value may be shown to nobody.
func IsSecret(a *crowbar.Attrib) bool { return a.Secret || a.Leaf != nil || a.Generate != "" }

// SecretsOf is where the secrets of a state lie.
func SecretsOf(s *crowbar.Snapshot) *Secrets {
	x := &Secrets{paths: &word{}, wall: &word{}}
	for a := range s.Attribs() {
		if !IsSecret(a) {
			continue
		}
		x.wall.add(a.Name)
		if a.Map != "" {
			x.paths.add(a.Map)
			x.wall.add(a.Map)
		}
	}
	return x
}

// Seal gives the object with every secret value sealed: the same object if none of them lies open. A value that was as it
// is now, and sealed, in the old object (nil if there is none) keeps its seal, so that equal values stay equal.
func (x *Secrets) Seal(o, old crowbar.Object, with Sealer) (crowbar.Object, error) {
	had := map[string][]crowbar.Data{}
	if old != nil {
		for _, p := range crowbar.Parts(old) {
			had[p.Name] = append(had[p.Name], *p.Data)
		}
	}
	return edit(o, func(part string, d crowbar.Data) (crowbar.Data, error) {
		way := x.paths
		if part == crowbar.PartWall {
			way = x.wall
		}
		return seal(way, d, crowbar.Place{Kind: o.Kind(), ID: o.Key(), Part: part}, had[part], with)
	})
}

// edit gives the object with its data replaced: the same one if none of them was.
func edit(o crowbar.Object, how func(part string, d crowbar.Data) (crowbar.Data, error)) (crowbar.Object, error) {
	out := o
	for i, p := range crowbar.Parts(o) {
		if len(*p.Data) == 0 {
			continue
		}
		d, err := how(p.Name, *p.Data)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if out == o {
			out = copied(o)
		}
		*crowbar.Parts(out)[i].Data = d
	}
	return out, nil
}

func copied(o crowbar.Object) crowbar.Object {
	switch o := o.(type) {
	case *crowbar.Node:
		c := *o
		return &c
	case *crowbar.Role:
		c := *o
		return &c
	case *crowbar.DeploymentRole:
		c := *o
		return &c
	case *crowbar.NodeRole:
		c := *o
		return &c
	}
	return o
}

// seal is the data with the secrets on the way sealed; nil if there is nothing to seal.
func seal(way *word, d crowbar.Data, at crowbar.Place, had []crowbar.Data, with Sealer) (out crowbar.Data, err error) {
	for key, v := range d {
		step := way.next[key]
		if step == nil {
			continue
		}
		var closed any
		inner, deeper := v.(crowbar.Data)
		switch {
		case step.secret && open(v):
			closed, err = closeValue(v, key, at.Below(key), had, with)
		case !step.secret && deeper:
			var below crowbar.Data
			if below, err = seal(step, inner, at.Below(key), under(had, key), with); below != nil {
				closed = below
			}
		}
		if err != nil {
			return nil, err
		}
		if closed == nil {
			continue
		}
		if out == nil {
			out = maps.Clone(d)
		}
		out[key] = closed
	}
	return out, nil
}

// open says that a value is there and not sealed. Nothing is no secret.
func open(v any) bool { return v != nil && v != "" && !crowbar.IsSealed(v) }

func under(had []crowbar.Data, key string) []crowbar.Data {
	var out []crowbar.Data
	for _, d := range had {
		if inner, ok := d[key].(crowbar.Data); ok {
			out = append(out, inner)
		}
	}
	return out
}

func closeValue(v any, key string, at crowbar.Place, had []crowbar.Data, with Sealer) (any, error) {
	if with == nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "%s is secret and there is no key to seal it with: start the daemon with its key file", at)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: the value is not JSON", at) // the error would show it
	}
	for _, d := range had {
		if was, ok := crowbar.Sealed(d[key]); ok {
			if old, err := with.Open(was, at.String()); err == nil && bytes.Equal(old, plain) {
				return d[key], nil
			}
		}
	}
	return crowbar.SealedText(with.Seal(plain, at.String())), nil
}

// Open gives a value that lies at a place with everything sealed in it opened.
func Open(v any, at crowbar.Place, with Sealer) (any, error) {
	if d, ok := v.(crowbar.Data); ok {
		out := make(crowbar.Data, len(d))
		for key, inner := range d {
			var err error
			if out[key], err = Open(inner, at.Below(key), with); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	sealed, ok := crowbar.Sealed(v)
	if !ok {
		return v, nil
	}
	if with == nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "%s is sealed and there is no key to open it with: start the daemon with its key file", at)
	}
	plain, err := with.Open(sealed, at.String())
	if err != nil {
		return nil, err
	}
	var out any
	if json.Unmarshal(plain, &out) != nil {
		return nil, crowbar.Errorf(crowbar.Internal, "what is sealed at %s is not a value: set it again", at)
	}
	return out, nil
}

// Reseal gives the object with every value that the chosen keys sealed sealed anew; equal values stay equal. The same
// object if there is none.
func Reseal(o crowbar.Object, old func(sealed []byte) bool, with Sealer) (crowbar.Object, error) {
	again := map[string]any{}
	return edit(o, func(part string, d crowbar.Data) (crowbar.Data, error) {
		return reseal(d, crowbar.Place{Kind: o.Kind(), ID: o.Key(), Part: part}, old, again, with)
	})
}

func reseal(d crowbar.Data, at crowbar.Place, old func([]byte) bool, again map[string]any, with Sealer) (out crowbar.Data, err error) {
	for key, v := range d {
		var fresh any
		if inner, ok := v.(crowbar.Data); ok {
			var below crowbar.Data
			if below, err = reseal(inner, at.Below(key), old, again, with); below != nil {
				fresh = below
			}
		} else if sealed, ok := crowbar.Sealed(v); ok && old(sealed) {
			if fresh = again[v.(string)]; fresh == nil {
				var plain []byte
				if plain, err = with.Open(sealed, at.Below(key).String()); err == nil {
					fresh = crowbar.SealedText(with.Seal(plain, at.Below(key).String()))
					again[v.(string)] = fresh
				}
			}
		}
		if err != nil {
			return nil, err
		}
		if fresh == nil {
			continue
		}
		if out == nil {
			out = maps.Clone(d)
		}
		out[key] = fresh
	}
	return out, nil
}

// EachSealed calls f with every sealed value of an object and its place.
func EachSealed(o crowbar.Object, f func(sealed []byte, at crowbar.Place)) {
	for _, p := range crowbar.Parts(o) {
		eachSealed(*p.Data, crowbar.Place{Kind: o.Kind(), ID: o.Key(), Part: p.Name}, f)
	}
}

func eachSealed(v any, at crowbar.Place, f func([]byte, crowbar.Place)) {
	if d, ok := v.(crowbar.Data); ok {
		for key, inner := range d {
			eachSealed(inner, at.Below(key), f)
		}
		return
	}
	if sealed, ok := crowbar.Sealed(v); ok {
		f(sealed, at)
	}
}
