package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// picker finds those of many objects that have some values. It reads the keys that are asked for alone: turning each object
// into JSON to look at one key costs ten times as much as the list of them. It is for one answer.
type picker struct {
	keys map[reflect.Type]map[string][]int // where the keys of a struct are
}

// takes says that an object has all values that are asked for of its keys, and that at least one of these is a key of it. What
// is no key of it is left out of account, as OpenCrowbar did.
func (k *picker) takes(o any, want params) (bool, error) {
	known := 0
	for name, v := range want {
		have, ok, err := k.value(o, name)
		if err != nil {
			return false, err
		}
		if !ok {
			continue
		}
		if known++; have != text(v) {
			return false, nil
		}
	}
	return known > 0, nil
}

// has says that something is a key of an object.
func (k *picker) has(o any, name string) bool {
	_, ok, err := k.value(o, name)
	return ok && err == nil
}

// value is the text of one key of an object as it goes over the wire; false where it is no key of it.
func (k *picker) value(o any, name string) (string, bool, error) {
	if p, both := o.(plus); both {
		if have, ok, err := k.value(p.more, name); ok || err != nil {
			return have, ok, err
		}
		return k.value(p.base, name)
	}
	v := reflect.ValueOf(o)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return inTree(o, name)
	}
	at, ok := k.of(v.Type())[name]
	if !ok {
		return "", false, nil
	}
	f, err := v.FieldByIndexErr(at)
	if err != nil {
		return "", true, nil //nolint:nilerr // an embedded object that is not there has no values
	}
	have, err := spoken(f)
	return have, true, err
}

// of is where the keys of a struct are: as encoding/json has it, the outermost of a name counts.
func (k *picker) of(t reflect.Type) map[string][]int {
	if k.keys[t] != nil {
		return k.keys[t]
	}
	out := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		if had, is := out[name]; !is || len(f.Index) < len(had) {
			out[name] = f.Index
		}
	}
	if k.keys == nil {
		k.keys = map[reflect.Type]map[string][]int{}
	}
	k.keys[t] = out
	return out
}

// spoken is a value as text compares it.
func spoken(f reflect.Value) (string, error) {
	switch v := f.Interface().(type) {
	case string:
		return v, nil
	case int, bool:
		return fmt.Sprint(v), nil
	case ref:
		if v == 0 {
			return "", nil
		}
	}
	t, err := jsonTree(f.Interface())
	return text(t), err
}

// inTree is value for what is no struct.
func inTree(o any, name string) (string, bool, error) {
	if m, is := o.(map[string]any); is {
		v, ok := m[name]
		return text(v), ok, nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return "", false, err
	}
	t, err := tree(b)
	if err != nil {
		return "", false, err
	}
	m, _ := t.(map[string]any)
	v, ok := m[name]
	return text(v), ok, nil
}
