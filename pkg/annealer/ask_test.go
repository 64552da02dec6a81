package annealer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// foreseen plans a rerun with dry runs and gives "role@node: outlook differences reason" of each step.
func (r *rig) foreseen() map[string]string {
	r.t.Helper()
	rev := r.engine.View().Rev()
	p, err := r.engine.Foresee(r.t.Context(), crowbar.PlanFor{Deployment: "k", Rerun: true}, r.Ask)
	if err != nil {
		r.t.Fatal(err)
	}
	if now := r.engine.View().Rev(); now != rev {
		r.t.Errorf("a plan took the state from %d to %d", rev, now)
	}
	out := map[string]string{}
	for _, st := range p.Steps {
		says := string(st.Outlook)
		for _, d := range st.Differences {
			says += " " + d.String()
		}
		out[st.Role+"@"+st.Node] = strings.TrimSpace(says + " " + st.Reason)
	}
	return out
}

func (m *machine) done() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.calls, "\n")
}

func convergedRig(t *testing.T, nodes int) *rig {
	t.Helper()
	r := newRig(t, memory(), newSite(), "d1")
	r.cluster(nodes)
	if !r.until(allActive) {
		t.Fatal("it does not converge")
	}
	return r
}

// dry is a role that honours a dry run: it looks for its first file.
func (s *site) dry(ctx context.Context, name string, on role.Target) (res role.Result, err error) {
	if !on.DryRun {
		return s.write(ctx, name, on)
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"facts"}, Reads: true}); err != nil {
		return res, err
	}
	if _, err := on.Conn.Get(ctx, "/"+name+".a"); err != nil {
		res.Changes = append(res.Changes, role.Change{What: "file", Name: "/" + name + ".a", Do: "create"})
	}
	return res, nil
}

func TestAskChangesNothing(t *testing.T) {
	r := convergedRig(t, 4)
	r.apply = r.dry
	m := r.machine("n1")
	delete(m.files, "/db.a")
	before, env := m.done(), map[string]string{}
	m.exec = func(c jig.Cmd) (jig.Exit, error) { env = c.Env; return jig.Exit{}, nil }
	got := r.foreseen()
	if got["db@n1"] != "changes create file /db.a" || got["db@n0"] != "unchanged" || got["app@n3"] != "unchanged" {
		t.Errorf("%v", got)
	}
	more := strings.TrimPrefix(m.done(), before)
	if strings.Contains(more, "fence") || strings.Contains(more, "put ") || strings.Count(more, "facts") != 3 {
		t.Errorf("on the node was done:%s", more)
	}
	if env["KUBECLAMP_DRY_RUN"] != "1" || env["KUBECLAMP_FENCE"] != "" {
		t.Errorf("the environment is %v", env)
	}
	if r.connections() != 0 {
		t.Errorf("%d connections stay open", r.connections())
	}
}

func TestAskCatchesWhoWritesInADryRun(t *testing.T) {
	r := convergedRig(t, 1)
	delete(r.machine("n0").files, "/db.a")
	r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
		switch name {
		case "db": // takes no notice of DryRun
			return r.write(ctx, name, on)
		case "app": // nor of the refusal
			_ = on.Artifacts.Put(ctx, "x/y", "/usr/bin/y", 0o755)
			return role.Result{}, nil
		case "base": // says nothing of what its command is
			_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"mkdir", "/base"}})
			return role.Result{}, err
		}
		return role.Result{}, nil
	}
	got := r.foreseen()
	if want := "unknown role db writes /db.a, in its dry run, which was refused"; !strings.HasPrefix(got["db@n0"], want) {
		t.Errorf("%q, want %q", got["db@n0"], want)
	}
	if want := "unknown role app puts artifact x/y to /usr/bin/y, in its dry run"; !strings.HasPrefix(got["app@n0"], want) {
		t.Errorf("%q, want %q", got["app@n0"], want)
	}
	if want := "unknown role base runs `mkdir /base`, which does not say that it only reads"; !strings.HasPrefix(got["base@n0"], want) || strings.Contains(r.machine("n0").done(), "mkdir") {
		t.Errorf("%q, want %q; done:\n%s", got["base@n0"], want, r.machine("n0").done())
	}
	if _, there := r.machine("n0").files["/db.a"]; there {
		t.Error("the file was written")
	}
}

func TestAskSaysWhatCannotBeAsked(t *testing.T) {
	r := convergedRig(t, 3)
	r.apply = func(ctx context.Context, name string, on role.Target) (role.Result, error) {
		switch name + "@" + on.Node {
		case "db@n0":
			panic("oh")
		case "app@n0":
			return role.Result{}, errors.New("not fit yet:\n  - the password is hunter22")
		}
		return r.dry(ctx, name, on)
	}
	dialled := 0
	r.dialFail = func(node string) error {
		if node == "n1" {
			dialled++
			return crowbar.Errorf(crowbar.Unavailable, "10.0.0.2:22: no answer")
		}
		return nil
	}
	got := r.foreseen()
	for place, want := range map[string]string{
		"db@n0": "unknown the role panicked: oh", "app@n0": "unknown not fit yet:\n  - the password is", "base@n0": "unchanged", "app@n2": "unchanged",
		"base@n1": "unknown reach node n1: 10.0.0.2:22: no answer", "app@n1": "unknown reach node n1: 10.0.0.2:22: no answer",
	} {
		if !strings.HasPrefix(got[place], want) {
			t.Errorf("%s: %q, want %q", place, got[place], want)
		}
	}
	if dialled != 1 {
		t.Errorf("the dark node was dialled %d times", dialled)
	}
	r.unknown = errors.New("its plugin is broken")
	if got := r.foreseen()["app@n2"]; got != "unknown role app: its plugin is broken" {
		t.Errorf("with a broken plugin: %q", got)
	}
}

