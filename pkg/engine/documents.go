package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// ImportDocument imports one barclamp document, as JSON. Unlike a file of another product, it may not name jigs that there
// are not.
func (e *Engine) ImportDocument(ctx context.Context, document crowbar.Data) (*crowbar.Barclamp, error) {
	c, err := read(document)
	if err != nil {
		return nil, err
	}
	c.Foreign, c.Barclamp.SourcePath = false, ""
	if said, ok := document["barclamp"].(crowbar.Data); ok {
		c.Barclamp.SourcePath, _ = said["source_path"].(string)
	}
	if err := e.Import(ctx, c); err != nil {
		return nil, err
	}
	return e.View().BarclampNamed(c.Barclamp.Name), nil
}

// ImportText imports one barclamp document that came over the wire as YAML; name, where it is not "", is what it must be called.
func (e *Engine) ImportText(ctx context.Context, text, name string) (*crowbar.Barclamp, error) {
	c, err := barclamp.Parse(barclamp.File{Path: path.Join("request", "rebar.yml"), Data: []byte(text)})
	if err != nil {
		return nil, err
	}
	if name != "" && c.Barclamp.Name != name {
		return nil, crowbar.Errorf(crowbar.Invalid, "Cannot change the name of a barclamp via update! It is %q", c.Barclamp.Name)
	}
	c.Foreign, c.Lines, c.Barclamp.SourcePath = false, map[string]string{}, "API_uploaded"
	if err := e.Import(ctx, c); err != nil {
		return nil, err
	}
	return e.View().BarclampNamed(c.Barclamp.Name), nil
}

// read takes a document that came over the wire, where it has no lines worth naming. OpenCrowbar's Go client sends "" for
// what it does not know of a barclamp.
func read(document crowbar.Data) (*crowbar.Catalog, error) {
	if said, ok := document["barclamp"].(crowbar.Data); ok {
		said, document = maps.Clone(said), maps.Clone(document)
		maps.DeleteFunc(said, func(_ string, v any) bool { return v == "" })
		document["barclamp"] = said
	}
	b, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	c, err := barclamp.Parse(barclamp.File{Path: path.Join("request", "crowbar.yml"), Data: b})
	if err != nil {
		return nil, err
	}
	c.Lines = map[string]string{}
	return c, nil
}

// CreateAttrib adds an attrib to a barclamp, and to one of its roles if that is said, besides those of its document; the next
// import of the barclamp keeps it. One with a schema is writable.
func (e *Engine) CreateAttrib(ctx context.Context, a crowbar.Attrib) (*crowbar.Attrib, error) {
	err := e.change(ctx, func(d *draft) error {
		b := d.s.Barclamp(a.Barclamp)
		if b == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no barclamp %d", a.Barclamp)
		}
		if d.s.AttribNamed(a.Name) != nil {
			return crowbar.Errorf(crowbar.Conflict, "there is an attrib of this name already: take another one")
		}
		if a.Role != 0 && d.s.Role(a.Role) == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no role %d", a.Role)
		}
		one := crowbar.Data{"name": a.Name, "description": a.Description, "map": a.Map}
		if a.Schema != nil {
			one["schema"] = a.Schema
		}
		c, err := read(crowbar.Data{"barclamp": crowbar.Data{"name": b.Name}, "attribs": []any{one}}) // it knows what an attrib may be
		if err != nil {
			return err
		}
		before, made := d.s, c.Attribs[0].Attrib
		made.ID, made.Barclamp, made.Role, made.Default, made.Order, made.Secret, made.ByHand = d.s.Next(), b.ID, a.Role, a.Default, a.Order, a.Secret, true
		made.Writable = a.Writable || a.Schema != nil
		d.put(&made)
		return e.sealFresh(d, before)
	})
	if err != nil {
		return nil, fmt.Errorf("create attrib %q: %w", a.Name, err)
	}
	return e.View().AttribNamed(a.Name), nil
}

// UpdateAttrib changes an attrib that CreateAttrib made: all but its name, its barclamp and its role. Values that lie at its old
// place stay there.
func (e *Engine) UpdateAttrib(ctx context.Context, id crowbar.ID, edit func(*crowbar.Attrib) error) error {
	what := id.String()
	err := e.change(ctx, func(d *draft) error {
		was := d.s.Attrib(id)
		if was == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		what = fmt.Sprintf("%q", was.Name)
		if !was.ByHand {
			return crowbar.Errorf(crowbar.Conflict, "its barclamp brought it, and would bring it again as it was: change the barclamp")
		}
		a := clone(was)
		if err := edit(a); err != nil {
			return err
		}
		one := crowbar.Data{"name": a.Name, "description": a.Description, "map": a.Map}
		if a.Schema != nil {
			one["schema"] = a.Schema
		}
		c, err := read(crowbar.Data{"barclamp": crowbar.Data{"name": "x"}, "attribs": []any{one}}) // it knows what an attrib may be
		if err != nil {
			return err
		}
		now := c.Attribs[0].Attrib
		a.Description, a.Map, a.Schema = now.Description, now.Map, now.Schema
		before := d.s
		d.put(a)
		return e.sealFresh(d, before)
	})
	if err != nil {
		return fmt.Errorf("update attrib %s: %w", what, err)
	}
	return nil
}

// DeleteAttrib drops an attrib that CreateAttrib made. Values that lie at its place stay there.
func (e *Engine) DeleteAttrib(ctx context.Context, id crowbar.ID) error {
	what := id.String()
	err := e.change(ctx, func(d *draft) error {
		a := d.s.Attrib(id)
		if a == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is none of this id")
		}
		what = fmt.Sprintf("%q", a.Name)
		if !a.ByHand {
			return crowbar.Errorf(crowbar.Conflict, "its barclamp brought it, and would bring it again: take it out of the barclamp")
		}
		for r := range d.s.Roles() {
			if slices.Contains(r.Wants, a.Name) {
				return crowbar.Errorf(crowbar.Conflict, "role %q wants it", r.Name)
			}
		}
		d.drop(a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete attrib %s: %w", what, err)
	}
	return nil
}
