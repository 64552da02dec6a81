// Package api is OpenCrowbar's REST API v2 over HTTP, for whoever drives the daemon. It does not know how state is
// stored or how a run is done: each write is one verb of the engine.
package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/ui"
)

// Engine is what the API needs of the engine.
type Engine interface {
	View() *crowbar.Snapshot
	Watch(ctx context.Context) <-chan *crowbar.Snapshot
	CreateNode(ctx context.Context, n crowbar.Node) (*crowbar.Node, error)
	UpdateNode(ctx context.Context, id crowbar.ID, f func(*crowbar.Node) error) (*crowbar.Node, error)
	DeleteNode(ctx context.Context, id crowbar.ID, force bool) error
	CreateDeployment(ctx context.Context, name, description string, parent crowbar.ID) (*crowbar.Deployment, error)
	DeleteDeployment(ctx context.Context, id crowbar.ID) error
	Bind(ctx context.Context, role, node, deployment crowbar.ID) (*crowbar.NodeRole, error)
	Unbind(ctx context.Context, id crowbar.ID) error
	Commit(ctx context.Context, deployment crowbar.ID) error
	Propose(ctx context.Context, deployment crowbar.ID) error
	Retry(ctx context.Context, nodeRole crowbar.ID) error
	Rerun(ctx context.Context, deployment crowbar.ID) error
	Force(ctx context.Context, deployment crowbar.ID) error
	Release(ctx context.Context, deployment crowbar.ID) error
	Pause(ctx context.Context, deployment crowbar.ID, paused bool) error
	Set(ctx context.Context, k crowbar.Kind, id crowbar.ID, attrib string, value any) error
	Unset(ctx context.Context, k crowbar.Kind, id crowbar.ID, attrib string) error
	Apply(ctx context.Context, c crowbar.Cluster, dry bool) error
	ApplyForced(ctx context.Context, c crowbar.Cluster) error
	Foresee(ctx context.Context, want crowbar.PlanFor, ask engine.Asker) (*crowbar.Plan, error)
	CarryOut(ctx context.Context, p *crowbar.Plan, document *crowbar.Cluster) error
	Drift(ctx context.Context, deployment crowbar.ID, ask engine.Asker) (*crowbar.Drift, error)
	Mend(ctx context.Context, deployment crowbar.ID, ask engine.Asker) (*crowbar.Mending, error)
	Strays(ctx context.Context, deployment crowbar.ID, mend bool, by engine.Actors) (*crowbar.Strays, error)
	Document(deployment crowbar.ID) (crowbar.Exported, error)
	Dismantle(ctx context.Context, deployment crowbar.ID) error
	CommitNode(ctx context.Context, id crowbar.ID) error
	ProposeNode(ctx context.Context, id crowbar.ID) error
	RedeployNode(ctx context.Context, id crowbar.ID) error
	Redeploy(ctx context.Context, deployment crowbar.ID) error
	CommitNodeRole(ctx context.Context, id crowbar.ID) error
	ProposeNodeRole(ctx context.Context, id crowbar.ID) error
	AddDeploymentRole(ctx context.Context, deployment, role crowbar.ID) (*crowbar.DeploymentRole, error)
	CommitDeploymentRole(ctx context.Context, id crowbar.ID) error
	ProposeDeploymentRole(ctx context.Context, id crowbar.ID) error
	DeleteDeploymentRole(ctx context.Context, id crowbar.ID) error
	UpdateDeployment(ctx context.Context, id crowbar.ID, edit func(*crowbar.Deployment) error) (*crowbar.Deployment, error)
	UpdateRole(ctx context.Context, id crowbar.ID, description *string, template crowbar.Data) (*crowbar.Role, error)
	UpdateJig(ctx context.Context, id crowbar.ID, edit func(*crowbar.Jig)) (*crowbar.Jig, error)
	SetData(ctx context.Context, k crowbar.Kind, id crowbar.ID, data crowbar.Data) error
	Report(deployment crowbar.ID, since time.Time) (crowbar.Report, error)
	Expected(nr *crowbar.NodeRole) crowbar.Duration
	// Reveal opens one host-computed attrib of a node-role, such as an administrator's certificate.
	Reveal(ctx context.Context, nodeRole crowbar.ID, attrib string) (any, error)
	Stopping
	Copying
	Explaining
	Sealing
	Certifying
	Around
	Accounts
	Carrying
}

