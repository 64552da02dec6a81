package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

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

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubeclamp": main})
}

// TestScripts runs the program itself, as a process of its own, against a real engine and API in this process; only nodes
// and their roles are missing. See testdata/*.txtar. Commands of these scripts:
//
//	code N kubeclamp ...      runs it and wants exit code N
//	interrupt kubeclamp ...   runs it, interrupts it once it watches, and wants exit code 130
//	rounds TEXT kubeclamp ... runs it, interrupts it once it has said what matches TEXT, and wants exit code 130
//	anneal                    from now on, whatever can run does, and ends well
//	fail NODE/ROLE TEXT       but for this one, which fails
//	hold NODE/ROLE            or this one, which never ends
//	mend NODE/ROLE            ends well again
//	end NODE/ROLE             one that never ends does, as one that was told to stop
//	bend NODE/ROLE FILE       somebody changes a file of the role by hand
//	leave ROLE WHAT NAME ADDRESS MEND  something of a role is in the cluster, of no node
//	darken NODE               the node does not answer dry runs any more
//	lose [ACTION...]          etcd has no quorum any more; wants that these were its actions
//	fill FILE                 gives the nodes of a document of 'kubeclamp init' addresses
//	uncomment FILE            takes in the attribs that are comments there
//	asking FILE               from now on, with the token in the file
//	say, both, golden         see nouns_test.go
//	settle                    waits until all that was answered is in the audit log
//	tamper                    somebody changes the first record of it past the daemon
//	json FILE                 wants that the file is one JSON document
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", UpdateScripts: *update, Setup: func(env *testscript.Env) error { return setup(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "interrupt": interrupt, "rounds": rounds, "anneal": onRehearsal((*rehearsal).anneal), "fail": onRehearsal((*rehearsal).fail),
			"hold": onRehearsal((*rehearsal).hold), "mend": onRehearsal((*rehearsal).mend), "end": onRehearsal((*rehearsal).end), "json": isJSON,
			"settle": onRehearsal(func(r *rehearsal, _ *testscript.TestScript, _ []string) { r.settle() }), "tamper": onRehearsal((*rehearsal).tamper),
			"lose": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Value("etcd").(*fakeEtcd).lose(ts, neg, args)
			},
			"bend": onRehearsal((*rehearsal).bend), "darken": onRehearsal((*rehearsal).darken), "leave": onRehearsal((*rehearsal).leave),
			"fill": fill, "uncomment": uncomment,
			"asking": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv("KUBECLAMP_TOKEN", strings.TrimSpace(ts.ReadFile(args[0])))
			},
			"say": say, "both": both, "golden": golden(t),
		}})
}

func setup(t *testing.T, env *testscript.Env) error {
	file := filepath.Join(env.WorkDir, "admin.json")
	etcd := &fakeEtcd{}
	with, err := etcd.with(env.WorkDir)
	if err != nil {
		return err
	}
	r, end, err := rehearse(file, func(h http.Handler) http.Handler { return apitest.Check(t, h) }, with)
	if err != nil {
		return err
	}
	etcd.r, env.Values["etcd"] = r, etcd
	env.Defer(end)
	env.Setenv("KUBECLAMP_CONFIG", file)
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, ".config"))
	env.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector each program would end a second later
	env.Values["rehearsal"], env.Values["transcript"] = r, &transcript{}
	return nil
}

