package crowbar

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Dig walks a slash path, such as an attrib's map, into nested data. A nil value, and an empty path, count as nothing.
func Dig(d Data, path string) (any, bool) {
	if path == "" {
		return nil, false
	}
	var at any = d
	for _, word := range strings.Split(path, "/") {
		m, ok := at.(Data)
		if !ok {
			return nil, false
		}
		at = m[word]
	}
	return at, at != nil
}

// Texts adds every text in a JSON tree.
func Texts(to []string, v any) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			to = append(to, v)
		}
	case []any:
		for _, x := range v {
			to = Texts(to, x)
		}
	case []byte:
		to = append(to, string(v))
	case Data:
		for _, x := range v {
			to = Texts(to, x)
		}
	}
	return to
}

// Text is a value as it is written in a barclamp: a string as it is, nil as nothing, everything else in JSON's form.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	b, _ := json.Marshal(v)
	return string(b)
}
