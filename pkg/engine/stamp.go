package engine

import (
	"bytes"
	"encoding/json"
	"reflect"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

type name struct {
	kind crowbar.Kind
	id   crowbar.ID
}

func nameOf(c crowbar.Change) name {
	if c.Put != nil {
		return name{c.Put.Kind(), c.Put.Key()}
	}
	return name{c.Drop.Kind(), c.Drop.Key()}
}

// stamped is the net of the changes (the last one of each object, nothing that changes nothing), with the times that pure
// logic leaves open.
func stamped(s *crowbar.Snapshot, changes []crowbar.Change, now time.Time) []crowbar.Change {
	last := map[name]int{}
	for i, c := range changes {
		last[nameOf(c)] = i
	}
	out := make([]crowbar.Change, 0, len(last))
	for i, c := range changes {
		n := nameOf(c)
		if last[n] != i {
			continue
		}
		old := s.Get(n.kind, n.id)
		if c.Put == nil {
			if old != nil {
				out = append(out, c)
			}
			continue
		}
		if o := touch(c.Put, old, now); o != nil {
			out = append(out, crowbar.Change{Put: o})
		}
	}
	return out
}

// touch gives a copy of the object with its times set; nil if it is as the old one.
func touch(o, old crowbar.Object, now time.Time) crowbar.Object {
	o = shallow(o)
	if nr, ok := o.(*crowbar.NodeRole); ok {
		was, _ := old.(*crowbar.NodeRole)
		switch {
		case was == nil || was.State != nr.State:
			nr.Since = now
		default:
			nr.Since = was.Since
		}
	}
	if r, ok := o.(*crowbar.Run); ok {
		if r.Started.IsZero() {
			r.Started = now
		}
		if r.Outcome != "" && r.Finished.IsZero() {
			r.Finished = now
		}
	}
	st := stampsOf(o)
	if st == nil {
		return o
	}
	if was := stampsOf(old); was != nil {
		*st = *was
		if same(o, old) {
			return nil
		}
	} else {
		st.CreatedAt = now
	}
	st.UpdatedAt = now
	return o
}

// same compares as JSON, which is what the store keeps.
func same(a, b any) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(x, y)
}

// shallow copies the struct itself: an object that came out of a snapshot is never written to.
func shallow(o crowbar.Object) crowbar.Object {
	switch o := o.(type) {
	case *crowbar.Barclamp:
		return clone(o)
	case *crowbar.Role:
		return clone(o)
	case *crowbar.Jig:
		return clone(o)
	case *crowbar.Attrib:
		return clone(o)
	case *crowbar.Node:
		return clone(o)
	case *crowbar.Deployment:
		return clone(o)
	case *crowbar.DeploymentRole:
		return clone(o)
	case *crowbar.NodeRole:
		return clone(o)
	case *crowbar.Run:
		return clone(o)
	case *crowbar.Secret:
		return clone(o)
	case nil:
		return nil
	}
	c := reflect.New(reflect.TypeOf(o).Elem())
	c.Elem().Set(reflect.ValueOf(o).Elem())
	return c.Interface().(crowbar.Object)
}

func clone[T any](o *T) *T {
	c := *o
	return &c
}

func stampsOf(o crowbar.Object) *crowbar.Stamps {
	if st, ok := o.(interface{ Times() *crowbar.Stamps }); ok {
		return st.Times()
	}
	return nil
}
