package annealer

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// transcript knows whose run it is, and what must not be shown of it.
type transcript struct {
	what, role, node string
	names            []string // of the attribs whose values are secret

	mu      sync.Mutex
	forms   []string // of the secrets, the longest first
	secrets *strings.Replacer
}

const (
	hidden      = "(secret)"
	shortest    = 4 // bytes of a secret that is looked for: what is shorter is everywhere
	shortestRun = 6 // characters of a piece of base64 that is
)

// newTranscript learns the secrets of a run.
func newTranscript(w *crowbar.Work) *transcript {
	t := &transcript{what: "apply", role: w.Role.Name, node: w.Node.Short(), names: w.SecretNames}
	if w.Remove {
		t.what = "removal"
	}
	t.learn(w.Secrets)
	return t
}

// learn adds secrets: whole, by line (outputs are cut and wrapped), and in the forms in which programs print them.
func (t *transcript) learn(secrets []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range secrets {
		if len(s) < shortest {
			continue
		}
		t.forms = append(t.forms, formsOf(s)...)
		if short := strings.TrimSpace(s); short != s && len(short) >= shortest {
			t.forms = append(t.forms, formsOf(short)...)
		}
		if strings.Contains(s, "\n") {
			for l := range strings.Lines(s) {
				if l = strings.TrimSpace(l); len(l) >= 8 && !strings.HasPrefix(l, "-----") {
					t.forms = append(t.forms, l)
				}
			}
		}
	}
	slices.SortFunc(t.forms, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	t.forms = slices.Compact(t.forms)
	pairs := make([]string, 0, 2*len(t.forms))
	for _, s := range t.forms {
		pairs = append(pairs, s, hidden)
	}
	t.secrets = strings.NewReplacer(pairs...)
}

// formsOf is a text as it is, as in JSON (of Go, which escapes more than others, and of others), as a shell quotes it, as in a URL
// (of a query, of a path), in hex, and in base64 wherever it begins in what was encoded.
func formsOf(s string) []string {
	var plain strings.Builder
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always is JSON
	html, _ := json.Marshal(s)
	hexed := hex.EncodeToString([]byte(s))
	all := []string{s, string(html[1 : len(html)-1]), plain.String()[1 : plain.Len()-2], strings.ReplaceAll(s, "'", `'\''`), url.QueryEscape(s), url.PathEscape(s),
		hexed, strings.ToUpper(hexed), base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s))}
	for offset := range 3 {
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if core := inner(e, s, offset); len(core) >= shortestRun {
				all = append(all, core)
			}
		}
	}
	for _, width := range []int{57, 48} { // bytes in a line of base64(1) and of openssl
		for rest := []byte(s); len(s) > width && len(rest) > 0; rest = rest[min(width, len(rest)):] {
			if l := base64.RawStdEncoding.EncodeToString(rest[:min(width, len(rest))]); len(l) >= shortestRun {
				all = append(all, l)
			}
		}
	}
	return all
}

// inner is what a text contributes to base64 in which it begins offset bytes after a group of three: the characters that do not
// depend on what is around it.
func inner(e *base64.Encoding, s string, offset int) string {
	all := e.EncodeToString(append(make([]byte, offset), s...))
	first := (8*offset + 5) / 6         // the first character of its own bits alone
	last := (8 * (offset + len(s))) / 6 // behind the last of them
	return all[first:last]
}

// learnWall adds what a role gave back under the name of a secret attrib: it may be a new secret.
func (t *transcript) learnWall(wall crowbar.Data) {
	var fresh []string
	for _, name := range t.names {
		fresh = crowbar.Texts(fresh, wall[name])
	}
	if len(fresh) > 0 {
		t.learn(fresh)
	}
}

func (t *transcript) secret() bool { return len(t.forms) > 0 || len(t.names) > 0 }

func (t *transcript) mask(text string) string {
	t.mu.Lock()
	secrets := t.secrets
	t.mu.Unlock()
	return secrets.Replace(text)
}
