package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// auditing is an engine with a few records, on a store that somebody may write past it.
func auditing(t *testing.T, keep, records int) (*engine.Engine, *storetest.Memory, *pki.Ring) {
	t.Helper()
	ring, err := pki.NewRing(bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	st := storetest.NewMemory()
	e := engine.New(engine.Config{Store: st, Ring: ring, PKI: pki.Over(ring), KeepAudit: keep})
	for i := range records {
		r := crowbar.AuditRecord{Who: "boss", Via: "token", From: "10.0.0.9", Method: "PUT", Route: "/api/v2/nodes/{id}", Object: fmt.Sprintf("nodes/n%d", i)}
		if i%2 == 1 {
			r = crowbar.AuditRecord{Ends: uint64(i), Code: 200}
		}
		if seq, err := e.Audit(t.Context(), r); err != nil || seq != uint64(i+1) {
			t.Fatalf("record %d: %d, %v", i+1, seq, err)
		}
	}
	return e, st, ring
}

func recordOf(t *testing.T, st *storetest.Memory, seq uint64) *crowbar.AuditRecord {
	t.Helper()
	for r := range st.View().Audit() {
		if r.Seq == seq {
			c := *r
			return &c
		}
	}
	t.Fatalf("there is no record %d", seq)
	return nil
}

// TestTamperingIsNamed: whatever is done to one record past the engine is found, and the record is named.
func TestTamperingIsNamed(t *testing.T) {
	type past func(t *testing.T, st *storetest.Memory) []crowbar.Change
	edit := func(seq uint64, f func(*crowbar.AuditRecord)) past {
		return func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			r := recordOf(t, st, seq)
			f(r)
			return []crowbar.Change{{Put: r}}
		}
	}
	head := func(f func(*crowbar.AuditHead)) past {
		return func(_ *testing.T, st *storetest.Memory) []crowbar.Change {
			h := *st.View().AuditHead()
			f(&h)
			return []crowbar.Change{{Put: &h}}
		}
	}
	for _, c := range []struct {
		name string
		do   past
		says string
	}{
		{"nothing", nil, ""},
		{"who", edit(3, func(r *crowbar.AuditRecord) { r.Who = "somebody else" }), "record 3 ("},
		{"when", edit(5, func(r *crowbar.AuditRecord) { r.At = r.At.Add(-time.Hour) }), "record 5 ("},
		{"what", edit(5, func(r *crowbar.AuditRecord) { r.Object = "nodes/n9" }), "record 5 ("},
		{"the answer", edit(4, func(r *crowbar.AuditRecord) { r.Code = 403 }), "record 4 (the end of 3"},
		{"the last one", edit(20, func(r *crowbar.AuditRecord) { r.Code = 403 }), "record 20 ("},
		{"with its digest", edit(7, func(r *crowbar.AuditRecord) { r.Who = "x"; r.Hash = r.Digest() }), "record 8 (the end of 7"},
		{"the last one with its digest", edit(20, func(r *crowbar.AuditRecord) { r.Code = 1; r.Hash = r.Digest() }), "record 20 is not the one"},
		{"taken out", func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			return []crowbar.Change{{Drop: recordOf(t, st, 11)}}
		}, "record 11 is missing before record 12"},
		{"the last ones taken out", func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			return []crowbar.Change{{Drop: recordOf(t, st, 19)}, {Drop: recordOf(t, st, 20)}}
		}, "records 19 to 20 are missing at the end"},
		{"put in", func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			r := recordOf(t, st, 6)
			r.ID = st.View().Next()
			return []crowbar.Change{{Put: r}}
		}, "record 6 ("},
		{"two change places", func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			a, b := recordOf(t, st, 6), recordOf(t, st, 8)
			a.ID, b.ID = b.ID, a.ID
			return []crowbar.Change{{Put: a}, {Put: b}}
		}, "record 8 ("},
		{"the head", head(func(h *crowbar.AuditHead) { h.BaseSeq = 3 }), "its seal is of another one"},
		{"no seal", head(func(h *crowbar.AuditHead) { h.Sealed = nil }), "does not open"},
		{"the last one, and a head for it", func(t *testing.T, st *storetest.Memory) []crowbar.Change {
			r, h := recordOf(t, st, 20), *st.View().AuditHead()
			r.Code = 1
			r.Hash = r.Digest()
			h.Hash = r.Hash
			return []crowbar.Change{{Put: r}, {Put: &h}}
		}, "its seal is of another one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, st, _ := auditing(t, 0, 20)
			if c.do != nil {
				if err := st.Commit(t.Context(), st.View().Rev(), c.do(t, st)...); err != nil {
					t.Fatal(err)
				}
			}
			check, err := e.AuditVerify(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(check.Problems, "\n")
			if check.OK != (c.says == "") || !strings.Contains(all, c.says) || check.Last != 20 {
				t.Errorf("%+v\nwant %q", check, c.says)
			}
			if strings.Count(all, "\n") > 6 {
				t.Errorf("one change makes more complaints than it should:\n%s", all)
			}
		})
	}
}

// TestAuditIsBounded: old records go, and what is left can still be checked, after a rotation of the keys too.
func TestAuditIsBounded(t *testing.T) {
	e, st, ring := auditing(t, 1000, 1801)
	s := st.View()
	if n := s.Count(crowbar.KindAudit); n < 1000 || n > 1501 {
		t.Errorf("%d records are kept", n)
	}
	check, err := e.AuditVerify(t.Context())
	if err != nil || !check.OK || !check.Sealed || check.First < 300 || check.Last != 1801 || check.Hash != s.AuditHead().Hash {
		t.Errorf("%+v, %v", check, err)
	}
	log := e.AuditLog(0, 10)
	if len(log) != 10 || log[0].Seq != 1801 || log[0].Code != 0 || log[1].Seq != 1799 || log[1].Code != 200 || log[1].Ended.IsZero() || log[1].Object != "nodes/n1798" {
		t.Errorf("%+v", log)
	}
	if more := e.AuditLog(log[9].Seq, 1000); more[0].Seq != log[9].Seq-2 {
		t.Errorf("after %d comes %d", log[9].Seq, more[0].Seq)
	}
	old := ring.IDs()[0]
	if engine.SealedBy(s, ring.KeyID)[old] == 0 {
		t.Error("the seal of the head is not counted: its key could be forgotten")
	}
}
