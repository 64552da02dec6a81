package crowbar

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"iter"
	"time"
)

// The kinds of the record of what was done over the API.
const (
	KindAudit     Kind = "audit"
	KindAuditHead Kind = "audit_heads"
)

// AuditRecord is one entry of the record of what was done over the API: that somebody begins something, or how that ended.
// Each has the digest of the one before it, so that none can be changed or taken out without its trace.
type AuditRecord struct {
	ID     ID        `json:"id"`
	Seq    uint64    `json:"seq"` // 1, 2, 3...
	At     time.Time `json:"at"`
	Who    string    `json:"who,omitempty"`
	Via    string    `json:"via,omitempty"`  // "digest", "session", "token", "certificate"
	From   string    `json:"from,omitempty"` // address
	Method string    `json:"method,omitempty"`
	Route  string    `json:"route,omitempty"`  // the path of the route, such as "/api/v2/nodes/{id}"
	Object string    `json:"object,omitempty"` // "nodes/n1.example.org"
	Ends   uint64    `json:"ends,omitempty"`   // the record that this one says the end of; then there are only Code and Object beside it
	Code   int       `json:"code,omitempty"`   // HTTP status of the answer
	Prev   string    `json:"prev"`             // Hash of the record before
	Hash   string    `json:"hash"`             // sha256, hex, of all above
}

// Digest is what Hash is, if nobody has changed the record. Fields that come later must leave out what is empty.
func (r AuditRecord) Digest() string {
	r.Hash = ""
	b, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// AuditHead is both ends of the chain of records. There is one.
type AuditHead struct {
	ID   ID     `json:"id"`
	Seq  uint64 `json:"seq"`  // of the newest record
	Hash string `json:"hash"` // of the newest record
	// BaseSeq and BaseHash are of the newest record that was dropped; 0 and "" while all are there.
	BaseSeq  uint64 `json:"base_seq"`
	BaseHash string `json:"base_hash"`
	// Sealed is the four above, sealed by package pki: without the key nobody can make a head for a chain of their own.
	Sealed []byte `json:"sealed,omitempty"`
}

// Place is what ties the seal to the head.
func (*AuditHead) Place() string { return "audit/head" }

// Sum is what is sealed of the head.
func (h *AuditHead) Sum() []byte {
	b, _ := json.Marshal([]any{h.Seq, h.Hash, h.BaseSeq, h.BaseHash}) // texts and numbers
	return b
}

// AuditEntry is a record with its end, for a reader.
type AuditEntry struct {
	AuditRecord
	Ended time.Time `json:"ended,omitzero"` // zero: it is under way, or its daemon died
}

// AuditCheck says whether the record is whole.
type AuditCheck struct {
	OK       bool     `json:"ok"`
	First    uint64   `json:"first"` // the oldest record that is kept
	Last     uint64   `json:"last"`
	Hash     string   `json:"hash"`               // of the last: whoever keeps it elsewhere can tell later that nothing up to it was changed
	Sealed   bool     `json:"sealed"`             // the newest end of the chain is sealed by a key of the daemon
	Problems []string `json:"problems,omitempty"` // each names its record
}

// Kind of each noun.
func (*AuditRecord) Kind() Kind { return KindAudit }
func (*AuditHead) Kind() Kind   { return KindAuditHead }

// Key of each noun.
func (o *AuditRecord) Key() ID { return o.ID }
func (o *AuditHead) Key() ID   { return o.ID }

// Audit is all records, oldest first.
func (s *Snapshot) Audit() iter.Seq[*AuditRecord] { return every[*AuditRecord](s, KindAudit) }

// AuditHead is the ends of the chain of records; nil while there is none.
func (s *Snapshot) AuditHead() *AuditHead {
	for h := range every[*AuditHead](s, KindAuditHead) {
		return h
	}
	return nil
}
