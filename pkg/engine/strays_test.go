package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// tellers is roles that say what is of no node.
type tellers struct {
	mu    sync.Mutex
	says  map[string][]crowbar.Stray // role -> what it finds
	dark  map[string]bool            // nodes that do not answer
	asked []string
	peers map[string][]crowbar.Peer
	done  []string
	fails error
	did   func()
}

func (f *tellers) Knows(role, action string) bool { return action == "strays" && f.says[role] != nil }

func (f *tellers) Look(_ context.Context, w *crowbar.Work, action string, _ crowbar.Data) (crowbar.Data, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, w.Node.Short()+"/"+w.Role.Name)
	if f.peers == nil {
		f.peers = map[string][]crowbar.Peer{}
	}
	f.peers[w.Role.Name] = w.Peers
	if f.dark[w.Node.Short()] {
		return nil, errors.New("reach node " + w.Node.Short() + ": no route to host")
	}
	var list []any
	for _, x := range f.says[w.Role.Name] {
		list = append(list, map[string]any{"what": x.What, "name": x.Name, "node": x.Node, "address": x.Address, "mend": string(x.Mend), "mended": true})
	}
	return crowbar.Data{"strays": list}, nil
}

func (f *tellers) Do(_ context.Context, w *crowbar.Work, action string, args crowbar.Data) (crowbar.Data, error) {
	f.done = append(f.done, w.Role.Name+" "+action+" "+args["node"].(string)+" "+args["address"].(string))
	if f.did != nil {
		f.did()
	}
	return nil, f.fails
}

func (w *world) strays(mend bool, by Actors) *crowbar.Strays {
	w.t.Helper()
	s, err := w.Strays(w.t.Context(), w.View().DeploymentNamed("k").ID, mend, by)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func converged(t *testing.T) *world {
	w := build(t)
	w.apply(two())
	w.drain(well)
	return w
}

func TestStraysAreAskedForOnce(t *testing.T) {
	w := converged(t)
	rev := w.View().Rev()
	f := &tellers{says: map[string][]crowbar.Stray{"db": {}, "app": {{What: "object", Name: "x", Mend: crowbar.MendForget}}}}
	got := w.strays(false, f)
	slices.Sort(f.asked)
	if strings.Join(f.asked, " ") != "n1/db n2/app" || strings.Join(got.Asked, " ") != "n2/app n1/db" || len(got.Unknown) != 0 {
		t.Errorf("asked %v, told %+v", f.asked, got)
	}
	if len(got.Found) != 1 || got.Found[0].Role != "app" || got.Found[0].Mended || len(f.done) > 0 || w.View().Rev() != rev {
		t.Errorf("found %+v, done %v", got.Found, f.done)
	}
	if n := len(f.peers["db"]); n == 0 || !slices.ContainsFunc(f.peers["db"], func(p crowbar.Peer) bool { return p.Node == "n2" && p.Role == "db" && p.Settled }) {
		t.Errorf("db sees %+v", f.peers["db"])
	}
	if _, err := w.Strays(t.Context(), 9999, false, f); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("no deployment: %v", err)
	}
}

// Two deployments may share what a role knows: those of the other one are no strays, and nothing of them is missed.
func TestStraysAreOfNoDeployment(t *testing.T) {
	w := converged(t)
	other := two()
	other.Deployment = "other"
	for i := range other.Nodes {
		other.Nodes[i].Name = strings.Replace(other.Nodes[i].Name, "n", "m", 1)
		other.Nodes[i].Address = strings.Replace(other.Nodes[i].Address, "10.0.0", "10.0.1", 1)
	}
	w.apply(other)
	w.drain(well)
	f := &tellers{says: map[string][]crowbar.Stray{"db": {}}}
	w.strays(false, f)
	for name, settled := range map[string]bool{"n1": true, "n2": true, "m1": false, "m2": false} {
		if !slices.ContainsFunc(f.peers["db"], func(p crowbar.Peer) bool { return p.Node == name && p.Role == "db" && p.Settled == settled }) {
			t.Errorf("%s is not seen, or not as %v: %+v", name, settled, f.peers["db"])
		}
	}
}

