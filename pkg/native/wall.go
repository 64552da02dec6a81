package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// jsonMark begins a text that is a value in JSON: the script jigs guess at what is written back, and nothing that begins so can be
// taken for a number.
const jsonMark = "json:"

// plain is a text that those jigs leave as it is: one line with something in it that is in no number, neither in a hexadecimal one as
// they have it (any capital letter, [\]^_ and the backquote) nor in one with a prefix.
var plain = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)

var guessed = regexp.MustCompile(`^[-+]?(0[bodx])?[0-9a-fA-f]*$`)

// encode is a value in a form that comes back as it was.
func encode(v any) (string, error) {
	switch v := v.(type) {
	case string:
		lower := strings.ToLower(v)
		if plain.MatchString(v) && !guessed.MatchString(v) && lower != "true" && lower != "false" && !strings.HasPrefix(v, jsonMark) {
			return v, nil
		}
	case bool:
		return fmt.Sprint(v), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	if len(b) > 512<<10 {
		return "", crowbar.Errorf(crowbar.Invalid, "it has %d KiB: a value that goes back through a server is kept in its database, and has 512 at most", len(b)>>10)
	}
	return jsonMark + string(b), nil
}

// decode is the value of what encode made; everything else stays as it is.
func decode(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	in, ok := strings.CutPrefix(text, jsonMark)
	if !ok {
		return v
	}
	var out any
	if err := json.Unmarshal([]byte(in), &out); err != nil {
		return v
	}
	return out
}

// path is what those jigs can have as a path: folders' names.
var pathRule = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

// writeWalls writes lines PATH<tab>VALUE.
func writeWalls(file string, walls map[string]any) error {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(walls)) {
		if !pathRule.MatchString(path) {
			return crowbar.Errorf(crowbar.Invalid, "%q is no path of an attribute", path)
		}
		text, err := encode(walls[path])
		if err != nil {
			return fmt.Errorf("give back %s: %w", path, err)
		}
		fmt.Fprintf(&b, "%s\t%s\n", path, text)
	}
	return writeFile(file, []byte(b.String()))
}