// rehearse starts a daemon without nodes and writes the administrator's file. front is put before its API; more says what else its
// API is to be like.
func rehearse(file string, front func(http.Handler) http.Handler, more ...func(*api.Config)) (*rehearsal, func(), error) {
	r := &rehearsal{said: map[string]string{}, held: map[string]bool{}, bent: map[string]string{}, dark: map[string]bool{}, watched: make(chan struct{})}
	p, err := pki.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(r.home(), "barclamp.yaml"))
	if err != nil {
		return nil, nil, err
	}
	cat, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		return nil, nil, err
	}
	state := storetest.NewMemory()
	r.engine = engine.New(engine.Config{Store: state, PKI: p, Ring: p.Ring, Owner: "rehearsal", Mac: p.Ring.Mac, HashCost: 4})
	site, err := barclamp.Parse(barclamp.File{Path: "site.yml", Data: []byte("barclamp: { name: site }\nattribs:\n  - { name: site-password, map: site/password, secret: true, schema: { type: str } }\n")})
	if err != nil {
		return nil, nil, err
	}
	for _, cat := range []*crowbar.Catalog{cat, site} {
		if err := r.engine.Import(context.Background(), cat); err != nil {
			return nil, nil, err
		}
	}
	const token = "0123456789abcdef"
	conf := api.Config{Engine: r.engine, Users: r.engine, Moves: state, Auditing: r.engine, Logs: r, Health: r.health, Ask: r.ask, Actors: r, Reboot: func(context.Context, crowbar.ID) error { return nil }, Token: token, Log: slog.New(slog.DiscardHandler)}
	for _, m := range more {
		m(&conf)
	}
	server := api.New(conf)
	answer := front(server)
	r.state, r.settle = state, server.Settle
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Has("after") {
			select {
			case r.watched <- struct{}{}:
			default:
			}
		}
		answer.ServeHTTP(w, req)
	}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	b, err := json.Marshal(client.Config{Endpoint: srv.URL, Token: token, CA: string(ca)})
	if err != nil {
		srv.Close()
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	r.wait.Go(func() { _ = r.engine.KeepSealed(ctx) })
	return r, func() { cancel(); r.wait.Wait(); srv.Close() }, os.WriteFile(file, b, 0o600)
}

// rehearsal is a daemon without nodes: real engine, real API, roles that only say how they end.
type rehearsal struct {
	engine *engine.Engine
	state  *storetest.Memory
	settle func()
	ctx    context.Context
	wait   sync.WaitGroup
	// watched takes a word when somebody waits for news of a deployment.
	watched chan struct{}

	mu   sync.Mutex
	said map[string]string // node/role -> failure
	held map[string]bool
	bent map[string]string // node/role -> file that was changed by hand
	dark map[string]bool   // nodes that do not answer
	left []crowbar.Stray   // what is in the cluster, of no node
}

// tamper changes who did the first thing that is on record.
func (r *rehearsal) tamper(ts *testscript.TestScript, _ []string) {
	for rec := range r.state.View().Audit() {
		c := *rec
		c.Who = "nobody"
		ts.Check(r.state.Commit(r.ctx, r.state.View().Rev(), crowbar.Change{Put: &c}))
		return
	}
}

func (*rehearsal) home() string { return filepath.Join("..", "..") }

func of(ts *testscript.TestScript) *rehearsal { return ts.Value("rehearsal").(*rehearsal) }

func onRehearsal(f func(*rehearsal, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) { f(of(ts), ts, args) }
}

func (*rehearsal) health(context.Context) []crowbar.Finding {
	return []crowbar.Finding{{Check: "etcd", Grade: crowbar.GradeOK, Says: "a read of the state took 1ms"}}
}

// Follow is a run log of two lines; with follow it also waits for the caller to go away.
func (r *rehearsal) Follow(ctx context.Context, id crowbar.ID, attempt uint64, follow bool, w io.Writer) error {
	nr := r.engine.View().NodeRole(id)
	if attempt == 0 {
		attempt = nr.Attempt
	}
	if nr.Attempt < attempt || attempt == 0 {
		return crowbar.Errorf(crowbar.NotFound, "node-role %d has no log of attempt %d", id, attempt)
	}
	_, err := fmt.Fprintf(w, "attempt %d\nfirst line\n", attempt)
	return err
}

func (r *rehearsal) anneal(*testscript.TestScript, []string) {
	r.wait.Go(func() {
		for s := range r.engine.Watch(r.ctx) {
			for next := graph.Runnable(s); len(next) > 0 && r.ctx.Err() == nil; next = graph.Runnable(r.engine.View()) {
				if !r.run(next) {
					break
				}
			}
		}
	})
}

