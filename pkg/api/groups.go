package api

import (
	"net/http"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

type groupForm struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	Category    *string `json:"category"`
	Order       *int    `json:"order"`
}

func groupNoun() noun {
	return noun{kind: crowbar.KindGroup, need: []string{"name"}, keys: []string{"name", "description", "category", "order"},
		onto: told(func(_ *crowbar.Snapshot, g *crowbar.Group, f groupForm, p params, _ bool) error {
			set(&g.Name, f.Name)
			set(&g.Description, f.Description)
			set(&g.Category, f.Category)
			set(&g.Order, f.Order)
			if cleared(p, "description") {
				g.Description = ""
			}
			return nil
		})}
}

func (a *API) routeGroups() {
	a.handle("GET /api/v2/groups/{id}/nodes", a.of(crowbar.KindGroup, crowbar.KindNode))
	a.handle("GET /api/v2/nodes/{id}/groups", a.of(crowbar.KindNode, crowbar.KindGroup))
	a.raw("POST /api/v2/groups/{id}/nodes", a.join(true))
	a.raw("POST /api/v2/groups/{id}/nodes/{node}", a.join(true))
	a.raw("DELETE /api/v2/groups/{id}/nodes/{node}", a.join(false))
}

// join puts a node into a group, or takes it out; the answer is a sentence, as OpenCrowbar's was.
func (a *API) join(member bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		g, n, err := a.joining(r)
		if err == nil {
			err = a.Engine.Join(r.Context(), g.ID, n.ID, member)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		text := "Successfully removed " + n.Name + " from " + g.Name + "\n"
		if member {
			text = "Successfully added " + n.Name + " to " + g.Name + "\n"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text)) // the caller went away
	}
}

func (a *API) joining(r *http.Request) (*crowbar.Group, *crowbar.Node, error) {
	s := a.Engine.View()
	g, err := find(s, crowbar.KindGroup, r.PathValue("id"))
	if err != nil {
		return nil, nil, err
	}
	key := r.PathValue("node")
	if key == "" {
		var f struct {
			Node   string `json:"node"`
			NodeID string `json:"node_id"`
		}
		if err := asked(r, &f); err != nil {
			return nil, nil, err
		}
		id, err := either(s, crowbar.KindNode, f.Node, f.NodeID)
		if err != nil {
			return nil, nil, err
		}
		key = id.String()
	}
	n, err := find(s, crowbar.KindNode, key)
	if err != nil {
		return nil, nil, err
	}
	return g.(*crowbar.Group), n.(*crowbar.Node), nil
}

// inGroup says that a node is in a group.
func inGroup(n *crowbar.Node, group crowbar.ID) bool { return slices.Contains(n.Groups, group) }
