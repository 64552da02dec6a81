package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// What Digital Rebar has and nothing here goes by is told as it is: one tenant, two providers that make nothing, and a
// capability for each thing that a right lets one do. It is only read.

type tenantWire struct {
	ID          ref    `json:"id"`
	UUID        string `json:"uuid"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Parent      ref    `json:"parent_id"`
}

type providerWire struct {
	ID          ref          `json:"id"`
	UUID        string       `json:"uuid"`
	Name        string       `json:"name"`
	Type        string       `json:"type"`
	Description string       `json:"description"`
	Auth        crowbar.Data `json:"auth_details"`
	Tenant      ref          `json:"tenant_id"`
}

type capabilityWire struct {
	ID          ref      `json:"id"`
	UUID        string   `json:"uuid"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Source      string   `json:"source"`
	Includes    []string `json:"includes"`
}

// fixed is one thing that is always there.
type fixed struct {
	id         int
	uuid, name string
	wire       any
}

func fixedUUID(noun string, id int) string {
	return uuidOf(crowbar.Kind(noun), crowbar.ID(id), time.Time{})
}

func tenants() []fixed {
	u := fixedUUID("tenants", systemTenant)
	return []fixed{{systemTenant, u, "system", tenantWire{systemTenant, u, "system", "Everything", 0}}}
}