// Logs finds run logs. Follow copies until the run has ended when follow is set; attempt 0 is the newest.
type Logs interface {
	Follow(ctx context.Context, nodeRole crowbar.ID, attempt uint64, follow bool, w io.Writer) error
}

// Config is what the API stands on.
type Config struct {
	Engine Engine
	Logs   Logs
	Ask    engine.Asker // does dry runs; nil = there are none
	// Reboot has a server start anew; nil = nobody can.
	Reboot func(ctx context.Context, node crowbar.ID) error
	Token  string // of the administrator
	// Daemons is who works on the state; nil = nobody says.
	Daemons func() []crowbar.Daemon
	// Health is what this daemon finds when it looks at itself; nil = it does not look.
	Health func(ctx context.Context) []crowbar.Finding
	// Found is the same as it was found last, and Pools how the DNS pools do: both for pages, which wait for nobody; nil = nobody says.
	Found func() []crowbar.Finding
	Pools func() []crowbar.PoolHealth
	Moves Moves // nil = no events are told
	// Act has the role of a node-role do one of its actions on the node; nil = nobody does.
	Act func(ctx context.Context, nodeRole crowbar.ID, action string, args crowbar.Data) (crowbar.Data, error)
	// Actors has roles say, and take out, what is of no node; nil = nobody does.
	Actors engine.Actors
	// Backups is the copies of clusters that this daemon keeps; nil = it keeps none.
	Backups Backups
	// KeepEvents is how many events are kept for those who follow: who falls behind by more is cut off, and comes again; 0 = 20000.
	KeepEvents int
	Auditing   Auditing // nil = nothing is noted
	Users      Users    // nil = nobody but the bearer of Token
	Compat     Compat   // "" = OpenCrowbar's clients
	// Secret signs sessions and challenges, the same on all daemons that serve one state; zero = made anew at each start.
	Secret [32]byte
	Log    *slog.Logger
}

// API answers HTTP requests.
type API struct {
	Config
	mux      *http.ServeMux
	patterns []string
	token    [sha256.Size]byte
	secret   [32]byte
	throttle throttle
	checking chan struct{} // held by those whose passwords are checked
	markers  markers
	ring     ring
	noting   noting
	ui       *ui.UI
	past     chan struct{} // held by the one who reads the past of the state
}

// New makes the API.
func New(c Config) *API {
	a := &API{Config: c, mux: http.NewServeMux(), token: sha256.Sum256([]byte(c.Token)), secret: c.Secret}
	a.ring, a.past, a.checking = ring{moves: c.Moves, most: cmp.Or(c.KeepEvents, 20000)}, make(chan struct{}, 1), make(chan struct{}, 2)
	if a.secret == [32]byte{} {
		_, _ = rand.Read(a.secret[:]) // never fails
	}
	if a.Users == nil {
		a.Users = noUsers{}
	}
	a.route()
	return a
}

// handler answers a request with a value (written as JSON), or an error.
type handler func(r *http.Request) (form, any, error)

// maxBody is the size of the biggest request: a cluster.yaml of some ten thousand nodes.
const maxBody = 4 << 20

// form is the last part of OpenCrowbar's content type: vnd.crowbar.<type>.<form>.
type form string

