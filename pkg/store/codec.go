package store

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// entry is one change, encoded; value is nil for a drop.
type entry struct {
	Kind  crowbar.Kind    `json:"kind"`
	ID    crowbar.ID      `json:"id"`
	Value json.RawMessage `json:"value,omitempty"`
}

// encode turns changes into entries, the last one of each object, and gives the changes back as a reader will decode
// them: so the view of the writer and of everybody else are the same, and share nothing with the caller.
func encode(changes []crowbar.Change) ([]entry, []crowbar.Change, error) {
	at := map[tomb]int{}
	entries := make([]entry, 0, len(changes))
	for i, c := range changes {
		if (c.Put == nil) == (c.Drop == nil) {
			return nil, nil, crowbar.Errorf(crowbar.Invalid, "change %d: exactly one of put and drop must be set", i)
		}
		o := c.Put
		if o == nil {
			o = c.Drop
		}
		if o.Key() == 0 || crowbar.New(o.Kind()) == nil {
			return nil, nil, crowbar.Errorf(crowbar.Invalid, "change %d: no object has kind %q and id %d", i, o.Kind(), o.Key())
		}
		e := entry{Kind: o.Kind(), ID: o.Key()}
		if c.Put != nil {
			b, err := json.Marshal(o)
			if err != nil {
				return nil, nil, crowbar.Errorf(crowbar.Invalid, "write %s %d: %w", o.Kind(), o.Key(), err)
			}
			e.Value = b
		}
		name := tomb{e.Kind, e.ID}
		if j, had := at[name]; had {
			entries[j] = e
			continue
		}
		at[name] = len(entries)
		entries = append(entries, e)
	}
	clean := make([]crowbar.Change, len(entries))
	for i, e := range entries {
		c, err := e.change()
		if err != nil {
			return nil, nil, err
		}
		clean[i] = c
	}
	return entries, clean, nil
}

func (e entry) change() (crowbar.Change, error) {
	if e.Value == nil {
		return crowbar.Change{Drop: tomb{e.Kind, e.ID}}, nil
	}
	o, err := decode(e.Kind, e.ID, e.Value)
	return crowbar.Change{Put: o}, err
}

func decode(k crowbar.Kind, id crowbar.ID, value []byte) (crowbar.Object, error) {
	o := crowbar.New(k)
	if err := json.Unmarshal(value, o); err != nil {
		return nil, fmt.Errorf("state: %s %d does not decode: %w", k, id, err)
	}
	if o.Key() != id {
		return nil, fmt.Errorf("state: %s %d says that its id is %d", k, id, o.Key())
	}
	return o, nil
}

// pack is a list of entries as JSON, compressed. Neither it nor unpack holds the whole text at once: it may be of a whole
// state.
func pack(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	to := json.NewEncoder(z)
	mark := byte('[')
	for _, e := range entries {
		if _, err := z.Write([]byte{mark}); err != nil {
			return nil, err
		}
		if err := to.Encode(e); err != nil {
			return nil, err
		}
		mark = ','
	}
	if len(entries) == 0 {
		_, _ = z.Write([]byte{mark}) // what it cannot do, Close says
	}
	_, _ = z.Write([]byte{']'})
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(packed []byte) ([]entry, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("state: journal: %w", err)
	}
	var entries []entry
	from := json.NewDecoder(z)
	if _, err := from.Token(); err != nil {
		return nil, fmt.Errorf("state: journal: %w", err)
	}
	for from.More() {
		var e entry
		if err := from.Decode(&e); err != nil {
			return nil, fmt.Errorf("state: journal: %w", err)
		}
		entries = append(entries, e)
	}
	if _, err := from.Token(); err != nil {
		return nil, fmt.Errorf("state: journal: %w", err)
	}
	if _, err := io.Copy(io.Discard, z); err != nil { // the sum at its end
		return nil, fmt.Errorf("state: journal: %w", err)
	}
	return entries, nil
}
