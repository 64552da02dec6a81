package network

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// world is a state with a deployment, and networks with their ranges.
type world struct {
	t *testing.T
	s *crowbar.Snapshot
}

func build(t *testing.T) *world {
	w := &world{t: t, s: crowbar.NewSnapshot()}
	w.put(&crowbar.Deployment{ID: 1, Name: "system"}, &crowbar.Jig{ID: 2, Name: "noop", Active: true})
	return w
}

func (w *world) put(all ...crowbar.Object) {
	for _, o := range all {
		w.s = w.s.Apply(w.s.Rev()+1, crowbar.Change{Put: o})
	}
}

func (w *world) apply(c []crowbar.Change, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	w.s = w.s.Apply(w.s.Rev()+1, c...)
}

func (w *world) network(name, conduit string) *crowbar.Network {
	n := &crowbar.Network{ID: w.s.Next(), Name: name, Deployment: 1, Conduit: conduit, Group: "default", TeamMode: DefaultTeamMode}
	w.put(n)
	return n
}

func (w *world) rang(n *crowbar.Network, name, first, last string) *crowbar.Range {
	r := &crowbar.Range{ID: w.s.Next(), Network: n.ID, Name: name, First: first, Last: last}
	w.put(r)
	return r
}

func (w *world) node(name string) *crowbar.Node {
	n := &crowbar.Node{ID: w.s.Next(), Name: name, Deployment: 1}
	w.put(n)
	return n
}

// verdict is "" for what is allowed, else the kind and words of the refusal.
func judge(t *testing.T, what string, err error, kind crowbar.ErrorKind, says string) {
	t.Helper()
	switch {
	case says == "" && err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case says != "" && (err == nil || crowbar.KindOf(err) != kind || !strings.Contains(err.Error(), says)):
		t.Errorf("%s: got %v, want kind %d with %q", what, err, kind, says)
	}
}

func TestNetworkRules(t *testing.T) {
	w := build(t)
	w.network("there", "1g0,1g1")
	admin := w.network(Admin, "10g0")
	for what, c := range map[string]struct {
		edit func(*crowbar.Network)
		kind crowbar.ErrorKind
		says string
	}{
		"plain":                 {func(n *crowbar.Network) {}, 0, ""},
		"no name":               {func(n *crowbar.Network) { n.Name = "" }, crowbar.Invalid, "want a letter"},
		"name with a dot":       {func(n *crowbar.Network) { n.Name = "a.b" }, crowbar.Invalid, "want a letter"},
		"name is taken":         {func(n *crowbar.Network) { n.Name = "there" }, crowbar.Conflict, "already"},
		"no deployment":         {func(n *crowbar.Network) { n.Deployment = 99 }, crowbar.NotFound, "deployment 99"},
		"no conduit":            {func(n *crowbar.Network) { n.Conduit = "" }, crowbar.Invalid, "not an interface"},
		"odd conduit":           {func(n *crowbar.Network) { n.Conduit = "eth0" }, crowbar.Invalid, "eth0"},
		"bmc with more":         {func(n *crowbar.Network) { n.Conduit = "bmcx" }, crowbar.Invalid, "bmcx"},
		"any speed":             {func(n *crowbar.Network) { n.Conduit = "?1g4" }, 0, ""},
		"bmc":                   {func(n *crowbar.Network) { n.Conduit = "bmc" }, 0, ""},
		"raw":                   {func(n *crowbar.Network) { n.Conduit = "raw:enp3s0" }, 0, ""},
		"doubled":               {func(n *crowbar.Network) { n.Conduit = "1g4,1g4" }, crowbar.Invalid, "twice"},
		"same conduit":          {func(n *crowbar.Network) { n.Conduit = "1g1, 1g0" }, 0, ""},
		"overlapping conduit":   {func(n *crowbar.Network) { n.Conduit = "1g1,1g2" }, crowbar.Conflict, `"there"`},
		"vlan 0":                {func(n *crowbar.Network) { n.UseVLAN = true }, crowbar.Invalid, "vlan 0"},
		"vlan 4094":             {func(n *crowbar.Network) { n.UseVLAN, n.VLAN = true, 4094 }, 0, ""},
		"vlan 4095":             {func(n *crowbar.Network) { n.UseVLAN, n.VLAN = true, 4095 }, crowbar.Invalid, "vlan 4095"},
		"vlan unused":           {func(n *crowbar.Network) { n.VLAN = 5000 }, 0, ""},
		"team of one":           {func(n *crowbar.Network) { n.UseTeam = true }, crowbar.Invalid, "2 to 8"},
		"team of two":           {func(n *crowbar.Network) { n.UseTeam, n.Conduit = true, "1g4,1g5" }, 0, ""},
		"team of nine":          {func(n *crowbar.Network) { n.UseTeam, n.Conduit = true, nine() }, crowbar.Invalid, "2 to 8"},
		"team mode 7":           {func(n *crowbar.Network) { n.UseTeam, n.TeamMode, n.Conduit = true, 7, "1g4,1g5" }, crowbar.Invalid, "team_mode 7"},
		"team mode below 0":     {func(n *crowbar.Network) { n.UseTeam, n.TeamMode, n.Conduit = true, -1, "1g4,1g5" }, crowbar.Invalid, "team_mode -1"},
		"v6prefix":              {func(n *crowbar.Network) { n.V6Prefix = "f00d:beef:cafe:dead" }, 0, ""},
		"v6prefix of three":     {func(n *crowbar.Network) { n.V6Prefix = "f00d:beef:cafe" }, crowbar.Invalid, "four hextets"},
		"v6prefix in upper":     {func(n *crowbar.Network) { n.V6Prefix = "F00D:beef:cafe:dead" }, crowbar.Invalid, "four hextets"},
		"admin's conduit moves": {func(n *crowbar.Network) { *n = *admin; n.Conduit = "10g1" }, crowbar.Conflict, "keeps its conduit"},
		"renamed":               {func(n *crowbar.Network) { *n = *admin; n.Name = "other" }, crowbar.Conflict, "keeps its name"},
	} {
		n := &crowbar.Network{ID: w.s.Next(), Name: "new", Deployment: 1, Conduit: "1g4", TeamMode: DefaultTeamMode}
		c.edit(n)
		judge(t, what, Check(w.s, n), c.kind, c.says)
	}
	if _, err := Unmake(w.s, admin); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("network admin goes: %v", err)
	}
}

