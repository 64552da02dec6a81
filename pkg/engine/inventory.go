package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

var groupRule = regexp.MustCompile(`^[a-zA-Z][_a-zA-Z0-9]*$`)

var groupCategories = [...]string{"class", "rack", "tag", "ui", "switch"}

// notSet is the group of nodes that nobody has put into one.
const notSet = "not_set"

func fillGroup(_ *draft, g *crowbar.Group) error {
	if g.Category == "" {
		g.Category = "ui"
	}
	if g.Order == 0 {
		g.Order = 10000
	}
	return nil
}

func checkGroup(d *draft, g *crowbar.Group) error {
	if !groupRule.MatchString(g.Name) {
		return crowbar.Errorf(crowbar.Invalid, "name %q: want a letter, then letters, digits and '_'", g.Name)
	}
	if !slices.Contains(groupCategories[:], g.Category) {
		return crowbar.Errorf(crowbar.Invalid, "category %q: there are %s", g.Category, strings.Join(groupCategories[:], ", "))
	}
	for o := range d.s.Groups() {
		if o.ID != g.ID && o.Name == g.Name && o.Category == g.Category {
			return crowbar.Errorf(crowbar.Conflict, "there is a group %q of category %s already: take another name", g.Name, g.Category)
		}
	}
	return nil
}

// leaveGroup takes all nodes out of a group that is dropped.
func leaveGroup(d *draft, g *crowbar.Group) error {
	for n := range d.s.Nodes() {
		if slices.Contains(n.Groups, g.ID) {
			d.put(outOf(n, g.ID))
		}
	}
	return nil
}

func outOf(n *crowbar.Node, group crowbar.ID) *crowbar.Node {
	n = clone(n)
	n.Groups = slices.DeleteFunc(slices.Clone(n.Groups), func(id crowbar.ID) bool { return id == group })
	return n
}

// Join puts a node into a group, or takes it out of it; a node that is in no group is in "not_set".
func (e *Engine) Join(ctx context.Context, group, node crowbar.ID, member bool) error {
	err := e.change(ctx, func(d *draft) error {
		g := d.s.Group(group)
		if g == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no group %d", group)
		}
		n, err := d.node(node)
		if err != nil {
			return err
		}
		n = outOf(n, group)
		if other := d.s.GroupNamed(notSet); member && other != nil {
			n = outOf(n, other.ID)
		}
		if member {
			n.Groups = append(n.Groups, group)
		}
		d.grouped(n)
		d.put(n)
		return nil
	})
	if err != nil {
		return fmt.Errorf("groups of node %s: %w", nodeName(e.View(), node), err)
	}
	return nil
}

// grouped puts a node that is in no group into "not_set".
func (d *draft) grouped(n *crowbar.Node) {
	if len(n.Groups) > 0 || n.System {
		return
	}
	g := d.s.GroupNamed(notSet)
	if g == nil {
		g = &crowbar.Group{ID: d.s.Next(), Name: notSet, Description: "Not Set", Category: "ui", Order: 10000}
		d.put(g)
	}
	n.Groups = []crowbar.ID{g.ID}
}

func fillFilter(_ *draft, f *crowbar.DNSNameFilter) error {
	if f.Service == "" {
		f.Service = zone.OwnService
	}
	return nil
}

func checkFilter(d *draft, f *crowbar.DNSNameFilter) error {
	if f.Name == "" {
		return crowbar.Errorf(crowbar.Invalid, "name: it is missing")
	}
	if err := zone.CheckFilter(f); err != nil {
		return err
	}
	for o := range d.s.DNSNameFilters() {
		switch {
		case o.ID == f.ID:
		case o.Name == f.Name:
			return crowbar.Errorf(crowbar.Conflict, "there is a filter %q already: take another name", o.Name)
		case o.Priority == f.Priority:
			return crowbar.Errorf(crowbar.Conflict, "filter %q has priority %d already: each has its own", o.Name, o.Priority)
		}
	}
	return nil
}

func checkUser(d *draft, u *crowbar.User) error {
	odd := func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) || c == ':' || c == '/' }
	switch strings.ToLower(u.Username) {
	case "me", "sample":
		return crowbar.Errorf(crowbar.Invalid, "username %q: it is a word of the API; take another name", u.Username)
	}
	if u.Username == "" || len(u.Username) > 255 || strings.ContainsFunc(u.Username, odd) {
		return crowbar.Errorf(crowbar.Invalid, "username %q: want 1 to 255 characters, without blanks, ':' and '/'", u.Username)
	}
	if o := d.s.UserNamed(u.Username); o != nil && o.ID != u.ID {
		return crowbar.Errorf(crowbar.Conflict, "there is a user %q already, whatever the case: take another name", o.Username)
	}
	if u.Email != "" && !strings.Contains(u.Email, "@") {
		return crowbar.Errorf(crowbar.Invalid, "email %q has no @", u.Email)
	}
	if u.Right != "" && !u.Right.Known() {
		return crowbar.Errorf(crowbar.Invalid, "right %q: there are viewer, operator and admin", u.Right)
	}
	for _, name := range u.Deployments {
		if d.s.DeploymentNamed(name) == nil {
			return crowbar.Errorf(crowbar.NotFound, "there is no deployment %q", name)
		}
	}
	return nil
}

