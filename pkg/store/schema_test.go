package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// version1 puts a state into etcd that a kubeclampd has written which knew no version of its form.
func version1(t *testing.T, srv *embedded.Server) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/version1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var kv struct{ Key, Value string }
		if err := d.Decode(&kv); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.Client().Put(t.Context(), kv.Key, kv.Value); err != nil {
			t.Fatal(err)
		}
	}
	return everything(t, srv)
}

// everything is all keys but the roll of daemons.
func everything(t *testing.T, srv *embedded.Server) map[string]string {
	t.Helper()
	resp, err := srv.Client().Get(t.Context(), "", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, kv := range resp.Kvs {
		if !strings.Contains(string(kv.Key), "/daemons/") {
			out[string(kv.Key)] = string(kv.Value)
		}
	}
	return out
}

// A state of version 1 is taken over, worked on, and taken back to what the older program knows, byte for byte.
func TestUpgradeAndBack(t *testing.T) {
	srv := serve(t)
	was := version1(t, srv)
	conf := srv.Store()
	conf.Program = "v2.0.0"
	s := open(t, conf)
	if n := s.View().NodeNamed("n2.old.internal"); n == nil || n.Address != "192.0.2.2" || s.View().Count(crowbar.KindNodeRole) != 6 {
		t.Errorf("after the upgrade: %+v, %d node-roles", n, s.View().Count(crowbar.KindNodeRole))
	}
	if _, err := s.Hold(t.Context(), crowbar.Daemon{Owner: "new-1", Name: "new"}); err != nil {
		t.Fatal(err)
	}
	if is := everything(t, srv)["/kubeclamp/v1/schema"]; is != `{"version":2,"by":"v2.0.0"}` {
		t.Errorf("schema %s", is)
	}
	dep := *s.View().DeploymentNamed("d")
	dep.Description = "seen by the new one"
	if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &dep}); err != nil {
		t.Fatal(err)
	}
	if now, known, err := store.SchemaVersion(t.Context(), conf); now != 2 || known != 2 || err != nil {
		t.Error(now, known, err)
	}
	if to, err := store.Downgrade(t.Context(), conf); to != 1 || err != nil {
		t.Fatal(to, err)
	}
	is := everything(t, srv)
	delete(is, "/kubeclamp/v1/head")
	delete(was, "/kubeclamp/v1/head")
	for k := range is {
		if strings.Contains(k, "/deployments/") {
			is[k] = strings.Replace(is[k], dep.Description, "", 1)
		}
	}
	if !maps.Equal(is, was) {
		t.Errorf("after the downgrade:\n%v\nwant\n%v", is, was)
	}
	err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &dep})
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "form of the state") {
		t.Errorf("a daemon of the newer form, on the older one: %v", err)
	}
	if _, err := store.Downgrade(t.Context(), conf); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("once more: %v", err)
	}
	if s := open(t, conf); s.View().DeploymentNamed("d").Description != dep.Description {
		t.Error("lost on the way down and up")
	}
}

// renaming is a form of the state in which nodes have another key for their address and there are no runs. Each way it takes
// only what it expects.
func renaming() []crowbar.Reform {
	rename := func(from, to string) func(crowbar.Kind, []byte) ([]byte, error) {
		return func(k crowbar.Kind, value []byte) ([]byte, error) {
			if k == crowbar.KindRun {
				return nil, nil
			}
			if k != crowbar.KindNode {
				return value, nil
			}
			if !bytes.Contains(value, []byte(`"`+from+`":`)) {
				return nil, errors.New("it has the new form already")
			}
			return bytes.Replace(value, []byte(`"`+from+`":`), []byte(`"`+to+`":`), 1), nil
		}
	}
	return append(crowbar.Reforms(), crowbar.Reform{What: "addresses", Up: rename("address", "addr"), Down: rename("addr", "address")})
}