func nine() string {
	var all []string
	for i := range 9 {
		all = append(all, fmt.Sprintf("1g%d", i+10))
	}
	return strings.Join(all, ",")
}

func TestRangeRules(t *testing.T) {
	w := build(t)
	n, o := w.network("a", "1g0"), w.network("b", "1g1")
	was := w.rang(n, "host", "10.0.0.10/24", "10.0.0.20/24")
	loose := w.rang(o, "loose", "10.0.1.10/24", "10.0.1.20/24")
	loose.Overlap = true
	at := w.node("n1.a.b")
	w.put(&crowbar.Allocation{ID: w.s.Next(), Node: at.ID, Network: n.ID, Range: was.ID, Address: "10.0.0.12/24"})
	no, vlan, two := false, 5000, "1g0,1g1"
	yes := true
	for what, c := range map[string]struct {
		r    crowbar.Range
		kind crowbar.ErrorKind
		says string
	}{
		"plain":            {crowbar.Range{First: "10.0.0.21/24", Last: "10.0.0.30/24"}, 0, ""},
		"one address":      {crowbar.Range{First: "10.0.0.21/24", Last: "10.0.0.21/24"}, 0, ""},
		"no network":       {crowbar.Range{Network: 99, First: "10.0.0.21/24", Last: "10.0.0.30/24"}, crowbar.NotFound, "network 99"},
		"name is taken":    {crowbar.Range{Name: "host", First: "10.0.0.21/24", Last: "10.0.0.30/24"}, crowbar.Conflict, "already"},
		"same name beside": {crowbar.Range{Name: "loose", First: "10.0.0.21/24", Last: "10.0.0.30/24"}, 0, ""},
		"no prefix":        {crowbar.Range{First: "10.0.0.21", Last: "10.0.0.30/24"}, crowbar.Invalid, "prefix length"},
		"families":         {crowbar.Range{First: "10.0.0.21/24", Last: "fd00::1/24"}, crowbar.Invalid, "the other IPv6"},
		"subnets":          {crowbar.Range{First: "10.0.0.21/24", Last: "10.0.1.30/24"}, crowbar.Invalid, "two subnets"},
		"prefixes":         {crowbar.Range{First: "10.0.0.21/24", Last: "10.0.0.30/25"}, crowbar.Invalid, "two subnets"},
		"backwards":        {crowbar.Range{First: "10.0.0.30/24", Last: "10.0.0.21/24"}, crowbar.Invalid, "before the first"},
		"subnet itself":    {crowbar.Range{First: "10.0.2.0/24", Last: "10.0.2.9/24"}, crowbar.Invalid, "subnet itself"},
		"broadcast":        {crowbar.Range{First: "10.0.2.1/24", Last: "10.0.2.255/24"}, crowbar.Invalid, "broadcast"},
		"broadcast of /20": {crowbar.Range{First: "10.0.16.1/20", Last: "10.0.31.255/20"}, crowbar.Invalid, "broadcast"},
		"two of /31":       {crowbar.Range{First: "10.0.2.0/31", Last: "10.0.2.1/31"}, 0, ""},
		"overlaps":         {crowbar.Range{First: "10.0.0.20/24", Last: "10.0.0.30/24"}, crowbar.Conflict, `range "host" of network "a"`},
		"around":           {crowbar.Range{First: "10.0.0.1/24", Last: "10.0.0.30/24"}, crowbar.Conflict, "overlaps"},
		"overlap is said":  {crowbar.Range{Overlap: true, First: "10.0.0.20/24", Last: "10.0.0.30/24"}, 0, ""},
		"other says so":    {crowbar.Range{First: "10.0.1.15/24", Last: "10.0.1.30/24"}, 0, ""},
		"ipv6":             {crowbar.Range{First: "fd00::1/64", Last: "fd00::ffff/64"}, 0, ""},
		"own vlan":         {crowbar.Range{UseVLAN: &yes, VLAN: &vlan, First: "10.0.0.21/24", Last: "10.0.0.30/24"}, crowbar.Invalid, "vlan 5000"},
		"own vlan unused":  {crowbar.Range{UseVLAN: &no, VLAN: &vlan, First: "10.0.0.21/24", Last: "10.0.0.30/24"}, 0, ""},
		"own team":         {crowbar.Range{UseTeam: &yes, First: "10.0.0.21/24", Last: "10.0.0.30/24"}, crowbar.Invalid, "2 to 8"},
		"own conduit":      {crowbar.Range{UseTeam: &yes, Conduit: &two, First: "10.0.0.21/24", Last: "10.0.0.30/24"}, 0, ""},
		"leaves one out":   {crowbar.Range{ID: was.ID, Name: "host", First: "10.0.0.13/24", Last: "10.0.0.20/24"}, crowbar.Conflict, "10.0.0.12/24"},
		"grows":            {crowbar.Range{ID: was.ID, Name: "host", First: "10.0.0.9/24", Last: "10.0.0.20/24"}, 0, ""},
	} {
		r := c.r
		if r.ID == 0 {
			r.ID = w.s.Next()
		}
		if r.Network == 0 {
			r.Network = n.ID
		}
		if r.Name == "" {
			r.Name = "new"
		}
		judge(t, what, CheckRange(w.s, &r), c.kind, c.says)
	}
}