func TestStraysOfNodesThatDoNotAnswer(t *testing.T) {
	w := converged(t)
	f := &tellers{says: map[string][]crowbar.Stray{"db": {}, "app": {}}, dark: map[string]bool{"n1": true}}
	if got := w.strays(false, f); strings.Join(got.Asked, " ") != "n2/app n2/db" {
		t.Errorf("where n1 is dark: %+v", got)
	}
	f.dark["n2"] = true
	got := w.strays(false, f)
	if len(got.Unknown) != 2 || got.Unknown[1].Role != "db" || got.Unknown[1].Reason != "reach node n1: no route to host" {
		t.Errorf("where both are: %+v", got)
	}
	for _, n := range []string{"n1.a.b", "n2.a.b"} {
		if err := w.SetAlive(t.Context(), w.View().NodeNamed(n).ID, false); err != nil {
			t.Fatal(err)
		}
	}
	f.asked = nil
	if got = w.strays(false, f); len(got.Unknown) != 2 || len(f.asked) > 0 || !strings.Contains(got.Unknown[0].Reason, "no node that has it is alive") {
		t.Errorf("where both are dead: %+v, asked %v", got, f.asked)
	}
}

func TestStraysAreMended(t *testing.T) {
	w := converged(t)
	f := &tellers{says: map[string][]crowbar.Stray{
		"db":  {{What: "member", Name: "ghost", Address: "10.0.0.9", Mend: crowbar.MendForget}, {What: "member", Name: "alive", Address: "10.0.0.8"}, {What: "member", Name: "n2", Node: "n2", Mend: crowbar.MendRerun}},
		"app": {{What: "object", Name: "n7", Node: "n7", Mend: crowbar.MendForget}}}}
	got := w.strays(true, f)
	if strings.Join(f.done, ", ") != "app forget n7 , db forget ghost 10.0.0.9" {
		t.Errorf("done %q", f.done)
	}
	var mended []string
	for _, x := range got.Found {
		if x.Mended {
			mended = append(mended, x.Name)
		}
	}
	if strings.Join(mended, " ") != "n7 ghost n2" {
		t.Errorf("mended %v of %+v", mended, got.Found)
	}
	var forced []string
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Force {
			forced = append(forced, work.Node.Short()+"/"+work.Role.Name)
		}
		return well(work)
	})
	if strings.Join(forced, " ") != "n2/db" {
		t.Errorf("run in full: %v", forced)
	}
}

// Nothing is taken out while a run may be in the middle of putting it there, or once a node is bound that is just that.
func TestStraysAreNotMendedBesideRuns(t *testing.T) {
	w := converged(t)
	says := map[string][]crowbar.Stray{"db": {{What: "member", Name: "n2", Address: "10.0.0.2", Mend: crowbar.MendForget}}}
	f := &tellers{says: says}
	if got := w.strays(true, f); got.Found[0].Mended || !strings.Contains(got.Found[0].Failure, "n2 has role db by now") || len(f.done) > 0 {
		t.Errorf("a node that is bound: %+v, done %v", got.Found, f.done)
	}
	f.says["db"][0] = crowbar.Stray{What: "member", Name: "n9", Address: "10.0.0.9", Mend: crowbar.MendForget}
	f.fails = errors.New("no quorum")
	if got := w.strays(true, f); got.Found[0].Mended || got.Found[0].Failure != "no quorum" {
		t.Errorf("one that fails: %+v", got.Found)
	}
	if err := w.Retry(t.Context(), w.nr("app", "n2").ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Begin(t.Context(), w.nr("app", "n2").ID); err != nil {
		t.Fatal(err)
	}
	f.done = nil
	if _, err := w.Strays(t.Context(), w.View().DeploymentNamed("k").ID, true, f); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "app on n2 runs") || len(f.done) > 0 {
		t.Errorf("while something runs: %v, done %v", err, f.done)
	}
	if got := w.strays(false, f); len(got.Found) != 1 {
		t.Errorf("only looked at meanwhile: %+v", got)
	}
}

func TestCertificatesOfNoNode(t *testing.T) {
	w := converged(t)
	dep := w.View().DeploymentNamed("k").ID
	lost := &crowbar.Secret{ID: w.View().Next(), Deployment: dep, Name: "leaf/db-leaf/n9"}
	if err := w.store.Commit(t.Context(), w.View().Rev(), crowbar.Change{Put: lost}); err != nil {
		t.Fatal(err)
	}
	f := &tellers{}
	if got := w.strays(false, f); len(got.Found) != 1 || got.Found[0].Node != "n9" || w.View().SecretNamed(dep, lost.Name) == nil {
		t.Errorf("%+v", got.Found)
	}
	if got := w.strays(true, f); len(got.Found) != 1 || !got.Found[0].Mended || w.View().SecretNamed(dep, lost.Name) != nil || w.View().SecretNamed(dep, "leaf/db-leaf/n1") == nil {
		t.Errorf("%+v", got.Found)
	}
}
