package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Auditing is the record of what is done over the API.
type Auditing interface {
	Audit(ctx context.Context, r crowbar.AuditRecord) (seq uint64, err error)
	AuditLog(before uint64, limit int) []crowbar.AuditEntry
	AuditVerify(ctx context.Context) (crowbar.AuditCheck, error)
}

func (a *API) routeAudit() {
	a.handle("GET /api/v2/audit", a.auditLog)
	a.handle("GET /api/v2/audit/verify", a.auditVerify)
}

// mostAudit is how many entries one answer has.
const mostAudit = 1000

func (a *API) auditLog(r *http.Request) (form, any, error) {
	before, err := number(r, "before")
	if err != nil {
		return "", nil, err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return "", nil, err
	}
	limit = min(cmp.Or(limit, 100), mostAudit)
	if a.Auditing == nil {
		return "audit.list", []crowbar.AuditEntry{}, nil
	}
	return "audit.list", a.Auditing.AuditLog(before, int(limit)), nil
}

func (a *API) auditVerify(r *http.Request) (form, any, error) {
	if a.Auditing == nil {
		return "", nil, crowbar.Errorf(crowbar.Unavailable, "this daemon keeps no audit log")
	}
	check, err := a.Auditing.AuditVerify(r.Context())
	return "audit.check", check, err
}

// audited has a request that changes something noted before it is done, and how it ended after: what could not be noted is
// not done. What the request says beyond its path is not noted, it may be secret.
func (a *API) audited(w http.ResponseWriter, r *http.Request, next http.Handler) {
	_, pattern := a.mux.Handler(r)
	method, route, _ := strings.Cut(pattern, " ")
	if a.Auditing == nil || pattern == "" || method == http.MethodGet || needed(r.Method, pattern) == crowbar.RightViewer {
		next.ServeHTTP(w, r)
		return
	}
	c := caller(r)
	object := a.objectOf(r, route)
	seq, err := a.Auditing.Audit(r.Context(), crowbar.AuditRecord{Who: c.Name, Via: c.Via, From: remote(r), Method: r.Method, Route: route, Object: object})
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.noting.begin()
	seen := &watched{ResponseWriter: w, code: http.StatusOK}
	defer func() {
		p := recover()
		if p != nil && !seen.wrote {
			seen.code = http.StatusInternalServerError
		}
		go func() {
			defer a.noting.end()
			// Its request is over by now, and the note is not to be lost with it.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), time.Minute)
			defer cancel()
			if _, err := a.Auditing.Audit(ctx, crowbar.AuditRecord{Ends: seq, Code: seen.code, Object: seen.object}); err != nil {
				a.Log.Error("the end of a request is not in the audit log", "record", seq, "code", seen.code, "error", err)
			}
		}()
		if p != nil {
			panic(p)
		}
	}()
	next.ServeHTTP(seen, r)
}

// Settle waits until all that was answered is noted: after the last request, before the state is closed.
func (a *API) Settle() { a.noting.wait() }

// noting counts the requests whose end is not in the audit log yet.
type noting struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (n *noting) begin() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.n++
}

func (n *noting) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.n--; n.n == 0 && n.none != nil {
		close(n.none)
		n.none = nil
	}
}

func (n *noting) wait() {
	n.mu.Lock()
	if n.n == 0 {
		n.mu.Unlock()
		return
	}
	if n.none == nil {
		n.none = make(chan struct{})
	}
	none := n.none
	n.mu.Unlock()
	<-none
}

// objectOf names what the path of a request is about, by its natural name where there is one.
func (a *API) objectOf(r *http.Request, route string) string {
	words := strings.Split(strings.TrimPrefix(route, "/api/v2/"), "/")
	if len(words) < 2 || words[1] != "{id}" {
		return ""
	}
	kind, key := crowbar.Kind(words[0]), r.PathValue("id")
	if key == "" {
		have := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/api/v2/"), "/")
		if len(have) > 1 {
			key = unescaped(have[1])
		}
	}
	s := a.Engine.View()
	if crowbar.New(kind) != nil {
		if o, err := find(s, kind, key); err == nil {
			key = natural(s, o)
		}
	}
	return string(kind) + "/" + key
}

// watched notes how a request was answered, and what it made.
type watched struct {
	http.ResponseWriter
	code   int
	wrote  bool
	object string
}

// WriteHeader notes the code.
func (w *watched) WriteHeader(code int) {
	if !w.wrote {
		w.code, w.wrote = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

// Write is the other's.
func (w *watched) Write(b []byte) (int, error) { w.wrote = true; return w.ResponseWriter.Write(b) }

// Unwrap lets streams flush.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// about notes what object an answer is.
func (a *API) about(w http.ResponseWriter, v any) {
	seen, ok := w.(*watched)
	if t, is := v.(newToken); ok && is {
		seen.object = string(crowbar.KindToken) + "/" + t.Name
	}
	if o, is := v.(crowbar.Object); ok && is {
		seen.object = string(o.Kind()) + "/" + natural(a.Engine.View(), o)
	}
}
