package api

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// maxDepth is how deep a request's JSON may be nested: deeper than any document, shallower than a stack.
const maxDepth = 64

// sound says what is wrong with a JSON text that a decoder would read in its own way: bytes that are no text, a key that is
// there twice, depth without end. What is no JSON is left to the decoder, which says where.
func sound(b []byte) error {
	if !utf8.Valid(b) {
		return crowbar.Errorf(crowbar.Invalid, "request body: it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	open := []level{{}}
	for {
		t, err := d.Token()
		if err != nil {
			return nil //nolint:nilerr // the decoder's to say
		}
		at := &open[len(open)-1]
		if text, is := t.(string); is {
			if !plainText(text) {
				return crowbar.Errorf(crowbar.Invalid, "request body: a text in it has a NUL")
			}
			if at.takes() && !at.add(text) {
				return crowbar.Errorf(crowbar.Invalid, "request body: key %q is there twice", short(text))
			}
		}
		at.count++
		switch t {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
		if len(open) > maxDepth+1 {
			return crowbar.Errorf(crowbar.Invalid, "request body: it is nested deeper than %d levels", maxDepth)
		}
	}
}

// level is an object or a list that is being read.
type level struct {
	keys  map[string]bool // nil: a list
	count int             // of keys and values
}

// takes says that a key comes next.
func (l *level) takes() bool { return l.keys != nil && l.count%2 == 0 }

func (l *level) add(key string) bool {
	had := l.keys[key]
	l.keys[key] = true
	return !had
}

// plainText says that a text is UTF-8 without NUL.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }
