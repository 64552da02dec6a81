package graph

import (
	"fmt"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// importHammers takes the hammers that no other barclamp has brought, and drops those that this one has brought before and
// that no node has.
func (d *importer) importHammers() {
	for _, h := range d.c.Hammers {
		h.Barclamp = d.id
		if was := d.s.AvailableHammerNamed(h.Name); was == nil {
			h.ID = d.s.Next()
		} else if was.Barclamp != d.id {
			continue
		} else {
			h.ID, h.Stamps = was.ID, was.Stamps
		}
		d.keep(&h)
	}
	used := map[crowbar.ID]bool{}
	for h := range d.s.Hammers() {
		used[h.Available] = true
	}
	for was := range d.s.AvailableHammers() {
		if was.Barclamp == d.id && !used[was.ID] && !slices.ContainsFunc(d.c.Hammers, func(h crowbar.AvailableHammer) bool { return h.Name == was.Name }) {
			d.drop(was)
		}
	}
}

// owner names what has brought a role or an attrib.
func (d *importer) owner(barclamp crowbar.ID) string {
	if b := d.s.Barclamp(barclamp); b != nil {
		return fmt.Sprintf("barclamp %q", b.Name)
	}
	return "a network"
}