// userChanged ends the sessions of a user that is locked now, and forgets the digest secret of one that has another name: the
// name is in it. The password stays.
func (e *Engine) userChanged(d *draft, was, now *crowbar.User) error {
	if was == nil {
		return nil
	}
	u := clone(now)
	if now.Locked() && !was.Locked() {
		endSessions(u)
	}
	if was.Username != now.Username && len(now.Credentials) > 0 && e.Ring != nil {
		if err := e.withoutDigest(u); err != nil {
			return err
		}
	}
	d.put(u)
	return nil
}

func (e *Engine) withoutDigest(u *crowbar.User) error {
	b, err := e.Ring.Open(u.Credentials, u.Place())
	if err != nil {
		return err
	}
	var c credentials
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	c.HA1, c.Rebar = "", ""
	if b, err = json.Marshal(c); err != nil {
		return err
	}
	u.Credentials = e.Ring.Seal(b, u.Place())
	return nil
}

// sshHammer is the name of the hammer that every server has.
const sshHammer = "ssh"

func fillHammer(d *draft, h *crowbar.Hammer) error {
	from := d.s.AvailableHammer(h.Available)
	if from == nil {
		return crowbar.Errorf(crowbar.NotFound, "there is no available hammer %d: a barclamp brings them", h.Available)
	}
	h.Name, h.Class = from.Name, from.Class
	if h.Priority == 0 {
		h.Priority = from.Priority
	}
	return nil
}

func checkHammer(d *draft, h *crowbar.Hammer) error {
	n, err := d.node(h.Node)
	if err != nil {
		return err
	}
	if n.System {
		return crowbar.Errorf(crowbar.Invalid, "node %q is the phantom of a deployment: hammers are for servers", n.Name)
	}
	if h.Username == "" {
		return crowbar.Errorf(crowbar.Invalid, "username: it is missing")
	}
	for _, o := range d.s.HammersOf(h.Node) {
		if o.ID != h.ID && o.Class == h.Class {
			return crowbar.Errorf(crowbar.Conflict, "node %q has a hammer of type %s already: change that one", n.Name, h.Class)
		}
	}
	return nil
}

// hammerChanged writes what is said of the ssh hammer where it counts: how the node is reached.
func hammerChanged(d *draft, was, now *crowbar.Hammer) error {
	if was == nil || now.Name != sshHammer {
		return nil
	}
	if was.Node != now.Node || was.Available != now.Available {
		return crowbar.Errorf(crowbar.Conflict, "a hammer stays on its node: delete it and make another one")
	}
	n := clone(d.s.Node(now.Node))
	n.SSH.User = now.Username
	if was.Endpoint != now.Endpoint {
		at, err := netip.ParseAddrPort(now.Endpoint)
		if err != nil {
			return crowbar.Errorf(crowbar.Invalid, "endpoint %q of the ssh hammer: want address:port", now.Endpoint)
		}
		n.SSH.Host, n.SSH.Port = at.Addr().String(), int(at.Port())
	}
	d.put(n)
	return nil
}

func dropHammer(d *draft, h *crowbar.Hammer) error {
	if h.Name == sshHammer {
		return crowbar.Errorf(crowbar.Conflict, "every server keeps its ssh hammer")
	}
	return nil
}

// hammered gives a server its ssh hammer, which says how the node is reached.
func (d *draft) hammered(n *crowbar.Node) {
	from := d.s.AvailableHammerNamed(sshHammer)
	if from == nil || n.System {
		return
	}
	h := &crowbar.Hammer{ID: d.s.Next(), Node: n.ID, Available: from.ID, Priority: from.Priority, Name: from.Name, Class: from.Class}
	for _, o := range d.s.HammersOf(n.ID) {
		if o.Name == sshHammer {
			h = clone(o)
		}
	}
	h.Username, h.Endpoint = n.SSH.User, ""
	if h.Username == "" {
		h.Username = "root"
	}
	host, port := n.SSH.Host, n.SSH.Port
	if host == "" {
		host = n.Address
	}
	if port == 0 {
		port = 22
	}
	if host != "" {
		h.Endpoint = net.JoinHostPort(host, strconv.Itoa(port))
	}
	d.put(h)
}
