package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

// sealedWorld has a secret in each kind of place, and many nodes with one, under a key in a file. A real PKI makes the rest.
func sealedWorld(t *testing.T, nodes int) *world {
	t.Helper()
	w := build(t)
	ring, err := pki.OpenRing(filepath.Join(t.TempDir(), "key"), true)
	if err != nil {
		t.Fatal(err)
	}
	w.ring = ring
	w.Engine.Ring, w.Engine.PKI = ring, pki.Over(ring)
	w.apply(two())
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		return crowbar.Outcome{Wall: crowbar.Data{"db-password": "wall of " + work.Role.Name}}
	})
	var changes []crowbar.Change
	s := w.View()
	for i := range nodes {
		n := &crowbar.Node{ID: s.Next() + crowbar.ID(i), Name: fmt.Sprintf("m%d.a.b", i), Alive: true}
		n.Hint = crowbar.Data{"db": crowbar.Data{"password": fmt.Sprint("hint ", i)}}
		changes = append(changes, crowbar.Change{Put: n})
	}
	if err := w.change(t.Context(), func(d *draft) error { return d.add(changes, nil) }); err != nil {
		t.Fatal(err)
	}
	w.entrust()
	return w
}

// The passwords of sealedWorld.
const (
	ownPassword  = "the user's own"
	hookPassword = "the sink's password"
	hookSecret   = "what signs to the sink"
	bmcPassword  = "the hammer's"
)

// entrust has more sealed: what a user signs in with, digest too, and what sinks and hammers are proved to.
func (w *world) entrust() {
	w.t.Helper()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	_, err := w.CreateUser(w.t.Context(), crowbar.User{Username: "vera"}, ownPassword, true)
	must(err)
	sink := w.made(&crowbar.EventSink{Endpoint: "https://hooks.example/in"})
	password, secret := hookPassword, hookSecret
	must(w.SetSinkSecrets(w.t.Context(), sink, &password, &secret))
	available := w.made(&crowbar.AvailableHammer{Name: "bmc", Class: "IpmiHammer"})
	hammer := w.made(&crowbar.Hammer{Node: w.View().NodeNamed("n1.a.b").ID, Available: available, Username: "root"})
	must(w.SetAuthenticator(w.t.Context(), hammer, bmcPassword))
}

// audited puts something on record, the end of which is sealed. It stays where it is when a state is copied.
func (w *world) audited() {
	w.t.Helper()
	if _, err := w.Audit(w.t.Context(), crowbar.AuditRecord{Who: "vera", Method: "PUT", Route: "/api/v2/secrets/rotate"}); err != nil {
		w.t.Fatal(err)
	}
}

// trusted says that all that is sealed does what it is there for.
func (w *world) trusted() {
	w.t.Helper()
	if !w.Password("vera", ownPassword) {
		w.t.Error("the user cannot sign in")
	}
	for _, realm := range []string{crowbar.Realm, crowbar.RebarRealm} {
		if sum, ok := w.HA1("vera", realm); !ok || sum != ha1("vera", realm, ownPassword) {
			w.t.Errorf("nor by digest of %s: %s", realm, sum)
		}
	}
	if p, s, err := w.OpenSink(w.View().EventSinkAt("https://hooks.example/in")); p != hookPassword || s != hookSecret || err != nil {
		w.t.Errorf("the sink is proved to by %q and %q: %v", p, s, err)
	}
	if c, err := w.AuditVerify(w.t.Context()); err != nil || !c.OK || !c.Sealed {
		w.t.Errorf("the audit log: %+v %v", c, err)
	}
}