func TestRouterRules(t *testing.T) {
	w := build(t)
	n, o := w.network("a", "1g0"), w.network("b", "1g1")
	was := &crowbar.Router{ID: w.s.Next(), Network: n.ID, Address: "10.0.0.1/24", Pref: 10}
	w.put(was)
	for what, c := range map[string]struct {
		r    crowbar.Router
		kind crowbar.ErrorKind
		says string
	}{
		"plain":      {crowbar.Router{Network: o.ID, Address: "10.10.15.1/24"}, 0, ""},
		"unmasked":   {crowbar.Router{Network: o.ID, Address: "10.10.17.1"}, 0, ""},
		"no network": {crowbar.Router{Network: 99, Address: "10.10.17.1"}, crowbar.NotFound, "network 99"},
		"second":     {crowbar.Router{Network: n.ID, Address: "10.10.17.1"}, crowbar.Conflict, "router already"},
		"no address": {crowbar.Router{Network: o.ID, Address: "gateway"}, crowbar.Invalid, "gateway"},
		"odd prefix": {crowbar.Router{Network: o.ID, Address: "10.0.0.1/99"}, crowbar.Invalid, "/99"},
		"moves":      {crowbar.Router{ID: was.ID, Network: o.ID, Address: "10.0.0.1/24"}, crowbar.Conflict, "stays in its network"},
		"other pref": {crowbar.Router{ID: was.ID, Network: n.ID, Address: "10.0.0.1/24", Pref: 100}, 0, ""},
	} {
		r := c.r
		if r.ID == 0 {
			r.ID = w.s.Next()
		}
		judge(t, what, CheckRouter(w.s, &r), c.kind, c.says)
	}
}

