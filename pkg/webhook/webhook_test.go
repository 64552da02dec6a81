package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
	"github.com/kubeclamp/kubeclamp/pkg/webhook"
)

const secret = "correct horse battery staple"

// receiver takes events as somebody's program would; it checks every signature.
type receiver struct {
	t     *testing.T
	url   string
	mu    sync.Mutex
	code  int // of the answer; 0 = 204
	tries int
	got   []crowbar.Event
	more  chan struct{}
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, more: make(chan struct{}, 1000)}
	srv := httptest.NewServer(http.HandlerFunc(r.answer))
	t.Cleanup(srv.Close)
	r.url = srv.URL + "/hook"
	return r
}

func (r *receiver) answer(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(req.Header.Get("Webhook-Id") + "." + req.Header.Get("Webhook-Timestamp") + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(m.Sum(nil)); req.Header.Get("Webhook-Signature") != want {
		r.t.Errorf("signature %q, want %q", req.Header.Get("Webhook-Signature"), want)
	}
	if user, password, _ := req.BasicAuth(); user != "me" || password != "pass" {
		r.t.Errorf("it comes as %q with %q", user, password)
	}
	var e crowbar.Event
	if err := json.Unmarshal(body, &e); err != nil || e.ID.String() != req.Header.Get("Webhook-Id") {
		r.t.Errorf("%s: %v", body, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	if r.code != 0 {
		w.WriteHeader(r.code)
	} else {
		r.got = append(r.got, e)
	}
	r.more <- struct{}{}
}

func (r *receiver) answers(code int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.code = code
}

// await waits until the names of the nodes that were told are these.
func (r *receiver) await(want ...string) {
	r.t.Helper()
	var have []string
	for limit := time.After(20 * time.Second); ; {
		r.mu.Lock()
		have = nil
		for _, e := range r.got {
			have = append(have, e.Data["name"].(string))
		}
		r.mu.Unlock()
		if slices.Equal(have, want) {
			return
		}
		select {
		case <-r.more:
		case <-limit:
			r.t.Fatalf("told of %v, want %v", have, want)
		}
	}
}

type house struct {
	t   *testing.T
	st  *storetest.Memory
	eng *engine.Engine
}

func build(t *testing.T) *house {
	t.Helper()
	ring, err := pki.NewRing(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	st := storetest.NewMemory()
	h := &house{t, st, engine.New(engine.Config{Store: st, Ring: ring, PKI: pki.Over(ring)})}
	h.commit(&crowbar.Deployment{ID: 1, Name: "system", System: true})
	return h
}

func (h *house) commit(objects ...crowbar.Object) {
	h.t.Helper()
	var changes []crowbar.Change
	for _, o := range objects {
		changes = append(changes, crowbar.Change{Put: o})
	}
	for {
		err := h.st.Commit(h.t.Context(), h.st.View().Rev(), changes...)
		if err == nil {
			return
		}
		if crowbar.KindOf(err) != crowbar.Conflict {
			h.t.Fatal(err)
		}
	}
}

func (h *house) node(name string) {
	h.commit(&crowbar.Node{ID: h.st.View().Next() + 1000, Name: name + ".example.org", Deployment: 1})
}

func (h *house) sink(url string, selector crowbar.Data) crowbar.ID {
	h.t.Helper()
	o, err := h.eng.Make(h.t.Context(), &crowbar.EventSink{Endpoint: url, Username: "me", Active: true})
	if err != nil {
		h.t.Fatal(err)
	}
	password, sec := "pass", secret
	if err := h.eng.SetSinkSecrets(h.t.Context(), o.Key(), &password, &sec); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.eng.Make(h.t.Context(), &crowbar.EventSelector{Sink: o.Key(), Selector: selector}); err != nil {
		h.t.Fatal(err)
	}
	return o.Key()
}

// run has a sender run until stop is called; it returns when the sender knows where every sink is.
func (h *house) run(conf webhook.Config) (stop func()) {
	h.t.Helper()
	conf.Engine, conf.Moves = h.eng, h.st
	conf.First = time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = webhook.New(conf).Run(ctx) }()
	for s := range h.eng.Watch(h.t.Context()) {
		if s.Count(crowbar.KindDelivery) == s.Count(crowbar.KindEventSink) {
			break
		}
	}
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done }) }
	h.t.Cleanup(stop)
	return stop
}

// delivery waits until what is noted of a sink is right.
func (h *house) delivery(sink crowbar.ID, right func(*crowbar.Delivery) bool) *crowbar.Delivery {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	for s := range h.eng.Watch(ctx) {
		if at := s.DeliveryTo(sink); at != nil && right(at) {
			return at
		}
	}
	h.t.Fatalf("it does not come: %+v", h.st.View().DeliveryTo(sink))
	return nil
}