func (a *API) route() {
	a.routeCrowbar()
	a.routeEdits()
	a.routeState()
	a.routeBackups()
	a.routeSpec()
	a.routeAudit()
	a.routeAround()
	a.routeUsers()
	a.routeTokens()
	a.routeAttribs()
	a.routePages()
	a.routeRebar()
	for _, k := range []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindRole, crowbar.KindJig, crowbar.KindAttrib, crowbar.KindNode,
		crowbar.KindDeployment, crowbar.KindDeploymentRole, crowbar.KindNodeRole, crowbar.KindRun} {
		a.handle("GET /api/v2/"+string(k), a.list(k))
		if k != crowbar.KindRun {
			a.handle("GET /api/v2/"+string(k)+"/{id}", a.show(k))
		}
	}
	a.handle("GET /api/v2/daemons", a.daemons)
	a.handle("GET /api/v2/health", a.health)
	a.raw("GET /api/v2/events", a.events)
	a.handle("POST /api/v2/nodes", a.createNode)
	a.handle("DELETE /api/v2/nodes/{id}", a.deleteNode)
	a.handle("GET /api/v2/nodes/{id}/power", a.power)
	a.handle("PUT /api/v2/nodes/{id}/power", a.switchPower)
	a.handle("POST /api/v2/deployments", a.createDeployment)
	a.handle("DELETE /api/v2/deployments/{id}", a.deleteDeployment)
	a.handle("PUT /api/v2/deployments/{id}/{verb}", a.deploymentVerb)
	a.handle("PUT /api/v2/deployments/{id}/apply", a.apply)
	a.handle("GET /api/v2/deployments/{id}/plan", a.plan)
	a.handle("POST /api/v2/deployments/{id}/plan", a.planCluster)
	a.handle(planPattern, a.carryOut)
	a.handle("GET /api/v2/deployments/{id}/drift", a.drift)
	a.handle("PUT /api/v2/deployments/{id}/mend", a.mend)
	a.handle("GET /api/v2/deployments/{id}/strays", a.strays)
	a.handle("PUT /api/v2/deployments/{id}/strays", a.strays)
	a.handle("GET /api/v2/deployments/{id}/document", a.document)
	a.handle("GET /api/v2/deployments/{id}/status", a.status)
	a.handle("GET /api/v2/deployments/{id}/report", a.report)
	a.raw("POST /api/v2/deployments/{id}/kubeconfig", a.kubeconfig)
	a.handle("POST /api/v2/node_roles", a.bind)
	a.handle("DELETE /api/v2/node_roles/{id}", a.unbind)
	a.handle("PUT /api/v2/node_roles/{id}/retry", a.retry)
	a.handle("PUT /api/v2/node_roles/{id}/cancel", a.cancel)
	a.handle("PUT /api/v2/node_roles/{id}/act", a.act)
	a.handle("GET /api/v2/node_roles/{id}/why", a.why)
	a.handle("GET /api/v2/deployments/{id}/why", a.whyAll)
	a.raw("GET /api/v2/node_roles/{id}/log", a.log)
	a.handle("GET /api/v2/node_roles/{id}/explain", a.explain)
	a.handle("GET /api/v2/attribs/{id}/uses", a.uses)
	a.handle("GET /api/v2/certificates", a.certificates)
	a.handle("POST /api/v2/certificates/renew", a.renew)
	a.handle("POST /api/v2/certificates/rotate", a.rotateCertificates)
	a.handle("GET /api/v2/secrets/status", a.sealStatus)
	a.handle("POST /api/v2/secrets/rotate", a.rotate)
	a.handle("POST /api/v2/secrets/forget", a.forgetKey)
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.TLS != nil && !strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	pace(w, r)
	if a.tongue(r) == rebars {
		w = &renamed{ResponseWriter: w}
	}
	a.guard(http.HandlerFunc(a.dispatch)).ServeHTTP(w, r)
}

// dispatch finds the route, and says what there is where there is none.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request) {
	if err := unfit(r); err != nil {
		a.fail(w, r, err)
		return
	}
	if _, pattern := a.mux.Handler(r); pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := a.mux.Handler(other); pattern != "" {
			allowed = append(allowed, m)
		}
	}
	if len(allowed) == 0 {
		if page(r) {
			a.ui.NotFound(w, r, visitor(r))
			return
		}
		a.fail(w, r, crowbar.Errorf(crowbar.NotFound, "there is nothing at %s; the API is below /api/v2/", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	write(w, http.StatusMethodNotAllowed, "object.error", map[string]any{"status": http.StatusMethodNotAllowed,
		"message": short("Requested action " + r.Method + " is not supported on " + r.URL.Path + "; there are " + strings.Join(allowed, ", "))})
}

// Routes lists the patterns of all routes, as in net/http.
func (a *API) Routes() []string { return slices.Clone(a.patterns) }

// raw adds a route that writes its answer itself.
func (a *API) raw(pattern string, h http.HandlerFunc) {
	a.patterns = append(a.patterns, pattern)
	a.mux.HandleFunc(pattern, h)
}

func (a *API) handle(pattern string, h handler) {
	a.raw(pattern, func(w http.ResponseWriter, r *http.Request) {
		limit := int64(maxBody)
		if pattern == planPattern {
			limit = maxPlan
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		f, v, err := h(r)
		if err == nil {
			a.about(w, v)
			if list, ok := v.([]crowbar.Object); ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				v, err = a.paged(w, r, list)
			} else {
				v = a.shaped(r, v)
			}
		}
		if err == nil {
			v, err = only(r, v)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		write(w, http.StatusOK, f, v)
	})
}

func write(w http.ResponseWriter, code int, f form, v any) {
	w.Header().Set("Content-Type", "application/vnd.crowbar."+string(f)+"+json; version=2.0")
	w.WriteHeader(code)
	// An error here is the caller's connection going away; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(v)
}
