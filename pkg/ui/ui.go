// Package ui is the web pages of the daemon, for people. It does not know how requests are let in, nor how anything is
// changed: its pages read the state, and what a person does on them goes to the REST API like everybody's.
package ui

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Engine is what the pages read.
type Engine interface {
	View() *crowbar.Snapshot
	WhyIn(s *crowbar.Snapshot) func(id crowbar.ID) string
	WhyAll(deployment crowbar.ID) (crowbar.Reasons, error)
	Expected(nr *crowbar.NodeRole) crowbar.Duration
	// Explain says where the values come from that a node-role is given; what is secret it masks.
	Explain(nodeRole crowbar.ID, attrib string) ([]crowbar.Explanation, error)
	Foresee(ctx context.Context, want crowbar.PlanFor, ask func(context.Context, []crowbar.DryRun) []crowbar.Answer) (*crowbar.Plan, error)
}

// Config is what the pages stand on.
type Config struct {
	Engine  Engine
	Daemons func() []crowbar.Daemon     // nil = nobody says
	Found   func() []crowbar.Finding    // by the daemon's last look at itself; nil = it does not look
	Pools   func() []crowbar.PoolHealth // of the newest state; nil = nobody looks after them
	// Preview is the state as it would be if a role were bound to these nodes; nothing is changed.
	Preview func(s *crowbar.Snapshot, role crowbar.ID, nodes []crowbar.ID, deployment crowbar.ID) (*crowbar.Snapshot, error)
	// Unbound is the state as it would be if a node-role were taken off; nothing is changed.
	Unbound func(s *crowbar.Snapshot, nodeRole crowbar.ID) (*crowbar.Snapshot, error)
	// API answers requests of the REST API; the pages ask it for what it masks or keeps from some.
	API http.Handler
	// Spec is the description of the API; nil = there is none.
	Spec func() (Spec, error)
	Log  *slog.Logger
}

// Visitor is who looks at a page.
type Visitor struct {
	Name    string
	Right   crowbar.Right
	Session bool // signed in on the page, and can sign out
}

// Writes says whether the visitor may change things at all.
func (v Visitor) Writes() bool { return v.Right.Has(crowbar.RightOperator) }

// Admin says whether the visitor may see what is the administrator's.
func (v Visitor) Admin() bool { return v.Right.Has(crowbar.RightAdmin) }

// UI answers requests for pages.
type UI struct {
	Config
	pages  map[string]*template.Template
	assets assets
}

// New makes the pages.
func New(c Config) *UI {
	u := &UI{Config: c, assets: openAssets()}
	u.pages = parse(u.assets)
	return u
}

// Page is one kind of page: what net/http calls a pattern, and what answers it.
type Page struct {
	Pattern string
	Serve   func(w http.ResponseWriter, r *http.Request, v Visitor)
}

// view makes the body of a page; err of kind NotFound makes a page that says so.
type view func(r *http.Request, s *crowbar.Snapshot, v Visitor) (page, error)

// page is what a view hands to its template.
type page struct {
	name  string // of the template
	title string
	menu  string // the menu's item that it is under
	live  string // types of events after which it is to be read anew, "" = never
	body  any
	to    string // another page that is to be shown instead, "" = this one
}

// Pages lists all of them.
func (u *UI) Pages() []Page {
	views := map[string]view{
		"GET /{$}":                     u.overview,
		"GET /nodes":                   u.nodes,
		"GET /nodes/{id}":              u.node,
		"GET /deployments":             u.deployments,
		"GET /deployments/{id}":        u.matrix,
		"GET /deployments/{id}/assign": u.assign,
		"GET /deployments/{id}/commit": u.commit,
		"GET /deployments/{id}/graph":  u.deploymentGraph,
		"GET /nodes/{id}/graph":        u.nodeGraph,
		"GET /node_roles/{id}":         u.nodeRole,
		"GET /annealer":                u.annealer,
		"GET /dns":                     u.dns,
		"GET /proxy":                   u.proxy,
		"GET /docs":                    u.docsList,
		"GET /docs/{name}":             u.doc,
		"GET /docs/api":                u.api,
		"GET /networks":                u.networks,
		"GET /barclamps":               u.barclamps,
		"GET /roles/{id}":              u.role,
		"GET /users":                   u.users,
		"GET /audit":                   u.audit,
		"GET /node_roles/{id}/unbind":  u.unbind,
		"GET /wizard":                  u.wizards,
		"GET /wizard/{barclamp}":       u.wizard,
		"POST /wizard/{barclamp}":      u.wizardGo,
	}
	var out []Page
	for p, v := range views {
		out = append(out, Page{p, u.serve(v)})
	}
	return out
}

func (u *UI) serve(make view) func(http.ResponseWriter, *http.Request, Visitor) {
	return func(w http.ResponseWriter, r *http.Request, v Visitor) {
		s := u.Engine.View()
		p, err := make(r, s, v)
		code := http.StatusOK
		if err != nil {
			p, code = u.trouble(r, err)
		}
		if p.to != "" {
			secure(w.Header())
			http.Redirect(w, r, p.to, http.StatusSeeOther)
			return
		}
		u.write(w, r, code, p, s, v)
	}
}

// trouble is the page of an error.
func (u *UI) trouble(r *http.Request, err error) (page, int) {
	code, title := http.StatusInternalServerError, "That did not work"
	switch crowbar.KindOf(err) {
	case crowbar.NotFound:
		code, title = http.StatusNotFound, "Not found"
	case crowbar.Invalid:
		code = http.StatusUnprocessableEntity
	case crowbar.Conflict:
		code = http.StatusConflict
	case crowbar.Unavailable:
		code = http.StatusServiceUnavailable
	default:
		u.Log.Error("page", "path", r.URL.Path, "error", err)
	}
	return page{name: "trouble", title: title, body: err.Error()}, code
}

// NotFound answers where there is no page.
func (u *UI) NotFound(w http.ResponseWriter, r *http.Request, v Visitor) {
	u.serve(func(*http.Request, *crowbar.Snapshot, Visitor) (page, error) {
		return page{}, crowbar.Errorf(crowbar.NotFound, "There is no page at %s.", r.URL.Path)
	})(w, r, v)
}
