package graph

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// dig walks a slash path into nested data.
func dig(d crowbar.Data, path string) (any, bool) {
	var at any = d
	for _, word := range strings.Split(path, "/") {
		m, ok := at.(crowbar.Data)
		if !ok {
			return nil, false
		}
		if at, ok = m[word]; !ok {
			return nil, false
		}
	}
	return at, at != nil
}

// text is a scalar as it is written in a barclamp.
func text(v any) string {
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