// give allocates and says which address it was, "-" for none.
func (w *world) give(r *crowbar.Range, node *crowbar.Node, suggestion string) string {
	w.t.Helper()
	made, err := NewAllocator(w.s).Allocate(r, node.ID, suggestion)
	if err != nil {
		w.t.Fatal(err)
	}
	if made == nil {
		return "-"
	}
	w.put(made)
	return made.Address
}

func TestAllocateChooses(t *testing.T) {
	w := build(t)
	n, o, far := w.network("a", "1g0"), w.network("b", "1g1"), w.network("far", "1g2")
	far.Group = "another"
	w.put(&crowbar.Router{ID: w.s.Next(), Network: n.ID, Address: "10.0.0.11/24"})
	host := w.rang(n, "host", "10.0.0.10/24", "10.0.0.15/24")
	other, v6 := w.rang(o, "host", "10.1.0.0/16", "10.1.0.200/16"), w.rang(n, "host-v6", "fd00:0:0:1::1/64", "fd00:0:0:1:ffff:ffff:ffff:fffe/64")
	other.First = "10.1.0.1/16"
	away := w.rang(far, "host", "10.2.0.1/24", "10.2.0.200/24")
	n1, n2, n3, n4 := w.node("n1.a.b"), w.node("n2.a.b"), w.node("n3.a.b"), w.node("n4.a.b")
	n2.Hint = crowbar.Data{"a-v4addr": "10.0.0.15", "a-v6addr": "fd00:0:0:1::15/64"}
	n3.Hint = crowbar.Data{"a-v4addr": "10.0.0.15"} // taken by then
	n4.Hint = crowbar.Data{"a-v4addr": "10.0.0.99"} // not in the range
	for _, c := range []struct {
		what       string
		r          *crowbar.Range
		node       *crowbar.Node
		suggestion string
		want       string
	}{
		{"first free", host, n1, "", "10.0.0.10/24"},
		{"what it has", host, n1, "10.0.0.14", "-"},
		{"hint", host, n2, "", "10.0.0.15/24"},
		{"hint for IPv6", v6, n2, "", "fd00:0:0:1::15/64"},
		{"hint is taken, router is left out", host, n3, "", "10.0.0.12/24"},
		{"suggestion before hint", host, n4, "10.0.0.14/24", "10.0.0.14/24"},
		{"same host part", other, n2, "", "10.1.0.15/16"},
		{"suggestion before host part", other, n3, "10.1.0.77", "10.1.0.77/16"},
		{"no host part of another group", away, n2, "", "10.2.0.1/24"},
		{"IPv6 has no host part of IPv4", v6, n1, "", "fd00:0:0:1::1/64"},
	} {
		if got := w.give(c.r, c.node, c.suggestion); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	last := w.node("n5.a.b")
	if got := w.give(host, last, ""); got != "10.0.0.13/24" {
		t.Errorf("the gap is not filled: %s", got)
	}
	late := w.node("n6.a.b")
	_, err := NewAllocator(w.s).Allocate(host, late.ID, "10.0.0.16")
	judge(t, "full", err, crowbar.Conflict, "out of addresses!")
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Drop: w.s.AllocationAt("10.0.0.12")})
	if got := w.give(host, w.node("n7.a.b"), ""); got != "10.0.0.12/24" {
		t.Errorf("what was given back is not given again: %s", got)
	}
}

// One allocator gives many addresses without looking at those that it gave before.
func TestAllocatorGoesOn(t *testing.T) {
	w := build(t)
	n := w.network("a", "1g0")
	r := w.rang(n, "host", "10.0.0.1/16", "10.0.255.254/16")
	a := NewAllocator(w.s)
	for i := range 300 {
		id := crowbar.ID(i + 1000)
		a.s = a.s.Apply(a.s.Rev(), crowbar.Change{Put: &crowbar.Node{ID: id, Name: fmt.Sprintf("n%d", i)}})
		got, err := a.Allocate(r, id, "")
		want := fmt.Sprintf("10.0.%d.%d/16", (i+1)/256, (i+1)%256)
		if err != nil || got.Address != want {
			t.Fatalf("%d: %v %v, want %s", i, got, err, want)
		}
	}
}

