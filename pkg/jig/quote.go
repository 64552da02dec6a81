package jig

import (
	"regexp"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Quote makes one word of a POSIX shell out of any text without NUL.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Exports is the line of a POSIX shell that sets an environment; "" for an empty one.
func Exports(env map[string]string) (string, error) {
	if len(env) == 0 {
		return "", nil
	}
	names := make([]string, 0, len(env))
	for k, v := range env {
		if !envName.MatchString(k) || strings.IndexByte(v, 0) >= 0 {
			return "", crowbar.Errorf(crowbar.Invalid, "environment variable %q cannot be passed: a name is letters, digits and _, and a value has no NUL byte", k)
		}
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("export")
	for _, k := range names {
		b.WriteString(" " + k + "=" + Quote(env[k]))
	}
	return b.String(), nil
}