// Cut off anywhere on its way up or down, a state goes on from there at the next try, and each object changes its form once.
func TestReformCutOff(t *testing.T) {
	srv := serve(t)
	version1(t, srv)
	conf := small(srv)
	conf.MaxOps = 4
	s := open(t, conf)
	if err := s.Commit(t.Context(), s.View().Rev(), generation(0)[4:]...); err != nil { // beside those of the fixture
		t.Fatal(err)
	}
	s.Close()
	was := everything(t, srv)
	conf.Reforms = renaming()
	for n := 1; ; n++ {
		up := cutTry(t, srv, conf, n, func(c store.Config) error {
			s, err := store.Open(t.Context(), c)
			if err == nil {
				s.Close()
			}
			return err
		})
		is := everything(t, srv)
		for k, v := range is {
			if strings.Contains(k, "/runs/") || strings.Contains(k, "/nodes/") && (strings.Contains(v, `"address":`) || !strings.Contains(v, `"addr":`)) {
				t.Fatalf("cut off at %d, on the way up: %s %s", n, k, v)
			}
		}
		if is["/kubeclamp/v1/schema"] != `{"version":3}` {
			t.Fatal(is["/kubeclamp/v1/schema"])
		}
		down := cutTry(t, srv, conf, n, func(c store.Config) error { _, err := store.Downgrade(t.Context(), c); return err })
		is = everything(t, srv)
		for k, v := range was {
			if !strings.Contains(k, "/runs/") && is[k] != v {
				t.Fatalf("cut off at %d, on the way down: %s\n%s\nwant %s", n, k, is[k], v)
			}
		}
		if up && down {
			if n < 10 {
				t.Errorf("only %d transactions: this proves little", n)
			}
			return
		}
	}
}

// cutTry does it with a client that is cut off, then again with one that is not; it says whether the first did it all.
func cutTry(t *testing.T, srv *embedded.Server, conf store.Config, n int, do func(store.Config) error) (whole bool) {
	t.Helper()
	cut := conf
	var kv *cutKV
	cut.Client, kv = cutAfter(srv, n, n%2 == 0)
	err := do(cut)
	if kv.left > 0 {
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	if err == nil {
		t.Fatalf("cut off at %d, and it says that all went well", n)
	}
	if err := do(conf); err != nil && crowbar.KindOf(err) != crowbar.Conflict { // of a downgrade that was done but for its answer
		t.Fatalf("after it was cut off at %d: %v", n, err)
	}
	return false
}

func TestTooNewIsLeftAlone(t *testing.T) {
	srv := serve(t)
	version1(t, srv)
	conf := srv.Store()
	conf.Program, conf.Reforms = "v3.1.0", renaming()
	open(t, conf).Close()
	was := everything(t, srv)
	older := srv.Store()
	for name, do := range map[string]func() error{
		"open":      func() error { _, err := store.Open(t.Context(), older); return err },
		"downgrade": func() error { _, err := store.Downgrade(t.Context(), older); return err },
	} {
		err := do()
		if crowbar.KindOf(err) != crowbar.Invalid {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range []string{"version 3", "v3.1.0", "up to 2", "kubeclampd schema downgrade"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s does not say %q: %v", name, part, err)
			}
		}
	}
	if !maps.Equal(was, everything(t, srv)) {
		t.Error("something was written")
	}
}

// Where daemons share a state, its form is not changed under the hands of one that is at work.
func TestNoReformUnderDaemons(t *testing.T) {
	srv := serve(t)
	shared := srv.Store()
	shared.Alone = false
	s := open(t, shared)
	if _, err := s.Hold(t.Context(), crowbar.Daemon{Owner: "a-1", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Name: "n1.a.b", Address: "192.0.2.1"}}); err != nil {
		t.Fatal(err)
	}
	newer := shared
	newer.Reforms = renaming()
	if _, err := store.Open(t.Context(), newer); crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "a; stop them all") {
		t.Errorf("upgrade: %v", err)
	}
	if _, err := store.Downgrade(t.Context(), shared); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("downgrade: %v", err)
	}
	if err := s.Commit(t.Context(), s.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Name: "n1.a.b"}}); err != nil {
		t.Errorf("the one at work: %v", err)
	}
	s.Close()
	s = open(t, newer)
	if s.View().Node(1) == nil {
		t.Error("the node is lost")
	}
}

// One that opened the state before its form was changed, and was not registered then, stops with a clear word: it writes nothing,
// and does not become one of the daemons for whom nodes would wait.
func TestAnOlderOneStopsWriting(t *testing.T) {
	srv := serve(t)
	shared := srv.Store()
	shared.Alone = false
	older := open(t, shared)
	if err := older.Commit(t.Context(), older.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Name: "n1.a.b"}}); err != nil {
		t.Fatal(err)
	}
	newer := shared
	newer.Reforms = renaming()
	open(t, newer).Close()
	was := everything(t, srv)
	_, hold := older.Hold(t.Context(), crowbar.Daemon{Owner: "a-1", Name: "a"})
	for what, err := range map[string]error{"commit": older.Commit(t.Context(), older.View().Rev(), crowbar.Change{Put: &crowbar.Node{ID: 1, Name: "n2.a.b"}}), "hold": hold} {
		if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "may not write; start it again") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if !maps.Equal(was, everything(t, srv)) {
		t.Error("something was written")
	}
}
