package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/backup"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// world is a real etcd that is the cluster's, and the folder of its backups.
type world struct {
	t     *testing.T
	etcd  *embedded.Server
	state *crowbar.Snapshot
	fails map[crowbar.ID]error
	conf  backup.Config
	*backup.Backups
}

func newWorld(t *testing.T, change func(*backup.Config)) *world {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, etcd: s, fails: map[crowbar.ID]error{}, state: members3()}
	conf := backup.Config{Dir: filepath.Join(t.TempDir(), "backups"), View: func() *crowbar.Snapshot { return w.state }, StateFile: "state.db", Program: "v1", Keep: 2,
		Take:     w.take,
		State:    func(_ context.Context, file string) error { return os.WriteFile(file, []byte("state"), 0o600) },
		SealKeys: func() []string { return []string{"k1"} },
		Rehearse: func(ctx context.Context, file string) (int64, int, error) {
			got, err := embedded.Rehearse(ctx, file, nil)
			return got.Revision, got.Keys, err
		}}
	if change != nil {
		change(&conf)
	}
	w.conf = conf
	if w.Backups, err = backup.Open(conf); err != nil {
		t.Fatal(err)
	}
	return w
}

// members3 is a deployment with three members of etcd; the first is not active, the last one's node is dead.
func members3() *crowbar.Snapshot {
	var c []crowbar.Change
	put := func(o crowbar.Object) { c = append(c, crowbar.Change{Put: o}) }
	put(&crowbar.Role{ID: 1, Name: "etcd", Exclusive: []crowbar.Exclusive{{Name: "m", Limit: 1, Gate: "peers-active"}}})
	put(&crowbar.Role{ID: 2, Name: "other"})
	put(&crowbar.Deployment{ID: 3, Name: "k8s", Stored: crowbar.DeploymentCommitted})
	put(&crowbar.Deployment{ID: 4, Name: "empty", Stored: crowbar.DeploymentCommitted})
	for i, state := range []crowbar.State{crowbar.Error, crowbar.Active, crowbar.Active} {
		n := crowbar.ID(10 + i)
		put(&crowbar.Node{ID: n, Name: fmt.Sprintf("n%d", i+1), Alive: i < 2})
		put(&crowbar.NodeRole{ID: n + 10, Node: n, Role: 1, Deployment: 3, State: state, RunCount: 1})
	}
	return (&crowbar.Snapshot{}).Apply(1, c...)
}

func (w *world) take(ctx context.Context, etcd crowbar.ID, to io.Writer) (crowbar.Data, error) {
	if err := w.fails[etcd]; err != nil {
		_, _ = io.WriteString(to, "a part")
		return nil, err
	}
	r, err := w.etcd.Client().Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	_, err = io.Copy(to, r)
	return crowbar.Data{"node": w.state.Node(w.state.NodeRole(etcd).Node).Name, "version": "3.7"}, err
}

func (w *world) put(key string) {
	w.t.Helper()
	if _, err := w.etcd.Client().Put(w.t.Context(), key, "v"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) create(why string) crowbar.Backup {
	w.t.Helper()
	b, err := w.Create(w.t.Context(), 3, why)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) names() (out []string) {
	w.t.Helper()
	all, err := w.List()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range all {
		out = append(out, b.Name)
	}
	return out
}

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.put("/a")
	w.put("/b")
	w.put("/a")
	b := w.create(backup.Asked)
	if b.Node != "n2" || b.Revision != 4 || b.Keys != 2 || b.Etcd != "3.7" || len(b.SealKeys) != 1 || b.Verified.IsZero() {
		t.Errorf("%+v", b)
	}
	err := filepath.WalkDir(w.conf.Dir, func(path string, e fs.DirEntry, err error) error {
		info, _ := e.Info()
		if want := map[bool]fs.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if got, err := w.Verify(t.Context(), b.Name); err != nil || got.Revision != 4 {
		t.Errorf("verify: %+v, %v", got, err)
	}
	if left, _ := os.ReadDir(filepath.Join(w.conf.Dir, b.Name)); len(left) != 3 {
		t.Errorf("left in the folder: %v", left)
	}
}

func TestTheNextMemberIsAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.fails[21] = errors.New("n2 is busy")
	w.put("/a")
	if b := w.create(backup.Asked); b.Node != "n1" {
		t.Errorf("from %s", b.Node)
	}
	w.fails[20] = errors.New("n1 is out of quorum")
	_, err := w.Create(t.Context(), 3, backup.Asked)
	if err == nil || !strings.Contains(err.Error(), "n2 is busy") || !strings.Contains(err.Error(), "n1 is out of quorum") {
		t.Errorf("no member gives one: %v", err)
	}
	if got := w.names(); len(got) != 1 {
		t.Errorf("what failed left a backup: %v", got)
	}
	if left, _ := os.ReadDir(w.conf.Dir); len(left) != 1 {
		t.Errorf("what failed left %v", left)
	}
	if _, err := w.Create(t.Context(), 4, backup.Asked); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("a deployment without etcd: %v", err)
	}
}

