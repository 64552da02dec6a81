package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/api/apitest"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

const token = "the administrator's token"

// world is a real engine with the shipped barclamp, on a store in memory, behind HTTPS.
type world struct {
	*client.Client
	t        *testing.T
	engine   *engine.Engine
	store    *storetest.Memory
	api      *api.API
	url      string
	http     *http.Client
	logs     *fakeLogs
	crowbar  bool     // ask as OpenCrowbar's clients do
	sink     string   // id of one who is told of events
	selector string   // id of what it is told of
	spare    string   // id of a key that seals nothing
	secret   []string // every value that no answer may show
}

func build(t *testing.T) *world {
	t.Helper()
	ring, err := pki.NewRing(bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	p := pki.Over(ring)
	w := &world{t: t, logs: &fakeLogs{}, spare: ring.IDs()[1]}
	w.store = storetest.NewMemory()
	w.engine = engine.New(engine.Config{Store: w.store, PKI: p, Ring: p.Ring, Owner: "me", Mac: p.Ring.Mac, HashCost: 4})
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.engine.Import(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	return w.another(nil)
}

type apiConfig = api.Config

// another is the same world behind another API.
func (w *world) another(change func(*apiConfig)) *world {
	t := w.t
	t.Helper()
	o := *w
	w = &o
	conf := api.Config{Engine: w.engine, Users: w.engine, Logs: w.logs, Moves: w.store, Ask: w.dryRuns, Backups: oneBackup{}, Act: noAction, Actors: noActors{}, Reboot: func(context.Context, crowbar.ID) error { return nil }, Token: token, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&conf)
	}
	w.api = api.New(conf)
	srv := httptest.NewUnstartedServer(apitest.Check(t, w.api))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	w.url, w.http = srv.URL, srv.Client()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	var err error
	if w.Client, err = client.New(client.Config{Endpoint: srv.URL, Token: token, CA: string(ca)}); err != nil {
		t.Fatal(err)
	}
	return w
}

// cluster is three masters and a worker, with host names of which the short form is used in the cluster.
func cluster() crowbar.Cluster {
	c := crowbar.Cluster{Deployment: "k8s", Attribs: map[string]any{"flannel-backend": "host-gw"}}
	for i := range 4 {
		n := crowbar.ClusterNode{Name: fmt.Sprintf("n%d.example.org", i+1), Address: fmt.Sprintf("10.0.0.%d", i+1), Roles: []string{"etcd", "k8s-master", "dns-pool"}}
		if i == 3 {
			n.Roles = []string{"k8s-minion"}
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// converged is a world in which that cluster has been applied and every run has ended well.
func converged(t *testing.T) *world {
	t.Helper()
	w := build(t)
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	w.drain()
	sink, err := w.engine.Make(t.Context(), &crowbar.EventSink{Endpoint: "https://example.org/events", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	selector, err := w.engine.Make(t.Context(), &crowbar.EventSelector{Sink: sink.Key(), Selector: crowbar.Data{"event": "on_error"}})
	if err != nil {
		t.Fatal(err)
	}
	w.sink, w.selector = sink.Key().String(), selector.Key().String()
	return w
}

// drain runs everything that can run; roles give back nothing.
func (w *world) drain() {
	w.t.Helper()
	for n := 0; ; n++ {
		next := graph.Runnable(w.engine.View())
		if len(next) == 0 {
			return
		}
		if n > 500 {
			w.t.Fatal("it does not come to rest")
		}
		for _, nr := range next {
			work, err := w.engine.Begin(w.t.Context(), nr.ID)
			if err != nil {
				w.t.Fatal(err)
			}
			w.secret = append(w.secret, work.Secrets...)
			if err := w.engine.Finish(w.t.Context(), nr.ID, work.Attempt, crowbar.Outcome{Changes: []string{"create file /x"}}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func (w *world) id(k crowbar.Kind, key string) string {
	w.t.Helper()
	var o struct {
		ID crowbar.ID `json:"id"`
	}
	if err := w.Show(w.t.Context(), k, key, &o); err != nil {
		w.t.Fatal(err)
	}
	return o.ID.String()
}

// answer is what came back for one request.
type answer struct {
	code   int
	form   string // of the content type
	header http.Header
	text   string
}

func (a answer) message() string {
	var m struct{ Message string }
	_ = json.Unmarshal([]byte(a.text), &m)
	return m.Message
}

// ask sends one request, "METHOD /path"; authorization is the whole header, "" for none.
func (w *world) ask(authorization, request, body string) answer {
	w.t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.crowbar {
		req.Header.Set("Accept", "application/vnd.kubeclamp+json")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatalf("%s: %v", request, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s: %v", request, err)
	}
	form := strings.TrimSuffix(strings.TrimPrefix(resp.Header.Get("Content-Type"), "application/vnd.crowbar."), "+json; version=2.0")
	return answer{resp.StatusCode, form, resp.Header, string(b)}
}

func (w *world) admin(request, body string) answer {
	w.t.Helper()
	return w.ask("Bearer "+token, request, body)
}

// fakeLogs gives a log line by line, when it is told to.
type fakeLogs struct {
	attempt uint64
	follow  bool
	lines   chan string
	fail    error
}

func (f *fakeLogs) Follow(ctx context.Context, id crowbar.ID, attempt uint64, follow bool, w io.Writer) error {
	f.attempt, f.follow = attempt, follow
	for {
		select {
		case l, ok := <-f.lines:
			if !ok {
				return f.fail
			}
			if _, err := io.WriteString(w, l); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// oneBackup is a folder of backups with always the same in it.
type oneBackup struct{}

func (oneBackup) one(deployment crowbar.ID, why string) crowbar.Backup {
	return crowbar.Backup{Name: "b" + deployment.String(), Deployment: "k8s", Why: why, Made: time.Now(), Node: "n1", Etcd: "3.7.3", Revision: 7, Keys: 3,
		Files: []crowbar.BackupFile{{Name: "etcd.db", Bytes: 1, SHA256: "00"}}, Verified: time.Now()}
}

func (o oneBackup) Create(_ context.Context, deployment crowbar.ID, why string) (crowbar.Backup, error) {
	return o.one(deployment, why), nil
}
func (o oneBackup) List() ([]crowbar.Backup, error) {
	return []crowbar.Backup{o.one(1, "scheduled")}, nil
}
func (o oneBackup) Verify(context.Context, string) (crowbar.Backup, error) {
	return o.one(1, "scheduled"), nil
}
func (oneBackup) Delete(string) error { return nil }

// noActors finds a member of etcd that is of no node, and takes it out.
type noActors struct{}

func (noActors) Knows(role, _ string) bool { return role == "etcd" }

func (noActors) Look(context.Context, *crowbar.Work, string, crowbar.Data) (crowbar.Data, error) {
	return crowbar.Data{"strays": []any{map[string]any{"what": "member", "name": "ghost", "address": "10.0.0.99", "says": "of no node", "mend": "forget"}}}, nil
}

func (noActors) Do(context.Context, *crowbar.Work, string, crowbar.Data) (crowbar.Data, error) {
	return nil, nil
}

func noAction(context.Context, crowbar.ID, string, crowbar.Data) (crowbar.Data, error) {
	return crowbar.Data{"node": "n1"}, nil
}
