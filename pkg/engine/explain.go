package engine

import (
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Explain says where the value of an attrib comes from that a node-role is given; of all of them, if the name is "".
func (e *Engine) Explain(nodeRole crowbar.ID, name string) ([]crowbar.Explanation, error) {
	d := &draft{s: e.View()}
	nr, err := d.nodeRole(nodeRole)
	if err != nil {
		return nil, err
	}
	var a *crowbar.Attrib
	if name != "" {
		if a, err = d.attrib(name); err != nil {
			return nil, err
		}
	}
	out, err := attrib.Explain(d.s, nr, a)
	if err != nil {
		return nil, fmt.Errorf("explain %s: %w", place(d.s, nr), err)
	}
	return out, nil
}

// Uses says who uses an attrib.
func (e *Engine) Uses(name string) (crowbar.AttribUse, error) {
	d := &draft{s: e.View()}
	a, err := d.attrib(name)
	if err != nil {
		return crowbar.AttribUse{}, err
	}
	return attrib.Uses(d.s, a), nil
}
