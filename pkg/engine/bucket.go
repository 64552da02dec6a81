package engine

import (
	"context"
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// AttribIn is the value of an attrib in one of OpenCrowbar's buckets, as a node, role, deployment, deployment-role or
// node-role has it, its default where nobody set it; "all" is what counts. A secret's value is not shown.
func (e *Engine) AttribIn(k crowbar.Kind, id crowbar.ID, name, bucket string) (any, error) {
	d := &draft{s: e.View()}
	a, err := d.attrib(name)
	if err == nil {
		var o crowbar.Object
		if o, err = carrier(d, k, id, a); err == nil {
			var v any
			if v, _, err = attrib.In(d.s, o, a, bucket); err == nil {
				return shownValue(a, v), nil
			}
		}
	}
	return nil, fmt.Errorf("attrib %q of %s %d: %w", name, k, id, err)
}

// shownValue is a value as it may be shown.
func shownValue(a *crowbar.Attrib, v any) any {
	if a.Leaf != nil || a.Generate != "" || a.Authority != "" || a.Secret && v != nil && v != "" || crowbar.HasSealed(v) {
		return masked
	}
	return v
}

// AttribsOf is every attrib with its value as a carrier has it; the default where the carrier has no such role.
func (e *Engine) AttribsOf(k crowbar.Kind, id crowbar.ID, bucket string) ([]crowbar.Valued, error) {
	d := &draft{s: e.View()}
	if d.s.Get(k, id) == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no such object among %s: %d", k, id)
	}
	out := []crowbar.Valued{}
	for a := range d.s.Attribs() {
		o, v := d.s.Get(k, id), a.Default
		if k != crowbar.KindDeployment || a.Role != 0 {
			switch found, _, err := attrib.In(d.s, o, a, bucket); {
			case err == nil:
				v = found
			case crowbar.KindOf(err) != crowbar.NotFound:
				return nil, fmt.Errorf("attribs of %s %d: %w", k, id, err)
			}
		}
		out = append(out, crowbar.Valued{Attrib: a, Value: shownValue(a, v)})
	}
	return out, nil
}

// Note puts a value among the notes of what carries an attrib. Nothing runs because of it.
func (e *Engine) Note(ctx context.Context, k crowbar.Kind, id crowbar.ID, name string, value any) error {
	err := e.change(ctx, func(d *draft) error {
		a, err := d.attrib(name)
		if err != nil {
			return err
		}
		o, err := carrier(d, k, id, a)
		if err != nil {
			return err
		}
		changes, err := attrib.Note(d.s, o, a, value)
		return d.add(e.sealNow(d, changes, err))
	})
	if err != nil {
		return fmt.Errorf("note attrib %q of %s %d: %w", name, k, id, err)
	}
	return nil
}