func TestMakeAndUnmake(t *testing.T) {
	w := build(t)
	n := w.network("foo2", "1g0")
	n.V6Prefix = "fd00:1:2:3"
	before := w.s
	w.apply(Make(w.s, n))
	r := w.s.RoleNamed("network-foo2")
	if r == nil || !r.Flags.Implicit || !r.Flags.Milestone || r.Jig != "noop" || r.Network != n.ID {
		t.Fatalf("role %+v", r)
	}
	own := 0
	for a := range w.s.Attribs() {
		if a.Role == r.ID {
			own++
			if a.Map != "crowbar/network/foo2/"+strings.TrimPrefix(a.Name, "network-foo2_") || a.Writable {
				t.Errorf("attrib %+v", a)
			}
		}
	}
	if own != 9 {
		t.Errorf("%d attribs, want 9", own)
	}
	for _, name := range []string{"hint-foo2-v4addr", "hint-foo2-v6addr"} {
		if a := w.s.AttribNamed(name); a == nil || a.Role != 0 || !a.Writable {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if v6 := w.s.RangeNamed(n.ID, "host-v6"); v6 == nil || CheckRange(w.s, v6) != nil {
		t.Errorf("host-v6: %+v: %v", v6, CheckRange(w.s, v6))
	}
	_, err := Make(w.s, n)
	judge(t, "twice", err, crowbar.Conflict, "already")

	at := w.node("n1.a.b")
	bound := &crowbar.NodeRole{ID: w.s.Next(), Node: at.ID, Role: r.ID, Deployment: 1}
	w.put(bound)
	_, err = Unmake(w.s, n)
	judge(t, "bound", err, crowbar.Conflict, "unbind it first")
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Drop: bound})
	user := &crowbar.Role{ID: w.s.Next(), Name: "user", Wants: []string{"network-foo2_addresses"}}
	w.put(user)
	_, err = Unmake(w.s, n)
	judge(t, "wanted", err, crowbar.Conflict, `role "user"`)
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Drop: user})
	w.apply(Unmake(w.s, n))
	for _, k := range crowbar.Kinds {
		want := before.Count(k)
		if k == crowbar.KindNetwork {
			want--
		}
		if k == crowbar.KindNode {
			want++
		}
		if got := w.s.Count(k); got != want {
			t.Errorf("%d %s are left, want %d", got, k, want)
		}
	}
}

func TestMakeLinksToTheNetworkBarclamp(t *testing.T) {
	w := build(t)
	w.put(&crowbar.Role{ID: w.s.Next(), Name: "network-server", Cohort: 3})
	w.put(&crowbar.Attrib{ID: w.s.Next(), Name: "network-wanted-config"})
	n := w.network("a", "1g0")
	w.apply(Make(w.s, n))
	if r := w.s.RoleNamed("network-a"); fmt.Sprint(r.Requires, r.Wants, r.Cohort) != "[network-server] [network-wanted-config] 4" {
		t.Errorf("role %+v", r)
	}
}

func TestPrefixOfIPv6(t *testing.T) {
	for _, random := range [][7]byte{{}, {255, 255, 255, 255, 255, 255, 255}, {0, 1, 2, 3, 4, 5, 6}} {
		if p := Prefix(random); !prefixRule.MatchString(p) || !strings.HasPrefix(p, "fd") {
			t.Errorf("%v: %s", random, p)
		}
	}
}

func TestPrefixChanges(t *testing.T) {
	w := build(t)
	n := w.network("a", "1g0")
	with := *n
	with.V6Prefix = "fd00:1:2:3"
	w.apply(Prefixed(w.s, n, &with))
	r := w.s.RangeNamed(n.ID, "host-v6")
	if r == nil || r.First != "fd00:1:2:3::1/64" {
		t.Fatalf("%+v", r)
	}
	other := with
	other.V6Prefix = "fd00:1:2:4"
	held := &crowbar.Allocation{ID: w.s.Next(), Node: w.node("n1.a.b").ID, Network: n.ID, Range: r.ID, Address: "fd00:1:2:3::1/64"}
	w.put(held)
	_, err := Prefixed(w.s, &with, &other)
	judge(t, "in use", err, crowbar.Conflict, "fd00:1:2:3::1/64")
	w.s = w.s.Apply(w.s.Rev(), crowbar.Change{Drop: held})
	w.apply(Prefixed(w.s, &with, &other))
	if r = w.s.RangeNamed(n.ID, "host-v6"); r == nil || r.First != "fd00:1:2:4::1/64" {
		t.Errorf("%+v", r)
	}
	w.apply(Prefixed(w.s, &other, n))
	if r = w.s.RangeNamed(n.ID, "host-v6"); r != nil {
		t.Errorf("%+v is left", r)
	}
}
