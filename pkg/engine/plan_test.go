package engine

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// planned is the steps of a plan for a document, without dry runs.
func (w *world) planned(c crowbar.Cluster) ([]crowbar.Step, error) {
	p, err := w.Foresee(w.t.Context(), crowbar.PlanFor{Deployment: c.Deployment, Document: &c}, nil)
	if err != nil {
		return nil, err
	}
	return p.Steps, nil
}

// fakeAsk answers "role@node" with differences, or with a failure where the first one's What is "failure"; it keeps what was
// asked.
type fakeAsk struct {
	says  map[string][]crowbar.Difference
	asked map[string]*crowbar.Work
}

func (f *fakeAsk) ask(_ context.Context, list []crowbar.DryRun) []crowbar.Answer {
	f.asked = map[string]*crowbar.Work{}
	var out []crowbar.Answer
	for _, q := range list {
		key := q.Work.Role.Name + "@" + q.Work.Node.Short()
		f.asked[key] = q.Work
		says := f.says[key]
		if len(says) > 0 && says[0].What == "failure" {
			out = append(out, crowbar.Answer{Failure: says[0].Name})
			continue
		}
		out = append(out, crowbar.Answer{Differences: says})
	}
	return out
}

func file(name string) []crowbar.Difference {
	return []crowbar.Difference{{What: "file", Name: name, Do: "change", Diff: "content", Unified: "@@ -1,1 +1,1 @@\n-a < b\n+b & \u2028é\n", More: 2}}
}

// outlooks is "role@node:outlook after" for each step.
func outlooks(p *crowbar.Plan) string {
	var out []string
	for _, st := range p.Steps {
		s := st.Role + "@" + st.Node + ":" + string(st.Outlook)
		for _, more := range []string{st.After, st.Before, st.Reason} {
			if more != "" {
				s += "(" + more + ")"
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func (w *world) foresee(want crowbar.PlanFor, ask Asker) *crowbar.Plan {
	w.t.Helper()
	if w.Mac == nil {
		w.Mac = func(b []byte) []byte { h := sha256.Sum256(append([]byte("key"), b...)); return h[:] }
	}
	p, err := w.Foresee(w.t.Context(), want, ask)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func TestAPlanOfWhatWasNeverAppliedInventsNothing(t *testing.T) {
	w := build(t)
	rev := w.View().Rev()
	doc := two()
	f := &fakeAsk{says: map[string][]crowbar.Difference{"base@n1": file("/etc/base")}}
	p := w.foresee(crowbar.PlanFor{Deployment: "k", Document: &doc}, f.ask)
	want := "base@n1:changes config@k-phantom:unchanged base@n2:unchanged db@n1:known-after(n1/base) db@n2:known-after(n2/base) app@n2:known-after(n2/db)"
	if got := outlooks(p); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if len(f.asked) != 3 || w.View().Rev() != rev {
		t.Errorf("%d were asked, and the state went from %d to %d", len(f.asked), rev, w.View().Rev())
	}
	if strings.Join(p.Touches, " ") != "n1 n2" || p.Outlook != crowbar.WillChange || p.Unrecorded != 6 || p.Expected != 0 {
		t.Errorf("touches %v, outlook %s, %d unrecorded, expected %v", p.Touches, p.Outlook, p.Unrecorded, p.Expected)
	}
}

func TestAPlanOfARerunNamesWhatDiffers(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		w.clock = w.clock.Add(time.Duration(len(work.Role.Name)) * time.Second)
		return well(work)
	})
	w.Rerun(t.Context(), w.View().DeploymentNamed("k").ID)
	w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{Wall: nil} })
	f := &fakeAsk{says: map[string][]crowbar.Difference{"base@n2": file("/etc/base"), "app@n2": {{What: "failure", Name: "node n2 is dark"}}}}
	p := w.foresee(crowbar.PlanFor{Deployment: "k", Rerun: true}, f.ask)
	want := "base@n1:unchanged config@k-phantom:unchanged base@n2:changes db@n1:unchanged db@n2:unchanged(n2/base) app@n2:unknown(node n2 is dark)"
	if got := outlooks(p); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if strings.Join(p.Touches, " ") != "n2" {
		t.Errorf("it touches %v", p.Touches)
	}
	if work := f.asked["db@n1"]; work == nil || !work.First || !work.Again || work.Attribs["db-port"] != 7.0 || len(work.Peers) == 0 {
		t.Errorf("db on n1 was asked with %+v", work)
	}
	for _, st := range p.Steps {
		if st.History == 0 || st.Expected == 0 || st.Low > st.Expected || st.High < st.Expected {
			t.Errorf("%s: expected %v (%v to %v) from %d runs", st.Place(), st.Expected, st.Low, st.High, st.History)
		}
	}
	if p.Unrecorded != 0 || p.Expected == 0 || len(p.Critical) == 0 || p.Critical[len(p.Critical)-1] != "n2/app" {
		t.Errorf("expected %v by %v, %d unrecorded", p.Expected, p.Critical, p.Unrecorded)
	}
	if p = w.foresee(crowbar.PlanFor{Deployment: "k", Rerun: true}, (&fakeAsk{}).ask); p.Outlook != crowbar.WillNot || len(p.Touches) != 0 {
		t.Errorf("where nothing differs: outlook %q, touches %v", p.Outlook, p.Touches)
	}
	if p = w.foresee(crowbar.PlanFor{Deployment: "k"}, nil); len(p.Steps) != 0 || p.Outlook != crowbar.WillNot {
		t.Errorf("where nothing is left: %s %q", outlooks(p), p.Outlook)
	}
}

// file form: what comes out of a file is what went in.
func kept(t *testing.T, p *crowbar.Plan) *crowbar.Plan {
	t.Helper()
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter22", "KEY leaf/db-leaf/n2", "value of db-token"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("the plan has a secret in it: %s", secret)
		}
	}
	var out crowbar.Plan
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func TestAPlanIsCarriedOut(t *testing.T) {
	w := build(t)
	doc := two()
	p := kept(t, w.foresee(crowbar.PlanFor{Deployment: "k", Document: &doc, Seal: true}, (&fakeAsk{}).ask))
	if err := w.CarryOut(t.Context(), p, nil); crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), "secrets (attribs.db-password)") {
		t.Errorf("without the document: %v", err)
	}
	other := two()
	other.Nodes[0].Address = "10.0.0.77"
	if err := w.CarryOut(t.Context(), p, &other); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("with another document: %v", err)
	}
	if err := w.CarryOut(t.Context(), p, &doc); err != nil {
		t.Fatal(err)
	}
	if ran := w.drain(well); len(ran) != len(p.Steps) {
		t.Errorf("%d were planned, %v ran", len(p.Steps), ran)
	}
	dep := w.View().DeploymentNamed("k")
	if dep.Plan == nil || dep.Plan.Runs != 6 || !dep.Plan.Made.Equal(p.Made) {
		t.Errorf("it is bound to %+v", dep.Plan)
	}
	if err := w.CarryOut(t.Context(), p, &doc); crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "n1/base: there is nothing to run any more") {
		t.Errorf("a second time: %v", err)
	}
}

func TestAPlanThatDoesNotHoldIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		move func(w *world, p *crowbar.Plan) error
		kind crowbar.ErrorKind
		says string
	}{
		"nothing moved": {func(*world, *crowbar.Plan) error { return nil }, -1, ""},
		"an attrib": {func(w *world, _ *crowbar.Plan) error {
			return w.Set(w.t.Context(), crowbar.KindDeployment, w.View().DeploymentNamed("k").ID, "db-port", 8)
		}, crowbar.Conflict, "n1/db: its run would be given other values: attribs"},
		"a secret": {func(w *world, _ *crowbar.Plan) error {
			return w.Set(w.t.Context(), crowbar.KindDeployment, w.View().DeploymentNamed("k").ID, "db-password", "other")
		}, crowbar.Conflict, "n2/db: its run would be given other values: attribs"},
		"an address": {func(w *world, _ *crowbar.Plan) error {
			_, err := w.UpdateNode(w.t.Context(), w.View().NodeNamed("n1.a.b").ID, func(n *crowbar.Node) error { n.Address = "10.0.0.9"; return nil })
			return err
		}, crowbar.Conflict, "n1/base: its run would be given other values: the node"},
		"a role more": {func(w *world, _ *crowbar.Plan) error {
			s := w.View()
			_, err := w.Bind(w.t.Context(), s.RoleNamed("app").ID, s.NodeNamed("n1.a.b").ID, s.DeploymentNamed("k").ID)
			return err
		}, crowbar.Conflict, "n1/app: it would be run as well (never applied)"},
		"a role less": {func(w *world, _ *crowbar.Plan) error {
			s := w.View()
			return w.Unbind(w.t.Context(), s.NodeRoleOn(s.NodeNamed("n2.a.b").ID, s.RoleNamed("app").ID).ID)
		}, crowbar.Conflict, "n2/app: there is nothing to run any more"},
		"edited": {func(_ *world, p *crowbar.Plan) error { p.Steps = p.Steps[1:]; return nil }, crowbar.Invalid, "it was edited"},
		"another daemon's": {func(w *world, _ *crowbar.Plan) error {
			w.Mac = func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
			return nil
		}, crowbar.Invalid, "another key"},
		"not sealed": {func(_ *world, p *crowbar.Plan) error { p.Seal = ""; return nil }, crowbar.Invalid, "read only"},
		"no plan":    {func(_ *world, p *crowbar.Plan) error { *p = crowbar.Plan{}; return nil }, crowbar.Invalid, "is the file a plan?"},
	} {
		t.Run(name, func(t *testing.T) {
			w := build(t)
			w.apply(two())
			w.drain(well)
			p := kept(t, w.foresee(crowbar.PlanFor{Deployment: "k", Rerun: true, Seal: true}, nil))
			if err := c.move(w, p); err != nil {
				t.Fatal(err)
			}
			rev := w.View().Rev()
			err := w.CarryOut(t.Context(), p, nil)
			if c.kind < 0 {
				if ran := w.drain(well); err != nil || len(ran) != 6 {
					t.Errorf("%v, ran %v", err, ran)
				}
				return
			}
			if crowbar.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q in it", err, c.says)
			}
			if w.View().Rev() != rev {
				t.Error("the state was changed all the same")
			}
		})
	}
}