// opened is every sealed value of the state, opened, by its place: what may not be lost.
func (w *world) opened(ring *pki.Ring) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	open := func(sealed []byte, place string) {
		plain, err := ring.Open(sealed, place)
		if err != nil {
			w.t.Fatal(err)
		}
		out[place] = string(plain)
	}
	s, kinds := w.View(), map[crowbar.Kind]bool{}
	for _, k := range sealing {
		for o := range s.All(k) {
			before := len(out)
			switch o := o.(type) {
			case *crowbar.Secret:
				open(o.Sealed, o.Place())
			case *crowbar.User:
				open(o.Credentials, o.Place())
			case *crowbar.EventSink:
				open(o.Authenticator, o.Place(sinkPassword))
				open(o.Secret, o.Place(sinkSecret))
			case *crowbar.Hammer:
				if len(o.Authenticator) > 0 {
					open(o.Authenticator, o.Place())
				}
			case *crowbar.AuditHead:
				open(o.Sealed, o.Place())
			default:
				attrib.EachSealed(o, func(sealed []byte, at crowbar.Place) { open(sealed, at.String()) })
			}
			kinds[k] = kinds[k] || len(out) > before
		}
		if !kinds[k] && k != crowbar.KindRole && k != crowbar.KindAuditHead {
			w.t.Errorf("nothing is sealed among %s: this test does not see whether it can be opened", k)
		}
	}
	return out
}

func TestRotation(t *testing.T) {
	w := sealedWorld(t, 250)
	w.audited()
	before := w.opened(w.ring)
	if len(before) < 255 {
		t.Fatalf("only %d values are sealed", len(before))
	}
	old := w.ring.IDs()[0]
	if _, err := w.RotateKeys(false); err != nil {
		t.Fatal(err)
	}
	if st := w.SealStatus(); st.Left != len(before) || !st.Busy || len(st.Keys) != 2 || st.Keys[1].ID != old || st.Keys[1].Values != len(before) {
		t.Errorf("after the key was made: %+v", st)
	}
	if _, err := w.ForgetKey(old); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a key in use is forgotten: %v", err)
	}
	runs := w.nr("db", "n1").RunCount
	if err := w.resealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.SealStatus(); st.Left != 0 || st.Keys[0].Values != len(before) || st.Keys[1].Values != 0 {
		t.Errorf("at the end: %+v", st)
	}
	if _, err := w.ForgetKey(old); err != nil {
		t.Fatal(err)
	}
	equal(t, before, w.opened(w.ring))
	// Nothing has changed for anybody: the same document changes nothing, and nothing runs.
	rev := w.View().Rev()
	w.apply(two())
	if ran := w.drain(well); len(ran) > 0 || w.View().Rev() != rev || w.nr("db", "n1").RunCount != runs {
		t.Errorf("rotation makes %v run", ran)
	}
}

func equal(t *testing.T, before, after map[string]string) {
	t.Helper()
	for place, v := range before {
		if after[place] != v {
			t.Errorf("%s: %q has become %q", place, v, after[place])
		}
	}
	if len(before) != len(after) {
		t.Errorf("%d values have become %d", len(before), len(after))
	}
}

// dying lets so many commits through; the next one is made, or not, and its answer never comes: the daemon is dead.
type dying struct {
	Store
	left   int
	commit bool
}

var errDead = errors.New("dead")

func (s *dying) Commit(ctx context.Context, at crowbar.Rev, c ...crowbar.Change) error {
	if s.left--; s.left >= 0 {
		return s.Store.Commit(ctx, at, c...)
	}
	if s.left == -1 && s.commit {
		_ = s.Store.Commit(ctx, at, c...)
	}
	return errDead
}

// TestRotationIsCutOffAnywhere kills the daemon at each commit of a rotation, before and after it is made: the next start
// opens everything, and goes on to the end by itself.
func TestRotationIsCutOffAnywhere(t *testing.T) {
	for kill := 0; ; kill++ {
		for _, made := range []bool{false, true} {
			w := sealedWorld(t, 250)
			w.audited()
			before := w.opened(w.ring)
			store := &dying{Store: w.store, left: kill, commit: made}
			w.Engine.Store = store
			if _, err := w.RotateKeys(false); err != nil {
				t.Fatal(err)
			}
			cut := w.resealAll(t.Context())
			if cut == nil {
				if kill < 3 {
					t.Fatalf("a rotation of %d values has only %d commits", len(before), kill)
				}
				return
			}
			again, err := pki.OpenRing(w.ring.Source(), false)
			if err != nil {
				t.Fatal(err)
			}
			w.Engine = New(Config{Store: w.store, PKI: pki.Over(again), Ring: again, Owner: "next"})
			if err := w.CheckSeals(); err != nil {
				t.Fatal(err)
			}
			equal(t, before, w.opened(again))
			if err := w.resealAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			if st := w.SealStatus(); st.Left != 0 {
				t.Errorf("killed at %d: %+v", kill, st)
			}
			equal(t, before, w.opened(again))
			w.trusted()
		}
	}
}

