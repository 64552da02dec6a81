package engine

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// auditBatch is how many records are dropped at once when there are too many.
const auditBatch = 500

// Audit adds a record of what is done over the API, and gives its number.
func (e *Engine) Audit(ctx context.Context, r crowbar.AuditRecord) (seq uint64, err error) {
	err = e.change(ctx, func(d *draft) error {
		head := &crowbar.AuditHead{}
		if was := d.s.AuditHead(); was != nil {
			head = clone(was)
		} else {
			head.ID = d.s.Next()
			d.put(head)
			head = clone(head)
		}
		r := r
		r.ID, r.Seq, r.At, r.Prev = d.s.Next(), head.Seq+1, e.Now().UTC(), head.Hash
		r.Hash = r.Digest()
		d.put(&r)
		head.Seq, head.Hash, seq = r.Seq, r.Hash, r.Seq
		if d.s.Count(crowbar.KindAudit) > cmp.Or(e.KeepAudit, 50000)+auditBatch {
			forgetOldest(d, head)
		}
		if e.Ring != nil {
			head.Sealed = e.Ring.Seal(head.Sum(), head.Place())
		}
		d.put(head)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("note in the audit log: %w", err)
	}
	return seq, nil
}

// forgetOldest drops the oldest records; the head keeps the digest of the last of them, from which the rest can be checked.
func forgetOldest(d *draft, head *crowbar.AuditHead) {
	var old []*crowbar.AuditRecord
	for r := range d.s.Audit() {
		if len(old) == auditBatch {
			break
		}
		old = append(old, r)
	}
	for _, r := range old {
		d.drop(r)
		head.BaseSeq, head.BaseHash = r.Seq, r.Hash
	}
}

// AuditLog is what was done over the API, newest first, each with its end: at most limit of them, from before a number on (0 =
// from the newest).
func (e *Engine) AuditLog(before uint64, limit int) []crowbar.AuditEntry {
	ends := map[uint64]*crowbar.AuditRecord{}
	var all []*crowbar.AuditRecord
	for r := range e.View().Audit() {
		switch {
		case r.Ends != 0:
			ends[r.Ends] = r
		case before == 0 || r.Seq < before:
			all = append(all, r)
		}
	}
	out := []crowbar.AuditEntry{}
	for i := len(all) - 1; i >= 0 && len(out) < limit; i-- {
		entry := crowbar.AuditEntry{AuditRecord: *all[i]}
		if end := ends[entry.Seq]; end != nil {
			entry.Ended, entry.Code, entry.Object = end.At, end.Code, cmp.Or(end.Object, entry.Object)
		}
		out = append(out, entry)
	}
	return out
}

// AuditVerify reads all records as they lie in the store, and says of each that was changed, taken out or put in between.
func (e *Engine) AuditVerify(ctx context.Context) (crowbar.AuditCheck, error) {
	s := e.View()
	if fresh, ok := e.Store.(interface {
		Read(context.Context) (*crowbar.Snapshot, error)
	}); ok {
		var err error
		if s, err = fresh.Read(ctx); err != nil {
			return crowbar.AuditCheck{}, fmt.Errorf("read the audit log: %w", err)
		}
	}
	head := s.AuditHead()
	if head == nil {
		head = &crowbar.AuditHead{}
	}
	out := crowbar.AuditCheck{First: head.BaseSeq + 1, Last: head.Seq, Hash: head.Hash}
	out.Problems = chained(s, head)
	if sealed, problem := e.headSealed(head); problem != "" {
		out.Problems = append(out.Problems, problem)
	} else {
		out.Sealed = sealed
	}
	out.OK = len(out.Problems) == 0
	return out, nil
}

// chained is what is wrong with the chain of records.
func chained(s *crowbar.Snapshot, head *crowbar.AuditHead) (bad []string) {
	seq, prev := head.BaseSeq, head.BaseHash
	for r := range s.Audit() {
		switch {
		case r.Seq > seq+1:
			bad = append(bad, fmt.Sprintf("%s missing before %s", numbers(seq+1, r.Seq-1), auditNamed(r)))
			prev = r.Prev // what is missing cannot be compared
		case r.Seq <= seq:
			bad = append(bad, auditNamed(r)+" is out of place: there is one of this number, or a later one, before it")
		}
		switch {
		case r.Digest() != r.Hash:
			bad = append(bad, auditNamed(r)+" was changed: its digest is not that of what it says")
		case r.Prev != prev:
			bad = append(bad, auditNamed(r)+" does not follow the one before it: one of the two was replaced")
		}
		seq, prev = max(seq, r.Seq), r.Hash
	}
	switch {
	case seq < head.Seq:
		bad = append(bad, numbers(seq+1, head.Seq)+" missing at the end")
	case seq > head.Seq || prev != head.Hash:
		bad = append(bad, fmt.Sprintf("record %d is not the one that the head of the chain names", seq))
	}
	return bad
}

func numbers(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}

func auditNamed(r *crowbar.AuditRecord) string {
	what := fmt.Sprintf("%s %s by %s", r.Method, cmp.Or(r.Object, r.Route), r.Who)
	if r.Ends != 0 {
		what = fmt.Sprintf("the end of %d", r.Ends)
	}
	return fmt.Sprintf("record %d (%s, %s)", r.Seq, what, r.At.UTC().Format("2006-01-02 15:04:05"))
}

// headSealed says whether the head is sealed, and what is wrong with that.
func (e *Engine) headSealed(head *crowbar.AuditHead) (sealed bool, problem string) {
	if e.Ring == nil || head.Seq == 0 {
		return false, ""
	}
	sum, err := e.Ring.Open(head.Sealed, head.Place())
	switch {
	case err != nil:
		return false, fmt.Sprintf("the seal of the head of the chain does not open: %v", err)
	case !bytes.Equal(sum, head.Sum()):
		return false, "the head of the chain was changed: its seal is of another one"
	}
	return true, ""
}