func TestWhatComesUpDuringAPlanWaits(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	k := w.View().DeploymentNamed("k").ID
	if err := w.Set(t.Context(), crowbar.KindDeployment, k, "db-port", 9); err != nil {
		t.Fatal(err)
	}
	p := kept(t, w.foresee(crowbar.PlanFor{Deployment: "k", Seal: true}, nil))
	if err := w.CarryOut(t.Context(), p, nil); err != nil {
		t.Fatal(err)
	}
	for verb, err := range map[string]error{"commit": w.Commit(t.Context(), k), "rerun": w.Rerun(t.Context(), k), "force": w.Force(t.Context(), k), "apply": w.Apply(t.Context(), two(), false)} {
		if crowbar.KindOf(err) != crowbar.Conflict || !strings.Contains(err.Error(), "carries out the plan of") {
			t.Errorf("%s while it is under way: %v", verb, err)
		}
	}
	// Both members give back other walls, so that app, which the plan does not foresee, should run again.
	ran := w.drain(func(*crowbar.Work) crowbar.Outcome { return crowbar.Outcome{Wall: crowbar.Data{"new": true}} })
	if got := strings.Join(ran, " "); got != "db@n1 db@n2" {
		t.Errorf("ran %s", got)
	}
	app := w.nr("app", "n2")
	if why := w.Why(app.ID); app.State != crowbar.Todo || !strings.Contains(why, "not in the plan of") {
		t.Errorf("app is %s: %s", app.State, why)
	}
	if err := w.Commit(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if ran := w.drain(well); strings.Join(ran, " ") != "app@n2" {
		t.Errorf("after the commit ran %v", ran)
	}
}

func TestDrift(t *testing.T) {
	w := build(t)
	w.apply(two())
	w.drain(well)
	s := w.View()
	k := s.DeploymentNamed("k").ID
	f := &fakeAsk{says: map[string][]crowbar.Difference{"db@n2": file("/etc/db.conf"), "app@n2": {{What: "failure", Name: "plugin broken"}}}}
	if err := w.Set(t.Context(), crowbar.KindNode, s.NodeNamed("n1.a.b").ID, "zone", "z9"); err != nil {
		t.Fatal(err)
	}
	f.says["base@n1"] = file("/etc/base")
	rev := w.View().Rev()
	d, err := w.Drift(t.Context(), k, f.ask)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, on := range d.NodeRoles {
		one := on.Node + "/" + on.Role + ":" + string(on.Outlook) + on.Reason
		if on.Due {
			one += "(due)"
		}
		got = append(got, one)
	}
	if want := "n1/base:changes(due) n2/db:changes n2/app:unknownplugin broken"; strings.Join(got, " ") != want || d.Asked != 6 || d.Same != 3 {
		t.Errorf("%v, %d asked, %d the same", got, d.Asked, d.Same)
	}
	if w.View().Rev() != rev {
		t.Error("the state was changed")
	}
	if _, err := w.Drift(t.Context(), 9999, f.ask); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("of no deployment: %v", err)
	}
}
