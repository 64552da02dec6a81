package api

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// ownType is what kubeclamp's own clients accept: whole objects with all their keys, and errors by their kind. Everybody
// else is answered as OpenCrowbar answered: its keys, its status codes.
const ownType = "application/vnd.kubeclamp+json"

// own says that a request comes from a client of ours.
func own(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), ownType) }

// tongue is whose words an answer is in.
type tongue int

const (
	crowbars tongue = iota // OpenCrowbar's keys
	ours                   // whole objects
	rebars                 // OpenCrowbar's keys, and those that Digital Rebar added
)

func (a *API) tongue(r *http.Request) tongue {
	switch {
	case own(r):
		return ours
	case a.Compat == CompatRebar:
		return rebars
	}
	return crowbars
}

// shaped is an answer as its caller understands it: objects in the shape that was asked for, everything else as it is.
func (a *API) shaped(r *http.Request, v any) any {
	m := newMasker(a.Engine.View(), a.tongue(r))
	switch v := v.(type) {
	case crowbar.Object:
		return m.shape(v)
	case []crowbar.Object:
		out := make([]any, len(v))
		for i, o := range v {
			out[i] = m.shape(o)
		}
		return out
	}
	return v
}

// shape is one object as the caller of the answer understands it, masked: whole, or with OpenCrowbar's keys.
func (m *masker) shape(o crowbar.Object) any {
	v := m.plainShape(o)
	if m.as == rebars {
		return m.rebarShape(o, v)
	}
	return v
}

func (m *masker) plainShape(o crowbar.Object) any {
	s, own := m.s, m.as == ours
	switch o := o.(type) {
	case *crowbar.Deployment:
		if own {
			return struct {
				*crowbar.Deployment
				State int `json:"state"`
			}{o, deploymentStates[deploymentState(s, o)]}
		}
	case *crowbar.NodeRole:
		if !own {
			return nodeRole(s, o, m.states)
		}
	}
	o = m.mask(o)
	if u, ok := o.(*crowbar.User); ok {
		return userOf(u, own)
	}
	if t, ok := o.(*crowbar.Token); ok {
		return tokenOf(t)
	}
	if sink, ok := o.(*crowbar.EventSink); ok {
		return sinkOf(s, sink)
	}
	if own {
		return o
	}
	switch o := o.(type) {
	case *crowbar.Barclamp:
		return barclamp(o)
	case *crowbar.Jig:
		order := importedOrder
		if o.ID == 0 {
			order = defaultOrder
		}
		return jigWire{ref(o.ID), o.Name, o.Description, order, o.Active, orNull(o.ClientRole), nil, nil, nil, stampsOf(o.Stamps)}
	case *crowbar.Role:
		f := o.Flags
		return roleWire{ref(o.ID), o.Name, o.Description, o.Jig, ref(o.Barclamp), o.Cohort, nonNil(o.Provides), nonNil(o.Conflicts), f.Library, f.Implicit,
			f.Bootstrap, f.Discovery, f.Cluster, f.Destructive, f.Abstract, f.Milestone, f.Powersave, f.Service, stampsOf(o.Stamps)}
	case *crowbar.Attrib:
		return attribOf(o)
	case *crowbar.Node:
		return nodeWire{ref(o.ID), o.Name, orNull(o.Description), o.Admin, o.System, ref(o.Target), ref(o.Deployment), o.Allocated, o.Alive, o.Available,
			cmp.Or(o.BootEnv, "local"), nonNil(o.Quirks), stampsOf(o.Stamps)}
	case *crowbar.Deployment:
		return deploymentWire{ref(o.ID), deploymentStates[deploymentState(s, o)], o.Name, orNull(o.Description), o.System, ref(o.Parent), stampsOf(o.Stamps)}
	case *crowbar.DeploymentRole:
		return deploymentRoleWire{ref(o.ID), ref(o.Deployment), ref(o.Role), stampsOf(o.Stamps)}
	case *crowbar.Run:
		return runWire{ref(o.ID), ref(o.NodeRole), ref(o.Node), crowbar.Data{}, o.Finished.IsZero(), "NodeRoleRunner", nil,
			stampsOf(crowbar.Stamps{CreatedAt: o.Started, UpdatedAt: cmp.Or(o.Finished, o.Started)})}
	}
	return shapeAround(o)
}

// The order of what says nothing of it, and of a jig that a barclamp brought.
const defaultOrder, importedOrder = 10000, 100

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func barclamp(o *crowbar.Barclamp) barclampWire {
	git, _ := o.Document["git"].(crowbar.Data)
	said, _ := o.Document["barclamp"].(crowbar.Data)
	parent := o.Parent
	if parent == 0 {
		parent = o.ID
	}
	return barclampWire{ref(o.ID), o.Name, o.Description, ref(parent), cmp.Or(o.Version, "0.0"), said["source_url"], o.SourcePath,
		cmp.Or[any](git["commit"], "unknown"), git["date"], cmp.Or[any](said["build_version"], "unknown"), o.Document, stampsOf(o.Stamps)}
}

func attribOf(o *crowbar.Attrib) attribWire {
	var schema any
	if o.Schema != nil {
		schema = o.Schema
	}
	return attribWire{ref(o.ID), ref(o.Barclamp), ref(o.Role), o.Name, o.Description, o.Writable, schema, cmp.Or(o.Order, defaultOrder), o.Map,
		"attribs/default", map[string]any{"value": o.Default}, stampsOf(o.Stamps)}
}

// nodeRole needs the state of its node, which is looked up once a node.
func nodeRole(s *crowbar.Snapshot, o *crowbar.NodeRole, states map[crowbar.ID]string) nodeRoleWire {
	st, known := states[o.Node]
	if !known {
		st = nodeState(s, o.Node).String()
		states[o.Node] = st
	}
	log := ""
	if o.State == crowbar.Error {
		log = o.Failure
	}
	return nodeRoleWire{ref(o.ID), ref(o.Deployment), ref(o.Node), ref(o.Role), int(o.State), o.Status, log, o.Available, cmp.Or(o.Order, defaultOrder),
		o.Cohort, o.RunCount, st == crowbar.Error.String(), stampsOf(o.Stamps)}
}

// nodeState is OpenCrowbar's: the first node-role that runs, failed or is proposed says it; else todo if anything waits.
func nodeState(s *crowbar.Snapshot, node crowbar.ID) crowbar.State {
	state := crowbar.Active
	for _, nr := range s.NodeRolesOn(node) {
		switch nr.State {
		case crowbar.Transition, crowbar.Error, crowbar.Proposed:
			return nr.State
		case crowbar.Todo, crowbar.Blocked:
			state = crowbar.Todo
		}
	}
	return state
}
