package api

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// uuidOf is the uuid by which Digital Rebar's clients know an object. It is not stored: its last 62 bits are the object's id, by
// which it is found again, and the rest is a digest of what never changes of it, so that no two states have one in common. It
// looks like one of version 5 (made of names): the clients take 1 to 5 alone.
func uuidOf(k crowbar.Kind, id crowbar.ID, made time.Time) string {
	sum := sha256.Sum256([]byte(string(k) + "/" + id.String() + "/" + made.UTC().Format(time.RFC3339Nano)))
	var b [16]byte
	copy(b[:8], sum[:8])
	b[6] = b[6]&0x0f | 0x50
	binary.BigEndian.PutUint64(b[8:], uint64(id)&(1<<62-1)|1<<63)
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func uuid(o crowbar.Object) string {
	var made time.Time
	switch o := o.(type) {
	case *crowbar.Run:
		made = o.Started
	case interface{ Times() *crowbar.Stamps }:
		made = o.Times().CreatedAt
	}
	return uuidOf(o.Kind(), o.Key(), made)
}

// idIn is the id that a uuid has in it; false for what is none.
func idIn(text string) (crowbar.ID, bool) {
	const form = "00000000-0000-5000-8000-000000000000"
	if len(text) != len(form) || text[14] != '5' {
		return 0, false
	}
	digits := make([]byte, 0, 32)
	for i := range len(form) {
		if form[i] != '-' {
			digits = append(digits, text[i])
		} else if text[i] != '-' {
			return 0, false
		}
	}
	var b [16]byte
	if _, err := hex.Decode(b[:], digits); err != nil {
		return 0, false
	}
	return crowbar.ID(binary.BigEndian.Uint64(b[8:]) & (1<<62 - 1)), true
}

// withUUID is the object of that uuid, or nil.
func withUUID(s *crowbar.Snapshot, k crowbar.Kind, text string) crowbar.Object {
	id, is := idIn(text)
	if !is {
		return nil
	}
	if o := s.Get(k, id); o != nil && uuid(o) == strings.ToLower(text) {
		return o
	}
	return nil
}
