package api

import (
	"context"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

type availableHammerForm struct {
	Name     *string `json:"name"`
	Class    *string `json:"klass"`
	Priority *int    `json:"priority"`
}

func availableHammerNoun() noun {
	return noun{kind: crowbar.KindAvailableHammer, need: []string{"name", "klass"}, keys: []string{"name", "klass", "priority"},
		onto: told(func(_ *crowbar.Snapshot, h *crowbar.AvailableHammer, f availableHammerForm, _ params, _ bool) error {
			set(&h.Name, f.Name)
			set(&h.Class, f.Class)
			set(&h.Priority, f.Priority)
			return nil
		})}
}

type hammerForm struct {
	Node        *string `json:"node"`
	NodeID      *string `json:"node_id"`
	Available   *string `json:"available_hammer"`
	AvailableID *string `json:"available_hammer_id"`
	Priority    *int    `json:"priority"`
	Endpoint    *string `json:"endpoint"`
	Username    *string `json:"username"`
}

func hammerNoun() noun {
	return noun{kind: crowbar.KindHammer, need: []string{"username"}, keys: []string{"priority", "endpoint", "username", "authenticator"},
		onto: told(func(s *crowbar.Snapshot, h *crowbar.Hammer, f hammerForm, p params, fresh bool) error {
			set(&h.Priority, f.Priority)
			set(&h.Endpoint, f.Endpoint)
			set(&h.Username, f.Username)
			if cleared(p, "endpoint") {
				h.Endpoint = ""
			}
			if !fresh {
				return nil // a hammer stays on its node
			}
			if err := refer(s, crowbar.KindNode, &h.Node, f.NodeID, f.Node); err != nil {
				return err
			}
			return refer(s, crowbar.KindAvailableHammer, &h.Available, f.AvailableID, f.Available)
		}),
		then: func(ctx context.Context, e Engine, id crowbar.ID, p params) error {
			said, ok := p["authenticator"]
			if !ok {
				return nil
			}
			return e.SetAuthenticator(ctx, id, text(said))
		}}
}
