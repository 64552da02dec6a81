package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

const planted = "planted-Passw0rd"

// ear hears everything that goes to the store.
type ear struct {
	Store
	heard strings.Builder
}

func (e *ear) Commit(ctx context.Context, at crowbar.Rev, changes ...crowbar.Change) error {
	b, err := json.Marshal(changes)
	if err != nil {
		return err
	}
	e.heard.Write(b)
	return e.Store.Commit(ctx, at, changes...)
}

func listened(t *testing.T) (*world, *ear) {
	t.Helper()
	w := build(t)
	e := &ear{Store: w.store}
	w.Engine.Store = e
	return w, e
}

func (w *world) set(k crowbar.Kind, id crowbar.ID, name string, v any) {
	w.t.Helper()
	if err := w.Set(w.t.Context(), k, id, name, v); err != nil {
		w.t.Fatal(err)
	}
}

// TestSecretsGoToTheStoreSealed says a secret in every place where one can be said, and gives one back from a run.
func TestSecretsGoToTheStoreSealed(t *testing.T) {
	w, store := listened(t)
	c := two()
	c.Attribs["db-password"] = planted + "-cluster"
	w.apply(c)
	dep, node, nr := w.View().DeploymentNamed("k").ID, w.View().NodeNamed("n1.a.b").ID, w.nr("db", "n1")
	w.set(crowbar.KindDeployment, dep, "db-password", planted+"-deployment")
	w.set(crowbar.KindNodeRole, nr.ID, "db-password", planted+"-node-role")
	w.set(crowbar.KindNode, node, "db-password", planted+"-hint")
	if _, err := w.UpdateNode(t.Context(), node, func(n *crowbar.Node) error {
		n.Discovery = crowbar.Data{"db": crowbar.Data{"password": planted + "-facts", "other": 1}}
		n.Notes = crowbar.Data{"db": crowbar.Data{"password": planted + "-note"}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), dep); err != nil {
		t.Fatal(err)
	}
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		o := crowbar.Outcome{Changes: []string{"create user with " + planted + "-new"}, Status: "made " + planted + "-new"}
		if work.Role.Name == "db" {
			o.Wall = crowbar.Data{"db-password": planted + "-new", "db": crowbar.Data{"password": planted + "-path"}, "shown": "open"}
		} else {
			o.Changes, o.Status = nil, ""
		}
		return o
	})
	if heard := store.heard.String(); strings.Contains(heard, planted) {
		at := strings.Index(heard, planted)
		t.Errorf("a secret goes to the store: ...%s", heard[max(0, at-200):at+40])
	}
	seen := map[string]bool{}
	for _, k := range []crowbar.Kind{crowbar.KindNode, crowbar.KindDeploymentRole, crowbar.KindNodeRole} {
		for o := range w.View().All(k) {
			for _, p := range crowbar.Parts(o) {
				if crowbar.HasSealed(*p.Data) {
					seen[string(k)+" "+p.Name] = true
				}
			}
		}
	}
	for _, want := range []string{"nodes hint", "nodes discovery", "nodes notes", "deployment_roles data", "node_roles data", "node_roles wall"} {
		if !seen[want] {
			t.Errorf("nothing is sealed in %s", want)
		}
	}
	if wall := w.nr("db", "n1").Wall; wall["shown"] != "open" {
		t.Errorf("what is not secret is not as it was: %v", wall)
	}
	if v, err := w.Reveal(t.Context(), w.nr("db", "n1").ID, "db-password"); v != planted+"-node-role" || err != nil {
		t.Errorf("revealed %v, %v", v, err)
	}
	if v, err := w.AttribIn(crowbar.KindDeployment, dep, "db-password", "all"); v != masked || err != nil {
		t.Errorf("shown %v, %v", v, err)
	}
}

