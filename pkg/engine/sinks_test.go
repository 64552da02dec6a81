package engine_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// TestRotationReachesSinksAndTheAuditLog: after a rotation the older key seals nothing of them, and the new one alone opens all.
func TestRotationReachesSinksAndTheAuditLog(t *testing.T) {
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	ring := func(keys ...[]byte) *pki.Ring {
		r, err := pki.NewRing(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	st := storetest.NewMemory()
	old := ring(key(7))
	e := engine.New(engine.Config{Store: st, Ring: old, PKI: pki.Over(old)})
	o, err := e.Make(t.Context(), &crowbar.EventSink{Endpoint: "https://example.org/hook", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	password, secret := "calvin", "correct horse battery"
	if err := e.SetSinkSecrets(t.Context(), o.Key(), &password, &secret); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := e.Audit(t.Context(), crowbar.AuditRecord{Who: "boss", Method: "PUT"}); err != nil {
			t.Fatal(err)
		}
	}
	both := ring(key(8), key(7))
	e = engine.New(engine.Config{Store: st, Ring: both, PKI: pki.Over(both)})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.KeepSealed(ctx) }()
	for s := range e.Watch(ctx) {
		if engine.SealedBy(s, both.KeyID)[old.IDs()[0]] == 0 {
			break
		}
	}
	cancel()
	<-done
	if n := engine.SealedBy(st.View(), both.KeyID)[both.IDs()[0]]; n != 3 {
		t.Errorf("%d values are sealed by the new key, want 3", n)
	}
	fresh := ring(key(8))
	e = engine.New(engine.Config{Store: st, Ring: fresh, PKI: pki.Over(fresh)})
	p, s, err := e.OpenSink(st.View().EventSink(o.Key()))
	if err != nil || p != password || s != secret {
		t.Errorf("%q, %q, %v", p, s, err)
	}
	if check, err := e.AuditVerify(t.Context()); err != nil || !check.OK || !check.Sealed {
		t.Errorf("%+v, %v", check, err)
	}
}

func TestWhatNoSinkMayBe(t *testing.T) {
	st := storetest.NewMemory()
	r, err := pki.NewRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{Store: st, Ring: r, PKI: pki.Over(r)})
	for _, endpoint := range []string{"", "example.org", "ftp://example.org/", "file:///etc/passwd", "inproc://role:x/y", "http://", "https://user:secret@example.org/", "https://example.org/#x"} {
		if _, err := e.Make(t.Context(), &crowbar.EventSink{Endpoint: endpoint}); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
	o, err := e.Make(t.Context(), &crowbar.EventSink{Endpoint: "https://example.org/"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Make(t.Context(), &crowbar.EventSink{Endpoint: "https://example.org/"}); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("twice: %v", err)
	}
	short := "short"
	if err := e.SetSinkSecrets(t.Context(), o.Key(), nil, &short); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a short secret: %v", err)
	}
	for _, selector := range []crowbar.Data{nil, {}, {"event": ""}, {"event": 7}, {"event": "on_active", "obj_id": 7}} {
		if _, err := e.Make(t.Context(), &crowbar.EventSelector{Sink: o.Key(), Selector: selector}); crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%v: %v", selector, err)
		}
	}
	sel, err := e.Make(t.Context(), &crowbar.EventSelector{Sink: o.Key(), Selector: crowbar.Data{"event": "*"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Destroy(t.Context(), crowbar.KindEventSink, o.Key()); err != nil || st.View().EventSelector(sel.Key()) != nil {
		t.Errorf("its selectors stay: %v", err)
	}
}
