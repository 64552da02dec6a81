package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// copied is one line of an export; exactly one of its parts is set.
type copied struct {
	State *crowbar.StateCopy `json:"kubeclamp_state,omitempty"`

	Kind   crowbar.Kind    `json:"kind,omitempty"`
	Object json.RawMessage `json:"object,omitempty"`

	End *int   `json:"end,omitempty"`
	Sum string `json:"sha256,omitempty"`
}

// ExportState writes the whole state of one moment as lines of JSON; what is secret stays sealed. One that broke off has no
// last line.
func (e *Engine) ExportState(ctx context.Context, w io.Writer) error {
	s := e.View()
	head := &crowbar.StateCopy{Schema: crowbar.Schema, Revision: s.Rev(), Next: s.Next(), Exported: e.Now().UTC(), Keys: []string{}}
	if e.Ring != nil {
		head.Keys = slices.Sorted(maps.Keys(SealedBy(s, e.Ring.KeyID)))
	}
	for _, k := range crowbar.Kinds {
		head.Objects += s.Count(k)
	}
	sum := sha256.New()
	out := json.NewEncoder(io.MultiWriter(w, sum))
	if err := out.Encode(copied{State: head}); err != nil {
		return err
	}
	for _, k := range crowbar.Kinds {
		for o := range s.All(k) {
			if err := ctx.Err(); err != nil {
				return err
			}
			b, err := json.Marshal(o)
			if err != nil {
				return err
			}
			if err := out.Encode(copied{Kind: k, Object: b}); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(w).Encode(copied{End: &head.Objects, Sum: hex.EncodeToString(sum.Sum(nil))})
}
