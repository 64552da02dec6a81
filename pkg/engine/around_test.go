package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

const withHammers = `
barclamp: { name: hands, version: "1.0" }
hammers:
  - { name: ssh, type: SecureShellHammer, priority: 0 }
  - { name: ipmi, type: IpmiHammer, priority: 1 }
`

func (w *world) load(text string) {
	w.t.Helper()
	c, err := barclamp.Parse(barclamp.File{Path: "more.yml", Data: []byte(text)})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Import(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) made(o crowbar.Object, with ...crowbar.Object) crowbar.ID {
	w.t.Helper()
	o, err := w.Make(w.t.Context(), o, with...)
	if err != nil {
		w.t.Fatal(err)
	}
	return o.Key()
}

func (w *world) server(name, address string) *crowbar.Node {
	w.t.Helper()
	n, err := w.CreateNode(w.t.Context(), crowbar.Node{Name: name, Address: address, Alive: true, Available: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) bound(role string, node crowbar.ID, dep string) *crowbar.NodeRole {
	w.t.Helper()
	s := w.View()
	nr, err := w.Bind(w.t.Context(), s.RoleNamed(role).ID, node, s.DeploymentNamed(dep).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return nr
}

// refused wants an error of that kind with those words, and nothing changed.
func (w *world) refused(what string, err error, kind crowbar.ErrorKind, says string, at crowbar.Rev) {
	w.t.Helper()
	if err == nil || crowbar.KindOf(err) != kind || !strings.Contains(err.Error(), says) {
		w.t.Errorf("%s: got %v, want kind %d with %q", what, err, kind, says)
	}
	if w.View().Rev() != at {
		w.t.Errorf("%s: it changed something", what)
	}
}

func (w *world) addresses(node crowbar.ID) string {
	var out []string
	for _, a := range w.View().AllocationsOf(node) {
		out = append(out, a.Address)
	}
	return strings.Join(out, " ")
}

func TestGroups(t *testing.T) {
	w := build(t)
	n := w.server("n1.a.b", "10.0.0.1")
	if len(n.Groups) != 0 {
		t.Errorf("a new node is in %v", n.Groups)
	}
	rename := func() {
		t.Helper()
		if _, err := w.UpdateNode(t.Context(), n.ID, func(n *crowbar.Node) error { n.Description += "x"; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	rename()
	in := func() string {
		var out []string
		for _, id := range w.View().Node(n.ID).Groups {
			out = append(out, w.View().Group(id).Name)
		}
		return strings.Join(out, " ")
	}
	if in() != notSet {
		t.Errorf("after its first update it is in %q", in())
	}
	rack, tag := w.made(&crowbar.Group{Name: "r1", Category: "rack"}), w.made(&crowbar.Group{Name: "r1", Category: "tag"})
	plain := w.made(&crowbar.Group{Name: "plain"})
	if g := w.View().Group(plain); g.Category != "ui" || g.Order != 10000 || g.CreatedAt.IsZero() {
		t.Errorf("%+v", g)
	}
	for _, id := range []crowbar.ID{rack, tag, rack} {
		if err := w.Join(t.Context(), id, n.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	rename()
	if in() != "r1 r1" {
		t.Errorf("it is in %q", in())
	}
	if err := w.Join(t.Context(), rack, n.ID, false); err != nil {
		t.Fatal(err)
	}
	if err := w.Destroy(t.Context(), crowbar.KindGroup, tag); err != nil {
		t.Fatal(err)
	}
	if in() != "" {
		t.Errorf("its group is gone, and it is in %q", in())
	}
	rename()
	if in() != notSet {
		t.Errorf("it is in no group, but in %q", in())
	}

	at := w.View().Rev()
	for what, c := range map[string]struct {
		g    crowbar.Group
		kind crowbar.ErrorKind
		says string
	}{
		"name with hyphen":    {crowbar.Group{Name: "a-b"}, crowbar.Invalid, "want a letter"},
		"name with digit":     {crowbar.Group{Name: "1a"}, crowbar.Invalid, "want a letter"},
		"no name":             {crowbar.Group{}, crowbar.Invalid, "want a letter"},
		"category":            {crowbar.Group{Name: "a", Category: "sometimes"}, crowbar.Invalid, "class, rack, tag, ui, switch"},
		"category and name":   {crowbar.Group{Name: "r1", Category: "rack"}, crowbar.Conflict, "already"},
		"category with slash": {crowbar.Group{Name: "a", Category: "ra/ck"}, crowbar.Invalid, "class, rack, tag, ui"},
	} {
		_, err := w.Make(t.Context(), &c.g)
		w.refused(what, err, c.kind, c.says, at)
	}
	w.refused("no such group", w.Join(t.Context(), 9999, n.ID, true), crowbar.NotFound, "group 9999", at)
	w.refused("no such node", w.Join(t.Context(), rack, 9999, true), crowbar.NotFound, "node 9999", at)
}

func TestUsers(t *testing.T) {
	w := build(t)
	ann := w.made(&crowbar.User{Username: "Ann", Email: "ann@example.com"})
	at := w.View().Rev()
	for what, c := range map[string]struct {
		u    crowbar.User
		kind crowbar.ErrorKind
		says string
	}{
		"no name":         {crowbar.User{}, crowbar.Invalid, "1 to 255"},
		"other case":      {crowbar.User{Username: "aNN"}, crowbar.Conflict, `"Ann"`},
		"colon":           {crowbar.User{Username: "a:b"}, crowbar.Invalid, "':'"},
		"blank":           {crowbar.User{Username: "a b"}, crowbar.Invalid, "blanks"},
		"too long":        {crowbar.User{Username: strings.Repeat("a", 256)}, crowbar.Invalid, "255"},
		"email without @": {crowbar.User{Username: "bob", Email: "bob"}, crowbar.Invalid, "@"},
		"right":           {crowbar.User{Username: "bob", Right: "owner"}, crowbar.Invalid, "viewer, operator"},
		"deployment":      {crowbar.User{Username: "bob", Deployments: []string{"none"}}, crowbar.NotFound, `"none"`},
	} {
		_, err := w.Make(t.Context(), &c.u)
		w.refused(what, err, c.kind, c.says, at)
	}
	o, err := w.Edit(t.Context(), crowbar.KindUser, ann, func(o crowbar.Object) error { o.(*crowbar.User).Admin = true; return nil })
	if err != nil || !o.(*crowbar.User).Admin || w.View().UserNamed("ANN").ID != ann {
		t.Errorf("%+v, %v", o, err)
	}
	if err := w.Destroy(t.Context(), crowbar.KindUser, ann); err != nil || w.View().UserNamed("ann") != nil {
		t.Error(err)
	}
	_, err = w.Make(t.Context(), &crowbar.NodeRole{})
	w.refused("not of these", err, crowbar.Invalid, "node_roles", w.View().Rev())
	w.refused("no such user", w.Destroy(t.Context(), crowbar.KindUser, ann), crowbar.NotFound, "none", w.View().Rev())
}

func TestHammers(t *testing.T) {
	w := build(t)
	early := w.server("n1.a.b", "10.0.0.1")
	if len(w.View().HammersOf(early.ID)) != 0 {
		t.Fatal("a hammer that no barclamp has brought")
	}
	w.load(withHammers)
	late := w.server("n2.a.b", "10.0.0.2")
	for _, n := range []*crowbar.Node{early, late} {
		all := w.View().HammersOf(n.ID)
		if len(all) != 1 || all[0].Name != "ssh" || all[0].Class != "SecureShellHammer" || all[0].Username != "root" || all[0].Endpoint != n.Address+":22" {
			t.Errorf("%s: %+v", n.Name, all)
		}
	}
	phantom := w.View().DeploymentNamed(System).Phantom
	if len(w.View().HammersOf(phantom)) != 0 {
		t.Error("the phantom has a hammer")
	}
	rev := w.View().Rev()
	w.load(withHammers)
	if w.View().Rev() != rev {
		t.Error("the same barclamp again changed something")
	}
	if _, err := w.UpdateNode(t.Context(), late.ID, func(n *crowbar.Node) error { n.SSH = crowbar.SSH{User: "ops", Port: 2222}; return nil }); err != nil {
		t.Fatal(err)
	}
	ssh := w.View().HammersOf(late.ID)[0]
	if ssh.Username != "ops" || ssh.Endpoint != "10.0.0.2:2222" {
		t.Errorf("%+v", ssh)
	}
	edit := func(f func(h *crowbar.Hammer)) error {
		_, err := w.Edit(t.Context(), crowbar.KindHammer, ssh.ID, func(o crowbar.Object) error { f(o.(*crowbar.Hammer)); return nil })
		return err
	}
	if err := edit(func(h *crowbar.Hammer) { h.Username, h.Endpoint = "root", "192.168.0.9:22" }); err != nil {
		t.Fatal(err)
	}
	if n := w.View().Node(late.ID); n.SSH.User != "root" || n.SSH.Host != "192.168.0.9" || n.SSH.Port != 22 {
		t.Errorf("%+v", n.SSH)
	}
	ipmi := w.View().AvailableHammerNamed("ipmi").ID
	made := w.made(&crowbar.Hammer{Node: late.ID, Available: ipmi, Username: "admin", Endpoint: "10.9.0.2"})
	if h := w.View().Hammer(made); h.Name != "ipmi" || h.Class != "IpmiHammer" || h.Priority != 1 {
		t.Errorf("%+v", h)
	}

	rev = w.View().Rev()
	for what, c := range map[string]struct {
		h    crowbar.Hammer
		kind crowbar.ErrorKind
		says string
	}{
		"second of a type": {crowbar.Hammer{Node: late.ID, Available: ipmi, Username: "admin"}, crowbar.Conflict, "already"},
		"no username":      {crowbar.Hammer{Node: early.ID, Available: ipmi}, crowbar.Invalid, "username"},
		"phantom":          {crowbar.Hammer{Node: phantom, Available: ipmi, Username: "a"}, crowbar.Invalid, "phantom"},
		"no such kind":     {crowbar.Hammer{Node: late.ID, Available: 9999, Username: "a"}, crowbar.NotFound, "9999"},
		"no such node":     {crowbar.Hammer{Node: 9999, Available: ipmi, Username: "a"}, crowbar.NotFound, "9999"},
	} {
		_, err := w.Make(t.Context(), &c.h)
		w.refused(what, err, c.kind, c.says, rev)
	}
	w.refused("ssh stays", w.Destroy(t.Context(), crowbar.KindHammer, ssh.ID), crowbar.Conflict, "keeps its ssh hammer", rev)
	w.refused("endpoint", edit(func(h *crowbar.Hammer) { h.Endpoint = "there" }), crowbar.Invalid, "address:port", rev)

	w.load(strings.Replace(withHammers, "  - { name: ipmi, type: IpmiHammer, priority: 1 }\n", "", 1))
	if w.View().AvailableHammerNamed("ipmi") == nil {
		t.Error("a hammer that a node has went with its barclamp's line")
	}
	if err := w.DeleteNode(t.Context(), late.ID, false); err != nil || len(w.View().HammersOf(late.ID)) != 0 {
		t.Errorf("hammers of a node that is gone: %v", err)
	}
	w.load("barclamp: { name: hands }\nhammers: [{ name: ssh, type: SecureShellHammer }]\n")
	if w.View().AvailableHammerNamed("ipmi") != nil {
		t.Error("a hammer that nobody has or brings is left")
	}
}

const netUser = `
barclamp: { name: netuser }
roles:
  - name: webserver
    jig: ssh
    requires: [network-admin]
    wants-attribs: [network-admin_addresses, network-admin_vlan]
`

func admin() (*crowbar.Network, []crowbar.Object) {
	return &crowbar.Network{Name: "admin", Category: "admin", Conduit: "1g0"}, []crowbar.Object{
		&crowbar.Range{Name: "admin", First: "192.168.124.10/24", Last: "192.168.124.11/24"},
		&crowbar.Range{Name: "host", First: "192.168.124.81/24", Last: "192.168.124.83/24"},
		&crowbar.Router{Address: "192.168.124.1/24"}}
}

func TestNetworkGivesAddresses(t *testing.T) {
	w := build(t)
	net, with := admin()
	id := w.made(net, with...)
	w.load(netUser)
	if _, err := w.CreateDeployment(t.Context(), "k", "", 0); err != nil {
		t.Fatal(err)
	}
	n1, n2 := w.server("n1.a.b", "10.0.0.1"), w.server("n2.a.b", "10.0.0.2")
	boss, err := w.CreateNode(t.Context(), crowbar.Node{Name: "boss.a.b", Address: "10.0.0.9", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	web := w.bound("webserver", n1.ID, "k") // brings network-admin along
	w.bound("network-admin", n2.ID, "k")
	w.bound("network-admin", boss.ID, "k")
	if got := w.addresses(n1.ID) + " " + w.addresses(n2.ID) + " " + w.addresses(boss.ID); got != "192.168.124.81/24 192.168.124.82/24 192.168.124.10/24" {
		t.Errorf("addresses %s", got)
	}
	if err := w.Commit(t.Context(), w.View().DeploymentNamed("k").ID); err != nil {
		t.Fatal(err)
	}
	var given crowbar.Data
	w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "webserver" {
			given = work.Attribs
		}
		return crowbar.Outcome{}
	})
	if fmt.Sprint(given["network-admin_addresses"], given["network-admin_vlan"]) != "[192.168.124.81/24] 0" {
		t.Errorf("the role is given %v", given)
	}

	// A change of the network makes those run again that want it.
	if _, err := w.Edit(t.Context(), crowbar.KindNetwork, id, func(o crowbar.Object) error {
		n := o.(*crowbar.Network)
		n.UseVLAN, n.VLAN = true, 7
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ran := w.drain(func(work *crowbar.Work) crowbar.Outcome {
		if work.Role.Name == "webserver" {
			given = work.Attribs
		}
		return crowbar.Outcome{}
	})
	if !slices.Contains(ran, "webserver@n1") || fmt.Sprint(given["network-admin_vlan"]) != "7" {
		t.Errorf("after the vlan changed %v ran, and was given %v", ran, given)
	}

	at := w.View().Rev()
	w.refused("network in use", w.Destroy(t.Context(), crowbar.KindNetwork, id), crowbar.Conflict, "stays", at)
	r := w.View().RangeNamed(id, "host")
	w.refused("range in use", w.Destroy(t.Context(), crowbar.KindRange, r.ID), crowbar.Conflict, "192.168.124.81/24", at)

	// What is taken off gives its address back.
	for _, nr := range []crowbar.ID{web.ID, w.nr("network-admin", "n1").ID} {
		if err := w.Unbind(t.Context(), nr); err != nil {
			t.Fatal(err)
		}
	}
	if w.addresses(n1.ID) == "" {
		t.Error("the address is gone before the role is")
	}
	w.drain(well)
	if w.addresses(n1.ID) != "" {
		t.Errorf("%s is left", w.addresses(n1.ID))
	}
	if err := w.DeleteNode(t.Context(), n2.ID, true); err != nil || w.addresses(n2.ID) != "" {
		t.Errorf("a node that is forgotten keeps %s (%v)", w.addresses(n2.ID), err)
	}
}

func TestAllocations(t *testing.T) {
	w := build(t)
	net, with := admin()
	id := w.made(net, with...)
	n1, n2 := w.server("n1.a.b", "10.0.0.1"), w.server("n2.a.b", "10.0.0.2")
	one := w.made(&crowbar.Allocation{Node: n1.ID, Network: id, Address: "192.168.124.83"})
	if w.addresses(n1.ID) != "192.168.124.83/24" || w.made(&crowbar.Allocation{Node: n1.ID, Network: id}) != one {
		t.Errorf("%s", w.addresses(n1.ID))
	}
	host := w.View().RangeNamed(id, "host").ID
	w.made(&crowbar.Allocation{Node: n2.ID, Range: host})
	w.bound("network-admin", n2.ID, System)
	if sys := fmt.Sprint(w.nr("network-admin", "n2").Sys); !strings.Contains(sys, "addresses:[192.168.124.81/24]") || !strings.Contains(sys, "targets:[192.168.124.1]") {
		t.Errorf("the role is told %s", sys)
	}
	at := w.View().Rev()
	_, err := w.Edit(t.Context(), crowbar.KindAllocation, one, func(crowbar.Object) error { return nil })
	w.refused("edit", err, crowbar.Conflict, "take it back", at)
	_, err = w.Make(t.Context(), &crowbar.Allocation{Node: n1.ID, Network: 9999})
	w.refused("no network", err, crowbar.NotFound, "9999", at)
	_, err = w.Make(t.Context(), &crowbar.Allocation{Node: 9999, Range: host})
	w.refused("no node", err, crowbar.NotFound, "9999", at)
	bare := w.made(&crowbar.Network{Name: "bare", Conduit: "1g5"})
	at = w.View().Rev()
	_, err = w.Make(t.Context(), &crowbar.Allocation{Node: n1.ID, Network: bare})
	w.refused("no range of its own", err, crowbar.Conflict, `"host"`, at)
	w.made(&crowbar.Allocation{Node: w.server("n3.a.b", "10.0.0.3").ID, Range: host})
	late := w.server("n4.a.b", "10.0.0.4")
	at = w.View().Rev()
	_, err = w.Make(t.Context(), &crowbar.Allocation{Node: late.ID, Range: host})
	w.refused("full", err, crowbar.Conflict, "out of addresses!", at)
	_, err = w.Bind(t.Context(), w.View().RoleNamed("network-admin").ID, late.ID, w.View().DeploymentNamed(System).ID)
	w.refused("bind when full", err, crowbar.Conflict, "out of addresses!", at)
	doc := crowbar.Cluster{Deployment: "k", Nodes: []crowbar.ClusterNode{{Name: "n4.a.b", Address: "10.0.0.4", Roles: []string{"network-admin"}}}}
	w.refused("apply when full", w.Apply(t.Context(), doc, true), crowbar.Conflict, "out of addresses!", at)
	if err := w.Destroy(t.Context(), crowbar.KindAllocation, w.View().AllocationAt("192.168.124.81").ID); err != nil {
		t.Fatal(err)
	}
	if sys := fmt.Sprint(w.nr("network-admin", "n2").Sys); !strings.Contains(sys, "addresses:[] ") {
		t.Errorf("after the address is taken back the role is told %s", sys)
	}
	if err := w.DeleteNode(t.Context(), n1.ID, false); err != nil || w.addresses(n1.ID) != "" {
		t.Errorf("a node that is gone has %s (%v)", w.addresses(n1.ID), err)
	}
}

func TestNetworksAreWholeOrNot(t *testing.T) {
	w := build(t)
	net, with := admin()
	with[1].(*crowbar.Range).Last = "192.168.125.83/24"
	at := w.View().Rev()
	_, err := w.Make(t.Context(), net, with...)
	w.refused("bad range", err, crowbar.Invalid, "two subnets", at)
	w.made(&crowbar.Network{Name: "v6a", Conduit: "1g0", V6Prefix: "auto"})
	n := w.View().NetworkNamed("v6a")
	if len(strings.Split(string(n.V6Prefix), ":")) != 4 || w.View().RangeNamed(n.ID, "host-v6") == nil {
		t.Errorf("%+v", n)
	}
	if n.Category != "general" || n.Group != "default" || n.Deployment != w.View().DeploymentNamed(System).ID {
		t.Errorf("%+v", n)
	}
	rev := w.View().Rev()
	if _, err := w.Edit(t.Context(), crowbar.KindNetwork, n.ID, func(crowbar.Object) error { return nil }); err != nil || w.View().Rev() != rev {
		t.Errorf("an edit of nothing changed something: %v", err)
	}
	if _, err := w.CreateDeployment(t.Context(), "k", "", 0); err != nil {
		t.Fatal(err)
	}
	k := w.View().DeploymentNamed("k").ID
	w.made(&crowbar.Network{Name: "ofk", Conduit: "1g1", Deployment: k})
	w.refused("deployment of a network", w.DeleteDeployment(t.Context(), k), crowbar.Conflict, `network "ofk"`, w.View().Rev())
	if err := w.Import(t.Context(), catalog(t)); err != nil || w.View().RoleNamed("network-v6a") == nil || w.View().AttribNamed("hint-v6a-v4addr") == nil {
		t.Errorf("an import took a network's role or attribs away: %v", err)
	}
	if err := w.Destroy(t.Context(), crowbar.KindNetwork, n.ID); err != nil || w.View().RoleNamed("network-v6a") != nil {
		t.Error(err)
	}
}

func TestDNSNameFilters(t *testing.T) {
	w := build(t)
	net, with := admin()
	w.made(net, with...)
	id := w.made(&crowbar.DNSNameFilter{Name: "default", Matcher: `net.category == "admin"`, Priority: 50, Template: "{{node.name}}.example.com"})
	w.bound("network-admin", w.server("n1.a.b", "10.0.0.1").ID, System)
	at := w.View().Rev()
	for what, c := range map[string]struct {
		f    crowbar.DNSNameFilter
		kind crowbar.ErrorKind
		says string
	}{
		"no name":  {crowbar.DNSNameFilter{Matcher: `net.name == "a"`, Template: "a.b"}, crowbar.Invalid, "name"},
		"priority": {crowbar.DNSNameFilter{Name: "x", Priority: 50, Matcher: `net.name == "a"`, Template: "a.b"}, crowbar.Conflict, "priority 50"},
		"name":     {crowbar.DNSNameFilter{Name: "default", Matcher: `net.name == "a"`, Template: "a.b"}, crowbar.Conflict, "already"},
		"matcher":  {crowbar.DNSNameFilter{Name: "x", Matcher: `net.colour == "a"`, Template: "a.b"}, crowbar.Invalid, "net.colour"},
		"template": {crowbar.DNSNameFilter{Name: "x", Matcher: `net.name == "a"`, Template: "{{node.colour}}.b"}, crowbar.Invalid, "node.colour"},
	} {
		_, err := w.Make(t.Context(), &c.f)
		w.refused(what, err, c.kind, c.says, at)
	}
	if e := zone.Entries(w.View()); len(e) != 1 || e[0].Name != "n1.example.com" || e[0].Filter != id || e[0].RRType != "A" {
		t.Errorf("%+v", e)
	}
	if err := w.Unbind(t.Context(), w.nr("network-admin", "n1").ID); err != nil {
		t.Fatal(err)
	}
	if e := zone.Entries(w.View()); len(e) != 0 {
		t.Errorf("%+v", e)
	}
}
