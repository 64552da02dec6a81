package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// nodeForm is what may be said of a node; a nil field is left as it is.
type nodeForm struct {
	Name         *string        `json:"name"`
	Description  *string        `json:"description"`
	Address      *string        `json:"address"`
	IP           *string        `json:"ip"` // address/length, as OpenCrowbar's discovery sends it
	Admin        *bool          `json:"admin"`
	Jig          *string        `json:"jig_name"`
	Alive        *bool          `json:"alive"`
	Available    *bool          `json:"available"`
	Allocated    *bool          `json:"allocated"`
	BootEnv      *string        `json:"bootenv"`
	SSH          map[string]any `json:"ssh"` // its keys one by one as well
	Deployment   *string        `json:"deployment"`
	DeploymentID *string        `json:"deployment_id"`
	Target       *string        `json:"target_role"`
	TargetID     *string        `json:"target_role_id"`
	MAC          *string        `json:"mac"` // with ip alone: the address of its first interface
}

// nodeKeys are the keys of a node that may be changed.
var nodeKeys = []string{"name", "description", "target_role_id", "deployment_id", "allocated", "available", "alive", "bootenv", "address", "jig_name", "ssh"}

func (f nodeForm) onto(s *crowbar.Snapshot, n *crowbar.Node) error {
	set(&n.Name, f.Name)
	set(&n.Description, f.Description)
	set(&n.Address, f.Address)
	if f.IP != nil {
		n.Address, _, _ = strings.Cut(*f.IP, "/")
		if net.ParseIP(n.Address) == nil {
			return crowbar.Errorf(crowbar.Invalid, "ip %q: want an address, or address/length", *f.IP)
		}
	}
	set(&n.Admin, f.Admin)
	set(&n.Jig, f.Jig)
	set(&n.Alive, f.Alive)
	set(&n.Available, f.Available)
	set(&n.Allocated, f.Allocated)
	set(&n.BootEnv, f.BootEnv)
	if len(f.SSH) > 0 {
		b, err := json.Marshal(f.SSH)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &n.SSH); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "ssh: %w", err)
		}
	}
	for _, key := range []*string{f.DeploymentID, f.Deployment} {
		if key == nil {
			continue
		}
		d, err := find(s, crowbar.KindDeployment, *key)
		if err != nil {
			return err
		}
		n.Deployment = d.Key()
	}
	return refer(s, crowbar.KindRole, &n.Target, f.TargetID, f.Target)
}

// arrive makes a node; one that says its address with its prefix length is in the network that has such a range, else in the
// network "unmanaged", if there is one.
func (a *API) arrive(ctx context.Context, n crowbar.Node, f nodeForm) (*crowbar.Node, error) {
	if f.IP == nil {
		return a.Engine.CreateNode(ctx, n)
	}
	if f.MAC != nil {
		n.Hint = crowbar.Data{"admin_macs": []any{*f.MAC}}
	}
	s := a.Engine.View()
	in := networkAt(s, *f.IP, "")
	if in == nil {
		in = s.NetworkNamed("unmanaged")
	}
	if in == nil {
		return a.Engine.CreateNode(ctx, n)
	}
	return a.Engine.CreateNodeIn(ctx, n, in.ID, *f.IP)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// fqdn is what OpenCrowbar takes for a node's name: at least three labels.
var fqdn = regexp.MustCompile(`^([a-z0-9_-]{1,63}\.){2,}[a-z]{2,}$`)

func (a *API) createNode(r *http.Request) (form, any, error) {
	var f nodeForm
	p, err := read(r)
	if err == nil {
		err = p.into(&f)
	}
	if err != nil {
		return "", nil, err
	}
	ours, s := own(r), a.Engine.View()
	var more rebarForm
	if a.tongue(r) == rebars {
		if more, err = rebarSaid(p); err == nil {
			err = hintsKnown(s, &f, more.Hints)
		}
		if err != nil {
			return "", nil, err
		}
	}
	if f.Name == nil {
		return "", nil, legacy(crowbar.Errorf(crowbar.Invalid, "name: it is missing"), http.StatusInternalServerError)
	}
	if ours && f.Address == nil && (f.Jig == nil || *f.Jig == "ssh") {
		return "", nil, crowbar.Errorf(crowbar.Invalid, "address: it is missing; want the IP address by which other nodes reach it")
	}
	n := crowbar.Node{Alive: ours, Available: ours}
	if !ours {
		if *f.Name = strings.ToLower(*f.Name); !fqdn.MatchString(*f.Name) {
			return "", nil, crowbar.Errorf(crowbar.Invalid, "Name must be a fully qualified domain name of at least three labels, not %q", *f.Name)
		}
		n.BootEnv = "sledgehammer"
	}
	if a.tongue(r) == rebars {
		more.onto(&n)
	}
	if err := f.onto(s, &n); err != nil {
		return "", nil, err
	}
	made, err := a.arrive(r.Context(), n, f)
	if err != nil || len(more.Hints) == 0 {
		return "node.obj", made, err
	}
	if err := a.hinted(r.Context(), made.ID, more.Hints); err != nil {
		return "", nil, err
	}
	return "node.obj", a.Engine.View().Node(made.ID), nil
}

func (a *API) nodeEditor() editor {
	return editor{nodeKeys, func(ctx context.Context, id crowbar.ID, p params) error {
		var f nodeForm
		if err := cmp.Or(p.into(&f), a.refused(p)); err != nil {
			return err
		}
		s := a.Engine.View()
		_, err := a.Engine.UpdateNode(ctx, id, func(n *crowbar.Node) error {
			if cleared(p, "target_role_id") {
				n.Target = 0
			}
			if cleared(p, "description") {
				n.Description = ""
			}
			return f.onto(s, n)
		})
		return err
	}}
}

func (a *API) deleteNode(r *http.Request) (form, any, error) {
	id, err := findID(a.Engine.View(), crowbar.KindNode, r)
	if err != nil {
		return "", nil, err
	}
	if err := a.Engine.DeleteNode(r.Context(), id, r.URL.Query().Get("force") == "true"); err != nil {
		return "", nil, err
	}
	return deleted(crowbar.KindNode, id)
}
