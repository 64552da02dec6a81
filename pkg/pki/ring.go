package pki

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// A sealed value is ringMark, the key's id (8 bytes), a random nonce (12 bytes), and AES-256-GCM's output, with the place
// as associated data. What was sealed before there were ids has neither mark nor id.
const (
	ringMark = "KCS1"
	idSize   = 8
	keySize  = 32
)

// Ring is the keys that seal values at rest: the first one seals, all of them open. A ring that came out of a file reads
// the file again when it meets a key that it does not have. It is safe for concurrent use.
type Ring struct {
	mu   sync.Mutex
	keys []ringKey
	file *keyFile // nil for a ring that lives in memory alone
}

type ringKey struct {
	id  [idSize]byte
	raw []byte
	gcm cipher.AEAD
}

// NewRing makes a ring of keys of 32 bytes, the one that seals first.
func NewRing(keys ...[]byte) (*Ring, error) {
	made, err := ringKeys(keys)
	if err != nil {
		return nil, err
	}
	return &Ring{keys: made}, nil
}

func ringKeys(keys [][]byte) ([]ringKey, error) {
	if len(keys) == 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "there is no sealing key: give one of 32 bytes")
	}
	var out []ringKey
	for _, raw := range keys {
		if len(raw) != keySize {
			return nil, crowbar.Errorf(crowbar.Invalid, "sealing key has %d bytes, it must have %d: give the daemon's own key file", len(raw), keySize)
		}
		b, err := aes.NewCipher(raw)
		if err != nil {
			return nil, err
		}
		gcm, err := cipher.NewGCM(b)
		if err != nil {
			return nil, err
		}
		k := ringKey{raw: raw, gcm: gcm}
		sum := sha256.Sum256(append([]byte("kubeclamp sealing key id\x00"), raw...))
		copy(k.id[:], sum[:])
		if !slices.ContainsFunc(out, func(o ringKey) bool { return o.id == k.id }) {
			out = append(out, k)
		}
	}
	return out, nil
}

// IDs names the keys, the one that seals first. An id says nothing about its key.
func (r *Ring) IDs() []string {
	var out []string
	for _, k := range r.now() {
		out = append(out, hex.EncodeToString(k.id[:]))
	}
	return out
}

func (r *Ring) now() []ringKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys
}

// Seal closes a value for its place.
func (r *Ring) Seal(plain []byte, place string) []byte {
	k := r.now()[0]
	n := k.gcm.NonceSize()
	out := make([]byte, 0, len(ringMark)+idSize+n+len(plain)+k.gcm.Overhead())
	out = append(append(out, ringMark...), k.id[:]...)
	out = out[:len(out)+n]
	nonce := out[len(out)-n:]
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	return k.gcm.Seal(out, nonce, plain, []byte(place))
}

// KeyID is the id of the key that sealed a value; "" for one of before there were ids.
func (r *Ring) KeyID(sealed []byte) string {
	if id, ok := idOf(sealed); ok {
		return hex.EncodeToString(id[:])
	}
	return ""
}

func idOf(sealed []byte) (id [idSize]byte, ok bool) {
	if len(sealed) < len(ringMark)+idSize || !bytes.HasPrefix(sealed, []byte(ringMark)) {
		return id, false
	}
	copy(id[:], sealed[len(ringMark):])
	return id, true
}

// Open opens what was sealed for a place. A key that the ring does not have is an error of kind Unavailable, which says
// what to do; a value that was changed, or sealed for another place, is one of kind Internal.
func (r *Ring) Open(sealed []byte, place string) ([]byte, error) {
	id, marked := idOf(sealed)
	if !marked {
		return r.openOld(sealed, place)
	}
	is := func(k ringKey) bool { return k.id == id }
	keys := r.now()
	i := slices.IndexFunc(keys, is)
	if i < 0 && r.again() {
		keys = r.now()
		i = slices.IndexFunc(keys, is)
	}
	if i < 0 {
		return nil, r.lacks(hex.EncodeToString(id[:]))
	}
	plain, err := open(keys[i].gcm, sealed[len(ringMark)+idSize:], place)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Internal, "the sealed value at %s does not open: it was changed, or moved there from another place; set it again, or restore the state", place)
	}
	return plain, nil
}

// openOld tries every key: what was sealed before there were ids does not say which.
func (r *Ring) openOld(sealed []byte, place string) ([]byte, error) {
	for _, k := range r.now() {
		if plain, err := open(k.gcm, sealed, place); err == nil {
			return plain, nil
		}
	}
	return nil, crowbar.Errorf(crowbar.Internal, "the sealed value at %s does not open with any key of %s: put the key file back that was there when it was sealed", place, r.Source())
}

func open(gcm cipher.AEAD, sealed []byte, place string) ([]byte, error) {
	n := gcm.NonceSize()
	if len(sealed) < n {
		return nil, crowbar.Errorf(crowbar.Internal, "it is too short")
	}
	return gcm.Open(nil, sealed[:n], sealed[n:], []byte(place))
}

func (r *Ring) lacks(id string) error {
	return crowbar.Errorf(crowbar.Unavailable, "this daemon lacks the sealing key %s (%s has %v): put the key file here that was in use when the value was sealed, the same on every daemon; nothing is lost meanwhile", id, r.Source(), r.IDs())
}

// Lacks is the error for a key that the ring does not have, after a look at its file; nil if it has it.
func (r *Ring) Lacks(id string) error {
	if slices.Contains(r.IDs(), id) || r.again() && slices.Contains(r.IDs(), id) {
		return nil
	}
	return r.lacks(id)
}