// run begins and ends what can run; it tells whether anything ended.
func (r *rehearsal) run(next []*crowbar.NodeRole) bool {
	ended := false
	for _, nr := range next {
		work, err := r.engine.Begin(r.ctx, nr.ID)
		if err != nil {
			continue
		}
		key := work.Node.Short() + "/" + work.Role.Name
		r.mu.Lock()
		failure, held := r.said[key], r.held[key]
		r.mu.Unlock()
		if held {
			continue
		}
		out := crowbar.Outcome{Failure: failure, Final: true, Given: fmt.Sprint(work.Attribs)}
		if failure == "" {
			for _, d := range r.differences(work) {
				out.Changes = append(out.Changes, d.String())
			}
			r.mu.Lock()
			delete(r.bent, key)
			r.mu.Unlock()
		}
		ended = r.engine.Finish(r.ctx, nr.ID, work.Attempt, out) == nil || ended
	}
	return ended
}

// differences is what a run would change: at its first time it makes a file, later it mends what was changed by hand.
func (r *rehearsal) differences(work *crowbar.Work) []crowbar.Difference {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch file, bent := r.bent[work.Node.Short()+"/"+work.Role.Name]; {
	case !work.Again:
		return []crowbar.Difference{{What: "file", Name: "/etc/" + work.Role.Name, Do: "create"}}
	case bent:
		return []crowbar.Difference{{What: "file", Name: file, Do: "change", Diff: "content"}}
	}
	return nil
}

func (r *rehearsal) ask(_ context.Context, asked []crowbar.DryRun) []crowbar.Answer {
	out := make([]crowbar.Answer, len(asked))
	for i, q := range asked {
		r.mu.Lock()
		dark := r.dark[q.Work.Node.Short()]
		r.mu.Unlock()
		if dark {
			out[i].Failure = "reach node " + q.Work.Node.Short() + ": no answer in 10s"
			continue
		}
		out[i].Differences = r.differences(q.Work)
	}
	return out
}

func (r *rehearsal) bend(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bent[args[0]] = args[1]
}

func (r *rehearsal) darken(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dark[args[0]] = true
}

func (r *rehearsal) fail(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said[args[0]] = args[1]
}

func (r *rehearsal) hold(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[args[0]] = true
}

// end ends the run of one that was held.
func (r *rehearsal) end(ts *testscript.TestScript, args []string) {
	s := r.engine.View()
	for nr := range s.NodeRoles() {
		if s.Node(nr.Node).Short()+"/"+s.Role(nr.Role).Name == args[0] {
			ts.Check(r.engine.Finish(r.ctx, nr.ID, nr.Attempt, crowbar.Outcome{Failure: "it was told to stop", Final: true}))
			return
		}
	}
	ts.Fatalf("there is no %s", args[0])
}

func (r *rehearsal) mend(_ *testscript.TestScript, args []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.said, args[0])
	delete(r.held, args[0])
}

func code(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// program is the one that a script names.
func program(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Err = nil // it is found in the script's PATH, not in this process's
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, args[0])); err == nil {
			cmd.Path = filepath.Join(dir, args[0])
			break
		}
	}
	cmd.Env = []string{"KUBECLAMP_CONFIG=" + ts.Getenv("KUBECLAMP_CONFIG"), "HOME=" + ts.Getenv("HOME")}
	return cmd
}

// interrupt waits until the program waits for news.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	var errs bytes.Buffer
	cmd := program(ts, args)
	cmd.Stderr = &errs
	lines, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	select {
	case <-of(ts).watched:
	case <-time.After(20 * time.Second):
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	_, _ = io.Copy(io.Discard, lines)
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		ts.Fatalf("%v, want exit code %d; stderr:\n%s", err, exitInterrupted, errs.String())
	}
}

func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("there is more than one document")
	}
}

// fill puts addresses where a first document wants them.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	text := regexp.MustCompile(`ADDRESS-OF-\w+`).ReplaceAllStringFunc(ts.ReadFile(args[0]), func(string) string { n++; return fmt.Sprintf("10.0.1.%d", n) })
	if n == 0 {
		ts.Fatalf("%s wants no address", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}

// uncomment takes in what a first document only names.
func uncomment(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Replace(ts.ReadFile(args[0]), "attribs: {}", "attribs:", 1)
	text = regexp.MustCompile(`(?m)^#(  [a-z-]+: )`).ReplaceAllString(text, "$1")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
}