// TestRotationBesideWork sets values and runs roles while everything is sealed anew.
func TestRotationBesideWork(t *testing.T) {
	w := sealedWorld(t, 250)
	id := w.View().NodeNamed("n1.a.b").ID
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var beside sync.WaitGroup
	beside.Go(func() { _ = w.KeepSealed(ctx) })
	for i := range 20 {
		if i%5 == 0 {
			if _, err := w.RotateKeys(false); err != nil {
				t.Fatal(err)
			}
		}
		w.set(crowbar.KindNode, id, "db-password", fmt.Sprint("value ", i))
		w.drain(func(work *crowbar.Work) crowbar.Outcome {
			if work.Role.Name == "db" && work.Node.ID == id && work.Attribs["db-password"] != fmt.Sprint("value ", i) {
				t.Errorf("given %v", work.Attribs["db-password"])
			}
			return crowbar.Outcome{Wall: crowbar.Data{"db-password": "wall of " + work.Role.Name}}
		})
	}
	cancel()
	beside.Wait()
	if err := w.resealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.SealStatus(); st.Left != 0 || len(st.Keys) != 5 {
		t.Errorf("%+v", st)
	}
	if len(w.opened(w.ring)) < 250 {
		t.Error("values are gone")
	}
}

func TestRotationByItselfAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := sealedWorld(t, 10)
		if err := w.ring.Renew(); err != nil { // and then the daemon died
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var loop sync.WaitGroup
		loop.Go(func() { _ = w.KeepSealed(ctx) })
		synctest.Wait()
		if st := w.SealStatus(); st.Left != 0 || st.Busy {
			t.Errorf("%+v", st)
		}
		cancel()
		loop.Wait()
	})
}

// TestOneSpoiltValueDoesNotKeepTheRestBack: it stays as it is and is named.
func TestOneSpoiltValueDoesNotKeepTheRestBack(t *testing.T) {
	w := sealedWorld(t, 10)
	n := *w.View().NodeNamed("m3.a.b")
	n.Hint = w.View().NodeNamed("m4.a.b").Hint
	if err := w.store.Commit(t.Context(), w.View().Rev(), crowbar.Change{Put: &n}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RotateKeys(false); err != nil {
		t.Fatal(err)
	}
	if err := w.resealAll(t.Context()); err == nil || !bytes.Contains([]byte(err.Error()), []byte("nodes/"+n.ID.String()+"/hint/db/password")) {
		t.Errorf("error is %v", err)
	}
	if st := w.SealStatus(); st.Left != 1 {
		t.Errorf("%+v", st)
	}
}

// many is a store that several daemons work on.
type many struct{ Store }

func (many) Daemons() []crowbar.Daemon { return make([]crowbar.Daemon, 2) }

func TestSeveralDaemonsRotateAGivenKey(t *testing.T) {
	w := sealedWorld(t, 3)
	w.Engine.Store = many{w.store}
	if _, err := w.RotateKeys(false); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a key that the others lack is made: %v", err)
	}
	id, err := pki.AddKey(w.ring.Source())
	if err != nil {
		t.Fatal(err)
	}
	if w.ring.IDs()[0] == id {
		t.Error("the new key seals before the others have it")
	}
	if _, err := w.RotateKeys(true); err != nil {
		t.Fatal(err)
	}
	if err := w.resealAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := w.SealStatus(); st.Keys[0].ID != id || st.Left != 0 {
		t.Errorf("%+v", st)
	}
}
