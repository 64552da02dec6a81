package zone

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// named is two nodes in two networks, with filters.
func named(filters ...*crowbar.DNSNameFilter) *crowbar.Snapshot {
	s := crowbar.NewSnapshot()
	put := func(o crowbar.Object) { s = s.Apply(s.Rev()+1, crowbar.Change{Put: o}) }
	put(&crowbar.Deployment{ID: 1, Name: "k8s"})
	put(&crowbar.Role{ID: 2, Name: "kubernetes-master"})
	put(&crowbar.Attrib{ID: 3, Name: "site", Map: "site", Default: "home"})
	put(&crowbar.Attrib{ID: 4, Name: "tier", Role: 2, Map: "tier", Default: "gold"})
	put(&crowbar.Attrib{ID: 5, Name: "hidden", Map: "hidden", Default: "x", Secret: true})
	put(&crowbar.Node{ID: 10, Name: "m1.a.b", Deployment: 1, Hint: crowbar.Data{"site": "away", "admin_macs": []any{"02:00:AA:00:00:01", "x"}}})
	put(&crowbar.Node{ID: 11, Name: "w1.a.b", Deployment: 1})
	put(&crowbar.NodeRole{ID: 12, Node: 10, Role: 2, Deployment: 1, Committed: crowbar.Data{"tier": "silver"}})
	put(&crowbar.Network{ID: 20, Name: "admin", Category: "admin"})
	put(&crowbar.Network{ID: 21, Name: "pub", Category: "general"})
	put(&crowbar.Range{ID: 22, Network: 20, Name: "host"})
	put(&crowbar.Allocation{ID: 30, Node: 10, Network: 20, Range: 22, Address: "192.168.124.81/24"})
	put(&crowbar.Allocation{ID: 31, Node: 10, Network: 21, Address: "fd00::1/64"})
	put(&crowbar.Allocation{ID: 32, Node: 11, Network: 20, Range: 22, Address: "192.168.124.82/24"})
	for i, f := range filters {
		f.ID = crowbar.ID(40 + i)
		put(f)
	}
	return s
}

func TestMatcherAndTemplate(t *testing.T) {
	for _, c := range []struct{ matcher, template, want string }{
		{`net.category == "admin"`, "{{node.name}}.example.com", "m1.example.com=192.168.124.81 w1.example.com=192.168.124.82"},
		{`net.name == "pub"`, "{{node.name}}.{{network.name}}.com", "m1.pub.com=fd00::1"},
		{`range.name == "host"`, "{{node.name}}.{{network.range}}.com", "m1.host.com=192.168.124.81 w1.host.com=192.168.124.82"},
		{`range.name == "dhcp"`, "a.com", ""},
		{`deployment.name == "k8s", net.name == "pub"`, "x.{{node.deployment}}.com", "x.k8s.com=fd00::1"},
		{`deployment.name == "system"`, "x.com", ""},
		{`node.role has "kubernetes-master"`, "kube-apiserver.example.com", "kube-apiserver.example.com=192.168.124.81 kube-apiserver.example.com=fd00::1"},
		{`node.role has "kubernetes-master", net.category == "admin"`, "kube-apiserver.example.com", "kube-apiserver.example.com=192.168.124.81"},
		{`node.role has "none"`, "x.com", ""},
		{`node.attr.site == "away", net.name == "pub"`, "x.com", "x.com=fd00::1"},
		{`node.attr.site == "home"`, "x.com", "x.com=192.168.124.82"},
		{`node.attr.tier == "silver", net.name == "pub"`, "x.com", "x.com=fd00::1"},
		{`node.attr.tier == "gold"`, "x.com", "x.com=192.168.124.82"},
		{`node.attr.hidden == "x"`, "x.com", ""},
		{`node.attr.none == "x"`, "x.com", ""},
		{`net.name == "pub"`, "{{node.mac}}.com", "02-00-aa-00-00-01.com=fd00::1"},
		{`net.name == "admin"`, "{{node.mac}}.com", "02-00-aa-00-00-01.com=192.168.124.81"}, // the worker has none: no name
		{`net.name == "pub"`, "n{{ node.id }}.{{network.category}}.com.", "n10.general.com=fd00::1"},
	} {
		f := &crowbar.DNSNameFilter{Name: "f", Matcher: c.matcher, Template: c.template, Service: OwnService}
		if err := CheckFilter(f); err != nil {
			t.Errorf("%s: %v", c.matcher, err)
		}
		var got []string
		for _, e := range Entries(named(f)) {
			if (e.RRType == "AAAA") != strings.Contains(e.Address, ":") {
				t.Errorf("%+v", e)
			}
			got = append(got, e.Name+"="+e.Address)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s -> %s: %q, want %q", c.matcher, c.template, text, c.want)
		}
	}
}

func TestCheckFilter(t *testing.T) {
	for _, c := range []struct{ matcher, template, says string }{
		{``, "a.b", "no condition"},
		{`net.name == x`, "a.b", "no condition"},
		{`net.name = "x"`, "a.b", "no condition"},
		{`node.role == "x"`, "a.b", "no condition"},
		{`net.name has "x"`, "a.b", "no condition"},
		{`net.name == "x",`, "a.b", "no condition"},
		{`net.name == "x"`, "", "with its zone"},
		{`net.name == "x"`, "{{node.name}}", "with its zone"},
		{`net.name == "x"`, "{{node.name.example.com", "with its zone"},
		{`net.name == "x"`, "{{node}}.example.com", "no {{node}}"},
	} {
		err := CheckFilter(&crowbar.DNSNameFilter{Name: "f", Matcher: c.matcher, Template: c.template})
		if crowbar.KindOf(err) != crowbar.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s -> %s: %v", c.matcher, c.template, err)
		}
	}
}

func TestEntriesAndZones(t *testing.T) {
	s := named(
		&crowbar.DNSNameFilter{Name: "pool", Priority: 1000, Matcher: `node.role has "kubernetes-master"`, Template: "kube-apiserver.example.com", Service: OwnService},
		&crowbar.DNSNameFilter{Name: "default", Priority: 50, Matcher: `net.category == "admin"`, Template: "{{node.name}}.example.com", Service: OwnService},
		&crowbar.DNSNameFilter{Name: "again", Priority: 60, Matcher: `net.category == "admin", node.role has "kubernetes-master"`, Template: "m1.Example.COM", Service: OwnService},
		&crowbar.DNSNameFilter{Name: "other", Priority: 1, Matcher: `net.category == "admin"`, Template: "{{node.name}}.elsewhere.com", Service: "bind"})
	ids, first := map[crowbar.ID]bool{}, ""
	all := Entries(s)
	for _, e := range all {
		if ids[e.ID] {
			t.Errorf("two entries have the id %d", e.ID)
		}
		ids[e.ID] = true
		first += s.DNSNameFilter(e.Filter).Name + " "
	}
	if first != "default default again pool pool " {
		t.Errorf("entries of %s", first)
	}
	want := []Names{{Zone: "example.com", Hosts: map[string][]string{
		"m1": {"192.168.124.81"}, "w1": {"192.168.124.82"}, "kube-apiserver": {"192.168.124.81", "fd00::1"}}}}
	if got := Filled(s); !reflect.DeepEqual(got, want) {
		t.Errorf("zones %+v", got)
	}
	if got := Filled(named()); len(got) != 0 {
		t.Errorf("without filters: %+v", got)
	}
}