func providers() []fixed {
	var out []fixed
	for id, p := range map[int][3]string{metalProvider: {"metal", "MetalProvider", "Servers that are there"}, phantomProvider: {"phantom", "PhantomProvider", "Where the services of a deployment are"}} {
		u := fixedUUID("providers", id)
		out = append(out, fixed{id, u, p[0], providerWire{ref(id), u, p[0], p[1], p[2], crowbar.Data{}, systemTenant}})
	}
	if out[0].id > out[1].id {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// powers are the capabilities: of what, the right that changing it takes, the one that reading it takes, and what can be done.
var powers = []struct {
	base          string
	changes, read crowbar.Right
	verbs         string
}{
	{"NODE", crowbar.RightOperator, crowbar.RightViewer, "CREATE READ UPDATE DESTROY REDEPLOY SCRUB POWER COMMIT PROPOSE RETRY"},
	{"DEPLOYMENT", crowbar.RightOperator, crowbar.RightViewer, "CREATE READ UPDATE DESTROY REDEPLOY COMMIT PROPOSE ANNEAL"},
	{"NETWORK", crowbar.RightOperator, crowbar.RightViewer, "CREATE READ UPDATE DESTROY ALLOCATE DEALLOCATE"},
	{"GROUP", crowbar.RightOperator, crowbar.RightViewer, "CREATE READ UPDATE DESTROY"},
	{"ROLE", crowbar.RightAdmin, crowbar.RightViewer, "READ UPDATE"},
	{"BARCLAMP", crowbar.RightAdmin, crowbar.RightViewer, "CREATE READ UPDATE"},
	{"JIG", crowbar.RightAdmin, crowbar.RightViewer, "READ UPDATE FLUSH"},
	{"ATTRIB", crowbar.RightAdmin, crowbar.RightViewer, "CREATE READ UPDATE DESTROY"},
	{"TENANT", crowbar.RightAdmin, crowbar.RightViewer, "READ"},
	{"PROVIDER", crowbar.RightAdmin, crowbar.RightViewer, "READ"},
	{"CAPABILITY", crowbar.RightAdmin, crowbar.RightViewer, "READ"},
	{"USER", crowbar.RightAdmin, crowbar.RightAdmin, "CREATE READ UPDATE DESTROY READ_CAPABILITIES"},
	{"EVENT_SINK", crowbar.RightAdmin, crowbar.RightAdmin, "CREATE READ UPDATE DESTROY"},
	{"EVENT_SELECTOR", crowbar.RightAdmin, crowbar.RightAdmin, "CREATE READ UPDATE DESTROY"},
}

// capable is the names of what a right lets one do.
func capable(right crowbar.Right) []string {
	out := []string{}
	for _, p := range powers {
		for _, verb := range strings.Fields(p.verbs) {
			need := p.changes
			if strings.HasPrefix(verb, "READ") {
				need = p.read
			}
			if right.Has(need) {
				out = append(out, p.base+"_"+verb)
			}
		}
	}
	if right.Has(crowbar.RightAdmin) {
		out = append(out, "SUPERUSER")
	}
	return out
}

func capabilities() []fixed {
	var out []fixed
	names := capable(crowbar.RightAdmin)
	for i, name := range names {
		includes := []string{}
		if name == "SUPERUSER" {
			includes = names[:i]
		}
		u := fixedUUID("capabilities", i+1)
		out = append(out, fixed{i + 1, u, name, capabilityWire{ref(i + 1), u, name, strings.ToLower(strings.ReplaceAll(name, "_", " ")), "kubeclamp", includes}})
	}
	return out
}

func (a *API) routeFixed() {
	for noun, all := range map[string]func() []fixed{"tenant": tenants, "provider": providers, "capability": capabilities} {
		plural := noun + "s"
		if noun == "capability" {
			plural = "capabilities"
		}
		a.handle("GET /api/v2/"+plural, func(*http.Request) (form, any, error) { return form(noun + ".list"), wires(all()), nil })
		a.handle("POST /api/v2/"+plural+"/match", func(r *http.Request) (form, any, error) {
			p, err := read(r)
			if err != nil {
				return "", nil, err
			}
			out := []any{}
			var find picker
			for _, w := range wires(all()) {
				is, err := find.takes(w, p)
				if err != nil {
					return "", nil, err
				}
				if is {
					out = append(out, w)
				}
			}
			return form(noun + ".list"), out, nil
		})
		a.handle("GET /api/v2/"+plural+"/{id}", func(r *http.Request) (form, any, error) {
			f, err := fixedNamed(noun, all(), r.PathValue("id"))
			return form(noun + ".obj"), f.wire, err
		})
	}
	a.handle("GET /api/v2/tenants/{id}/users", func(r *http.Request) (form, any, error) {
		_, err := fixedNamed("tenant", tenants(), r.PathValue("id"))
		return "user.list", sorted(a.Engine.View(), crowbar.KindUser), err
	})
	a.handle("GET /api/v2/providers/{id}/nodes", a.nodesOfProvider)
	a.handle("GET /api/v2/providers/templates", func(*http.Request) (form, any, error) { return "json.array", map[string]any{}, nil })
	a.handle("GET /api/v2/users/{id}/capabilities", a.capabilitiesOf)
}

func wires(all []fixed) []any {
	out := make([]any, len(all))
	for i, f := range all {
		out[i] = f.wire
	}
	return out
}

func fixedNamed(noun string, all []fixed, key string) (fixed, error) {
	var names []string
	for _, f := range all {
		if key == strconv.Itoa(f.id) || key == f.name || strings.EqualFold(key, f.uuid) {
			return f, nil
		}
		names = append(names, f.name)
	}
	return fixed{}, &absent{noun, key, "there are " + strings.Join(names, ", ")}
}

func (a *API) nodesOfProvider(r *http.Request) (form, any, error) {
	p, err := fixedNamed("provider", providers(), r.PathValue("id"))
	if err != nil {
		return "", nil, err
	}
	out := []crowbar.Object{}
	for n := range a.Engine.View().Nodes() {
		if n.System == (p.id == phantomProvider) {
			out = append(out, n)
		}
	}
	return "node.list", out, nil
}

// capabilitiesOf is what a user may do, by tenant.
func (a *API) capabilitiesOf(r *http.Request) (form, any, error) {
	o, err := find(a.Engine.View(), crowbar.KindUser, keyOf(r, crowbar.KindUser))
	if err != nil {
		return "", nil, err
	}
	c, _ := a.Users.Caller(o.(*crowbar.User).Username) // one that is locked may do nothing
	return "json.array", map[string]any{strconv.Itoa(systemTenant): map[string]any{"capabilities": capable(c.Right), "parent": nil}}, nil
}