// TestTold: a sink hears what its selectors take, in order, signed, and where it is is noted.
func TestTold(t *testing.T) {
	h, r := build(t), receive(t)
	id := h.sink(r.url, crowbar.Data{"event": "on_node_create", "obj_class": "node"})
	h.node("before") // that was before it was there
	h.run(webhook.Config{})
	h.node("n1")
	h.commit(&crowbar.Group{ID: h.st.View().Next(), Name: "not asked for"})
	h.node("n2")
	r.await("n1.example.org", "n2.example.org")
	at := h.delivery(id, func(d *crowbar.Delivery) bool { return d.Sent == 2 })
	if at.Failures != 0 || at.Dead || !at.Upto.After(r.got[1].ID) {
		t.Errorf("%+v", at)
	}
	if e := r.got[0]; e.Type != "kubeclamp.node.created" || e.Data["selector"] == nil || e.Data["event"].(map[string]any)["obj_id"] != "n1.example.org" {
		t.Errorf("%+v", e)
	}
}

// TestTriedAgain: what a sink does not take is tried until it does, and nothing after it overtakes it.
func TestTriedAgain(t *testing.T) {
	h, r := build(t), receive(t)
	id := h.sink(r.url, crowbar.Data{"event": "on_node_create"})
	h.run(webhook.Config{})
	r.answers(http.StatusServiceUnavailable)
	h.node("n1")
	h.node("n2")
	at := h.delivery(id, func(d *crowbar.Delivery) bool { return d.Failures >= 4 })
	if !strings.Contains(at.LastError, "503") || at.Since.IsZero() || at.Dead {
		t.Errorf("%+v", at)
	}
	r.answers(0)
	r.await("n1.example.org", "n2.example.org")
	h.delivery(id, func(d *crowbar.Delivery) bool { return d.Sent == 2 && d.Failures == 0 && d.LastError == "" })
}

// TestTakenUp: another sender goes on where the one before it was when it died, however that was.
func TestTakenUp(t *testing.T) {
	h, r := build(t), receive(t)
	id := h.sink(r.url, crowbar.Data{"event": "on_node_create"})
	stop := h.run(webhook.Config{})
	h.node("n1")
	r.await("n1.example.org")
	h.delivery(id, func(d *crowbar.Delivery) bool { return d.Sent == 1 })
	stop()
	h.node("n2") // nobody tells it
	h.node("n3")
	h.run(webhook.Config{})
	h.node("n4")
	r.await("n1.example.org", "n2.example.org", "n3.example.org", "n4.example.org")
}

// TestGivenUp: a sink that wants no more, or that fails for too long, is left alone until somebody changes it.
func TestGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		code int
		conf webhook.Config
	}{"gone": {http.StatusGone, webhook.Config{}}, "too long": {http.StatusInternalServerError, webhook.Config{GiveUp: time.Millisecond}}} {
		t.Run(name, func(t *testing.T) {
			h, r := build(t), receive(t)
			id := h.sink(r.url, crowbar.Data{"event": "*"})
			h.run(c.conf)
			r.answers(c.code)
			h.node("n1")
			h.delivery(id, func(d *crowbar.Delivery) bool { return d.Dead })
			r.answers(0)
			if _, err := h.eng.Edit(t.Context(), crowbar.KindEventSink, id, func(o crowbar.Object) error { o.(*crowbar.EventSink).Notes = "mended"; return nil }); err != nil {
				t.Fatal(err)
			}
			r.await("n1.example.org")
		})
	}
}

// TestForgotten: a sink that was not told for longer than the state remembers hears that something is missing.
func TestForgotten(t *testing.T) {
	h, r := build(t), receive(t)
	id := h.sink(r.url, crowbar.Data{"event": "on_node_create"})
	h.commit(&crowbar.Delivery{ID: h.st.View().Next(), Sink: id, Upto: crowbar.EventID{Rev: 1}})
	h.st.Forget()
	h.run(webhook.Config{})
	h.delivery(id, func(d *crowbar.Delivery) bool { return d.Sent == 1 })
	if len(r.got) != 1 || r.got[0].Type != crowbar.EventsLost {
		t.Errorf("%+v", r.got)
	}
}

// TestPlainClient: it goes nowhere else than it was told to.
func TestPlainClient(t *testing.T) {
	h, r := build(t), receive(t)
	to := httptest.NewServer(http.RedirectHandler(r.url, http.StatusTemporaryRedirect))
	t.Cleanup(to.Close)
	moved := h.sink(to.URL, crowbar.Data{"event": "*"})
	local := h.sink("http://169.254.169.254/latest", crowbar.Data{"event": "*"})
	h.run(webhook.Config{})
	h.node("n1")
	if at := h.delivery(moved, func(d *crowbar.Delivery) bool { return d.Failures > 0 }); !strings.Contains(at.LastError, "307") {
		t.Errorf("%+v", at)
	}
	if at := h.delivery(local, func(d *crowbar.Delivery) bool { return d.Failures > 0 }); !strings.Contains(at.LastError, "link-local") {
		t.Errorf("%+v", at)
	}
	if r.tries != 0 {
		t.Error("it followed a redirect")
	}
}
