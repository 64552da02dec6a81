package annealer

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func hiding(secrets ...string) *transcript {
	return newTranscript(&crowbar.Work{Secrets: secrets, SecretNames: []string{"password"}})
}

// Nothing of a secret is left by which it could be told, wherever it stands in what was encoded.
func TestMaskKnowsASecretInAnyForm(t *testing.T) {
	const secret = "s3cret/of \"the\" <site>'s"
	m := hiding(secret)
	for before := range 7 {
		text := strings.Repeat("x", before) + secret + "more"
		for name, e := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.RawURLEncoding} {
			encoded := e.EncodeToString([]byte(text))
			shown := m.mask(encoded)
			if !strings.Contains(shown, hidden) {
				t.Errorf("%s base64 of %q is shown as %q", name, text, shown)
			}
			if left := len(shown) - len(hidden); left > (before+len("more"))*4/3+4 {
				t.Errorf("%s base64 of %q: %d characters are left: %q", name, text, left, shown)
			}
		}
	}
	for _, form := range []string{fmt.Sprintf("%q", secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), "s3cret%2Fof+%22the%22+%3Csite%3E%27s", `'s3cret/of "the" <site>'\''s'`, `s3cret/of \"the\" \u003csite\u003e's`} {
		if shown := m.mask(form); !strings.Contains(shown, hidden) || strings.Contains(shown, "site") || strings.Contains(shown, "s3") {
			t.Errorf("%s is shown as %s", form, shown)
		}
	}
	if shown := m.mask("nothing of it"); shown != "nothing of it" {
		t.Errorf("what is no secret is shown as %q", shown)
	}
}

// A key is hidden line by line, and as base64 wrapped by the usual programs.
func TestMaskKnowsLines(t *testing.T) {
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes.Repeat([]byte("0123456789abcde"), 12)}))
	m := hiding(key)
	for _, width := range []int{76, 64} {
		whole := base64.StdEncoding.EncodeToString([]byte(key))
		for len(whole) > 0 {
			line := whole[:min(width, len(whole))]
			whole = whole[len(line):]
			if shown := m.mask(line); !strings.HasPrefix(shown, hidden) || len(strings.TrimPrefix(shown, hidden)) > 2 {
				t.Errorf("wrapped at %d, a line is shown as %q", width, shown)
			}
		}
	}
	for line := range strings.Lines(key) {
		if shown := m.mask("  | " + line); !strings.HasPrefix(line, "-----") && strings.TrimSpace(shown) != "| "+hidden {
			t.Errorf("a line is shown as %q", shown)
		}
	}
}

// What nobody knows to belong to a run is masked by all runs under way, by the last ones that ended, and by what they gave back.
func TestHush(t *testing.T) {
	var h Hush
	first, plain := hiding("the first"), newTranscript(&crowbar.Work{})
	h.begin(first)
	h.begin(plain)
	h.end(plain)
	first.learnWall(crowbar.Data{"password": "a new one", "other": "is no secret"})
	is := func(text, want string) {
		t.Helper()
		if got := h.Mask(text); got != want {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	is("the first, a new one, is no secret", "(secret), (secret), is no secret")
	h.end(first)
	is("the first", hidden)
	for i := range hushPast {
		other := hiding(fmt.Sprintf("run number %d", i))
		h.begin(other)
		h.end(other)
	}
	is("the first", "the first")
	is("run number 0", hidden)
}