func TestAskShowsNoSecrets(t *testing.T) {
	r := convergedRig(t, 1)
	r.apply = func(_ context.Context, name string, on role.Target) (role.Result, error) {
		if name != "db" {
			return role.Result{}, nil
		}
		return role.Result{Changes: []role.Change{{What: "file", Name: "/db", Do: "change", Diff: fmt.Sprint("now ", on.Attribs["db-password"]),
			Unified: fmt.Sprintf("@@ -1,1 +1,1 @@\n-password=\n+password=%s\n", on.Attribs["db-password"])}}}, nil
	}
	if got := r.foreseen()["db@n0"]; strings.Contains(got, "hunter22") || !strings.Contains(got, hidden) {
		t.Errorf("%q", got)
	}
	p, err := r.engine.Foresee(t.Context(), crowbar.PlanFor{Deployment: "k", Rerun: true}, r.Ask)
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range p.Steps {
		if st.Role == "db" && (len(st.Differences) != 1 || st.Differences[0].Unified != "@@ -1,1 +1,1 @@\n-password=\n+password="+hidden+"\n") {
			t.Errorf("%+v", st.Differences)
		}
	}
}

// real is a role on package linux, and machine in memory that answers it.
type real struct{ content string }

func (real) Describe() role.Info { return role.Info{Name: "real"} }

func (r real) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	_, changes, err := linux.Converge(ctx, on, linux.State{Files: []linux.File{{Path: "/etc/real.conf", Content: r.content}}})
	return role.Result{Changes: changes}, err
}

type memoryJig struct{ node *roletest.Node }

func (j memoryJig) Dial(context.Context, *crowbar.Node) (jig.Conn, error) { return j.node, nil }

func TestAskARealRole(t *testing.T) {
	n := roletest.NewNode()
	r := New(Config{Engine: engine.New(engine.Config{Store: memory()}), Jigs: map[string]jig.Jig{"ssh": memoryJig{n}}, LogDir: t.TempDir(),
		Roles: func(string) (role.Role, error) { return real{"x=1\n"}, nil }})
	w := &crowbar.Work{Role: crowbar.Role{Name: "real", Jig: "ssh"}, Node: crowbar.Node{ID: 1, Name: "n1", Arch: "amd64"}}
	before := n.Picture()
	ask := func() crowbar.Answer { return r.Ask(t.Context(), []crowbar.DryRun{{Work: w}})[0] }
	ans := ask()
	if ans.Failure != "" || len(ans.Differences) != 1 || ans.Differences[0].String() != "create file /etc/real.conf" {
		t.Errorf("%+v", ans)
	}
	if n.Puts != 0 || n.Execs != 1 || n.Picture() != before {
		t.Errorf("%d execs, %d puts, changed:\n%s", n.Execs, n.Puts, roletest.Diff(before, n.Picture()))
	}
	done := roletest.Apply(t, real{"x=1\n"}, n.Target(nil))
	if fmt.Sprint(done.Changes) != fmt.Sprint(ans.Differences) {
		t.Errorf("planned %v, done %v", ans.Differences, done.Changes)
	}
	if ans := ask(); ans.Failure != "" || len(ans.Differences) != 0 {
		t.Errorf("after it was done: %+v", ans)
	}
}

func TestMendedIsWhatWasChangedByHand(t *testing.T) {
	r := convergedRig(t, 1)
	again := func() (mended []string) {
		t.Helper()
		if err := r.engine.Rerun(t.Context(), r.engine.View().DeploymentNamed("k").ID); err != nil {
			t.Fatal(err)
		}
		if !r.until(allActive) {
			t.Fatal("it does not converge")
		}
		s := r.engine.View()
		for nr := range s.NodeRoles() {
			if run := s.Run(nr.Run); run.Mended {
				mended = append(mended, s.Role(nr.Role).Name+": "+strings.Join(run.Changes, ", "))
			}
		}
		return mended
	}
	if got := again(); len(got) != 0 {
		t.Errorf("nobody changed anything: %v", got)
	}
	m := r.machine("n0")
	delete(m.files, "/app.b")
	m.exec = func(jig.Cmd) (jig.Exit, error) { return jig.Exit{Stdout: []byte("otherwise")}, nil } // the look sees it
	if got := again(); len(got) != 1 || got[0] != "app: create file /app.b" {
		t.Errorf("mended %v", got)
	}
	delete(m.files, "/db.b")
	m.exec = nil
	if err := r.engine.Set(t.Context(), crowbar.KindDeployment, r.engine.View().DeploymentNamed("k").ID, "db-password", "another one"); err != nil {
		t.Fatal(err)
	}
	if err := r.engine.Commit(t.Context(), r.engine.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	if got := again(); len(got) != 0 {
		t.Errorf("with another attrib it is not known who changed the file: %v", got)
	}
}