func TestDamageIsFound(t *testing.T) {
	spoil := map[string]func(dir string) error{
		"a byte of etcd": func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, "etcd.db"), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte{0xff}, 5000)
			return errors.Join(err, f.Close())
		},
		"a shorter state": func(dir string) error { return os.Truncate(filepath.Join(dir, "state.db"), 2) },
		"a file is gone":  func(dir string) error { return os.Remove(filepath.Join(dir, "etcd.db")) },
		"no manifest":     func(dir string) error { return os.Remove(filepath.Join(dir, "manifest.json")) },
		"half a manifest": func(dir string) error { return os.Truncate(filepath.Join(dir, "manifest.json"), 20) },
		"a file from elsewhere": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(`{"files":[{"name":"etcd.db"},{"name":"../../x"}]}`), 0o600)
		},
	}
	for name, do := range spoil {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.put("/a")
			b := w.create(backup.Asked)
			if err := do(filepath.Join(w.conf.Dir, b.Name)); err != nil {
				t.Fatal(err)
			}
			if got, err := w.Verify(t.Context(), b.Name); err == nil {
				t.Errorf("found right: %+v", got)
			}
			if got := w.names(); len(got) != 1 {
				t.Errorf("list: %v", got)
			}
			if err := w.Delete(b.Name); name != "no manifest" && err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

func quickly(c *backup.Config) {
	c.Rehearse = func(context.Context, string) (int64, int, error) { return 1, 1, nil }
}

func TestKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quickly)
	w.put("/a")
	asked := w.create(backup.Asked)
	for range 4 {
		w.create(backup.Scheduled)
		w.create("before a step")
	}
	got := w.names()
	if len(got) != 5 || got[0] != asked.Name {
		t.Errorf("with 2 to keep of each sort there are %v", got)
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *backup.Config) { c.Every = time.Hour; quickly(c) })
	w.put("/a")
	now := time.Now()
	for i, at := range []time.Time{now, now.Add(30 * time.Minute), now.Add(2 * time.Hour)} {
		if err := w.Due(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if got, want := len(w.names()), []int{1, 1, 2}[i]; got != want {
			t.Errorf("after %s there are %d backups, want %d", at.Sub(now), got, want)
		}
	}
}

// An etcd whose role is a folder of scripts gives no backup, and nothing is said of that every minute.
func TestScriptsGiveNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quickly)
	r := *w.state.RoleNamed("etcd")
	r.Jig = "script"
	w.state = w.state.Apply(0, crowbar.Change{Put: &r})
	if err := w.Due(t.Context(), time.Now()); err != nil || len(w.names()) > 0 {
		t.Errorf("%v, %v", w.names(), err)
	}
	if _, err := w.Create(t.Context(), 3, backup.Asked); crowbar.KindOf(err) != crowbar.Conflict {
		t.Error(err)
	}
}

func TestBefore(t *testing.T) {
	etcd, other := crowbar.Role{Name: "etcd", Exclusive: []crowbar.Exclusive{{Gate: "peers-active"}}}, crowbar.Role{Name: "other"}
	dep := crowbar.Deployment{ID: 3, Name: "k8s"}
	tests := map[string]struct {
		work crowbar.Work
		why  string
	}{
		"a member joins":    {crowbar.Work{Role: etcd, Deployment: dep, Node: crowbar.Node{Name: "n4.x"}}, "before applying etcd on n4"},
		"a member goes":     {crowbar.Work{Role: etcd, Deployment: dep, Node: crowbar.Node{Name: "n1"}, Again: true, Remove: true}, "before removing etcd on n1"},
		"again":             {crowbar.Work{Role: etcd, Deployment: dep, Again: true}, ""},
		"another role":      {crowbar.Work{Role: other, Deployment: dep}, ""},
		"there is none yet": {crowbar.Work{Role: etcd, Deployment: crowbar.Deployment{ID: 4}}, ""},
	}
	w := newWorld(t, quickly)
	w.put("/a")
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := w.Before(t.Context(), &tt.work)
			if err != nil || b.Why != tt.why {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	if err := os.WriteFile(filepath.Join(filepath.Dir(w.conf.Dir), "manifest.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "nothing", "x.part"} {
		if err := w.Delete(name); err == nil {
			t.Errorf("%q was deleted", name)
		}
		if _, err := w.Verify(t.Context(), name); err == nil {
			t.Errorf("%q was verified", name)
		}
	}
}

func TestTakenElsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.put("/a")
	b := w.create(backup.Asked)
	other := newWorld(t, nil)
	for range 2 { // a second time nothing happens
		if err := backup.Take(filepath.Join(w.conf.Dir, b.Name), other.conf.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Verify(t.Context(), b.Name); err != nil {
		t.Error(err)
	}
	r, a, err := other.With(nil).Open(t.Context(), "backup/"+b.Name, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != a.Size || a.SHA256 != b.Files[0].SHA256 {
		t.Errorf("artifact: %d bytes, %+v, %v", n, a, err)
	}
}