func TestARunIsGivenItsSecretsOpen(t *testing.T) {
	w := build(t)
	w.apply(two())
	gave := crowbar.Data{"db-password": "given-back"}
	runs := 0
	look := func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "db" {
			runs++
			if work.Attribs["db-password"] != "hunter22" || !slices.Contains(work.Secrets, "hunter22") {
				t.Errorf("given %v, secrets %v", work.Attribs["db-password"], work.Secrets)
			}
			for _, p := range work.Peers {
				if v, ok := p.Wall["db-password"]; ok && (v != "given-back" || !slices.Contains(work.Secrets, "given-back")) {
					t.Errorf("peer's wall has %v", v)
				}
			}
			return crowbar.Outcome{Wall: gave}
		}
		return crowbar.Outcome{}
	}
	if ran := w.drain(look); runs < 2 {
		t.Errorf("ran %v", ran)
	}
	if crowbar.HasSealed(w.nr("db", "n1").Wall) == false {
		t.Error("the wall lies open")
	}
	// The same document and the same wall again are no news: nothing is poked, nothing changes.
	before := w.View().Rev()
	w.apply(two())
	if w.View().Rev() != before {
		t.Error("the same document again changes the state")
	}
	if err := w.Retry(t.Context(), w.nr("db", "n1").ID); err != nil {
		t.Fatal(err)
	}
	if ran := w.drain(look); len(ran) != 1 {
		t.Errorf("the same wall again makes others run: %v", ran)
	}
	gave = crowbar.Data{"db-password": "something new"}
	look = func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "db" {
			return crowbar.Outcome{Wall: gave}
		}
		return crowbar.Outcome{}
	}
	if err := w.Retry(t.Context(), w.nr("db", "n1").ID); err != nil {
		t.Fatal(err)
	}
	if ran := w.drain(look); len(ran) < 2 {
		t.Errorf("a new secret on the wall pokes nobody: %v", ran)
	}
}

func TestASealedValueMovedElsewhereDoesNotOpen(t *testing.T) {
	w := build(t)
	w.apply(two())
	s := w.View()
	from := s.DeploymentRoleOf(s.DeploymentNamed("k").ID, s.RoleNamed("db").ID)
	nr := *w.nr("db", "n1")
	nr.Committed = from.Committed
	if err := w.store.Commit(t.Context(), s.Rev(), crowbar.Change{Put: &nr}); err != nil {
		t.Fatal(err)
	}
	if v, err := w.Reveal(t.Context(), nr.ID, "db-password"); err == nil || !strings.Contains(err.Error(), "moved there") {
		t.Errorf("it opens to %v, %v", v, err)
	}
	if err := w.Set(t.Context(), crowbar.KindNodeRole, nr.ID, "db-password", crowbar.SealedText([]byte("x"))); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a sealed text can be set: %v", err)
	}
}

func TestWithoutTheKeyNothingBegins(t *testing.T) {
	w := build(t)
	w.apply(two())
	other, err := pki.NewRing(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.Engine.Ring = other
	id := w.nr("db", "n1").ID
	for nr := w.nr("db", "n1"); nr.State != crowbar.Todo; nr = w.nr("db", "n1") {
		next := w.nr("base", "n1")
		if next.State != crowbar.Todo {
			next = w.nr("config", "k-phantom")
		}
		work, err := w.Begin(t.Context(), next.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(t.Context(), next.ID, work.Attempt, well(work)); err != nil {
			t.Fatal(err)
		}
	}
	before := w.View().Rev()
	if _, err := w.Begin(t.Context(), id); crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), w.ring.IDs()[0]) {
		t.Errorf("begin: %v", err)
	}
	if w.View().Rev() != before || w.nr("db", "n1").State != crowbar.Todo {
		t.Error("a run that could not be given its secrets changed the state")
	}
	w.Engine.Ring = w.ring
	if _, err := w.Begin(t.Context(), id); err != nil {
		t.Error(err)
	}
}

