package script

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const removeLimit = 30 * time.Second

// walls reads a packed folder attrs: each file named wall is a value at the path of its folder.
func walls(packed io.Reader) (crowbar.Data, error) {
	wall := crowbar.Data{}
	t := tar.NewReader(packed)
	for total := int64(0); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return wall, nil
		}
		if err != nil {
			return nil, err
		}
		dir, name := path.Split(path.Clean(h.Name))
		at, ok := strings.CutPrefix(path.Clean(dir), "attrs/")
		if name != "wall" || h.Typeflag != tar.TypeReg || !ok {
			continue
		}
		if total += h.Size; total > mostWall {
			return nil, fmt.Errorf("it is more than %d KiB: the state cannot hold it", mostWall>>10)
		}
		b, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(b) || strings.Contains(string(b), "\x00") {
			return nil, fmt.Errorf("%s is no text in UTF-8, which is all that an attrib can be: encode it, as with base64", at)
		}
		v, ok := value(strings.TrimSpace(string(b)))
		if !ok {
			continue
		}
		if err := plant(wall, strings.Split(at, "/"), v); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
}

// plant puts a value at a path; what is there already and is no map is in its way.
func plant(d crowbar.Data, at []string, v any) error {
	for _, word := range at[:len(at)-1] {
		switch below := d[word].(type) {
		case nil:
			next := crowbar.Data{}
			d[word] = next
			d = next
		case crowbar.Data:
			d = below
		default:
			return fmt.Errorf("%s has a value of its own already: write one or the other", word)
		}
	}
	last := at[len(at)-1]
	if _, is := d[last].(crowbar.Data); is {
		return fmt.Errorf("%s has values below it already: write one or the other", last)
	}
	d[last] = v
	return nil
}

// The rules are Ruby's, whose ^ and $ are the ends of any line. The second is as those servers have it: from A to f are all capital
// letters and [\]^_ and the backquote too, so that MARK is a number, and 0.
var (
	decimal = regexp.MustCompile(`(?m)^[-+]?[0-9]+$`)
	hexish  = regexp.MustCompile(`(?m)^[-+]?[0-9a-fA-f]+$`)
	based   = regexp.MustCompile(`(?m)^[-+]?0[bodx]?[0-9a-fA-F]+$`)
)

// value is what the servers make of a trimmed text; false for nothing at all, which they skip.
func value(text string) (any, bool) {
	switch lower := strings.ToLower(text); {
	case text == "":
		return nil, false
	case lower == "true" || lower == "false":
		return lower == "true", true
	case decimal.MatchString(text):
		return number(text, 10), true
	case hexish.MatchString(text):
		return number(text, 16), true
	case based.MatchString(text):
		return number(text, 0), true
	}
	return text, true
}

// number is the whole number at the beginning of a text, 0 where there is none; base 0 says it by a prefix.
func number(text string, base int) any {
	sign, digits := "", text
	if digits[0] == '-' || digits[0] == '+' {
		sign, digits = strings.TrimPrefix(digits[:1], "+"), digits[1:]
	}
	if len(digits) > 1 && digits[0] == '0' {
		of := map[byte]int{'x': 16, 'X': 16, 'b': 2, 'B': 2, 'o': 8, 'O': 8, 'd': 10, 'D': 10}[digits[1]]
		switch {
		case of != 0 && (base == 0 || base == of):
			base, digits = of, digits[2:]
		case base == 0:
			base, digits = 8, digits[1:]
		}
	}
	if base == 0 {
		base = 10
	}
	end := 0
	for end < len(digits) && digit(digits[end]) < base {
		end++
	}
	if end == 0 {
		return float64(0)
	}
	n, err := strconv.ParseInt(sign+digits[:end], base, 64)
	if f := float64(n); err == nil && int64(f) == n {
		return f
	}
	if base == 10 {
		return sign + digits[:end] // more than a JSON number carries whole: the text has all of it
	}
	return text
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return 99
}
