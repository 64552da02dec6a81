package annealer

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// transcript knows whose run it is, and what must not be shown of it.
type transcript struct {
	what, role, node string
	secrets          *strings.Replacer
}

const hidden = "(secret)"

// newTranscript learns the secrets of a run: whole, by line (outputs are cut and wrapped), and in the forms in which programs
// print them: base64, hex, as in JSON and as in a URL.
func newTranscript(w *crowbar.Work) *transcript {
	t := &transcript{what: "apply", role: w.Role.Name, node: w.Node.Short()}
	if w.Remove {
		t.what = "removal"
	}
	var all []string
	for _, s := range w.Secrets {
		if len(s) < 4 {
			continue
		}
		for _, t := range []string{s, strings.TrimSpace(s)} {
			quoted, _ := json.Marshal(t)
			all = append(all, t, string(quoted[1:len(quoted)-1]), hex.EncodeToString([]byte(t)), strings.ToUpper(hex.EncodeToString([]byte(t))),
				base64.StdEncoding.EncodeToString([]byte(t)), base64.RawURLEncoding.EncodeToString([]byte(t)), url.QueryEscape(t))
		}
		if strings.Contains(s, "\n") {
			for l := range strings.Lines(s) {
				if l = strings.TrimSpace(l); len(l) >= 8 && !strings.HasPrefix(l, "-----") {
					all = append(all, l)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	all = slices.Compact(all)
	pairs := make([]string, 0, 2*len(all))
	for _, s := range all {
		pairs = append(pairs, s, hidden)
	}
	t.secrets = strings.NewReplacer(pairs...)
	return t
}

func (t *transcript) mask(text string) string { return t.secrets.Replace(text) }