func (w *world) reimport(from, to string) {
	w.t.Helper()
	c, err := barclamp.Parse(barclamp.File{Path: "small.yml", Data: []byte(strings.Replace(small, from, to, 1))})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Import(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnAttribThatBecomesSecretIsSealedAtOnce(t *testing.T) {
	w := build(t)
	w.apply(two())
	dep, node := w.View().DeploymentNamed("k").ID, w.View().NodeNamed("n1.a.b").ID
	w.set(crowbar.KindDeployment, dep, "domain", "open.example")
	w.set(crowbar.KindNode, node, "domain", "node.example")
	const was, is = `map: net/domain, default: x.org,`, `map: net/domain, secret: true,`
	w.reimport(was, is)
	open := func() string {
		var text strings.Builder
		for _, k := range []crowbar.Kind{crowbar.KindNode, crowbar.KindDeploymentRole, crowbar.KindNodeRole} {
			for o := range w.View().All(k) {
				b, _ := json.Marshal(o)
				text.Write(b)
			}
		}
		return text.String()
	}
	if t1 := open(); strings.Contains(t1, "open.example") || strings.Contains(t1, "node.example") {
		t.Errorf("it lies open after it has become secret: %s", t1)
	}
	// It ceases to be secret: what was said when it was one stays sealed, hidden, and usable.
	w.reimport("nothing", "nothing")
	if strings.Contains(open(), "open.example") {
		t.Error("it was opened by itself")
	}
	if v, _ := w.AttribIn(crowbar.KindDeployment, dep, "domain", "all"); v != masked {
		t.Errorf("shown as %v", v)
	}
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "db" && work.Node.ID == node && (work.Attribs["domain"] != "node.example" || !slices.Contains(work.Secrets, "node.example")) {
			t.Errorf("given %v, secrets %v", work.Attribs["domain"], work.Secrets)
		}
		return crowbar.Outcome{}
	})
	w.set(crowbar.KindDeployment, dep, "domain", "said.again")
	if v, _ := w.AttribIn(crowbar.KindDeployment, dep, "domain", "all"); v != "said.again" {
		t.Errorf("shown as %v", v)
	}
}

func TestUnset(t *testing.T) {
	w := build(t)
	c := two()
	delete(c.Attribs, "db-port")
	w.apply(c)
	w.drain(well)
	s := w.View()
	dep, node, nr := s.DeploymentNamed("k").ID, s.NodeNamed("n1.a.b").ID, w.nr("db", "n1").ID
	for _, at := range []struct {
		kind crowbar.Kind
		id   crowbar.ID
		runs []string // after commit
	}{
		{crowbar.KindDeployment, dep, []string{"db@n1", "db@n2"}}, {crowbar.KindNodeRole, nr, []string{"db@n1"}}, {crowbar.KindNode, node, []string{"db@n1"}},
	} {
		t.Run(string(at.kind), func(t *testing.T) {
			w.t = t
			commit := func(want []string, given any) {
				t.Helper()
				if err := w.Commit(t.Context(), dep); err != nil {
					t.Fatal(err)
				}
				ran := w.drain(func(work *crowbar.Work) crowbar.Outcome {
					if work.Node.ID == node && fmt.Sprint(work.Attribs["db-port"]) != fmt.Sprint(given) && work.Role.Name == "db" {
						t.Errorf("given %v, want %v", work.Attribs["db-port"], given)
					}
					return crowbar.Outcome{}
				})
				slices.Sort(ran)
				if !slices.Equal(ran, want) {
					t.Errorf("ran %v, want %v", ran, want)
				}
			}
			w.set(at.kind, at.id, "db-port", 99)
			commit(at.runs, 99)
			if err := w.Unset(t.Context(), at.kind, at.id, "db-port"); err != nil {
				t.Fatal(err)
			}
			if v, err := w.AttribIn(at.kind, at.id, "db-port", "all"); v != 5432.0 || err != nil {
				t.Errorf("after unset it is %v, %v", v, err)
			}
			commit(at.runs, 5432)
			before := w.View().Rev()
			if err := w.Unset(t.Context(), at.kind, at.id, "db-port"); err != nil || w.View().Rev() != before {
				t.Errorf("unset of nothing: %v", err)
			}
		})
	}
	if err := w.Unset(t.Context(), crowbar.KindDeployment, dep, "db-leaf"); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a computed one: %v", err)
	}
}
