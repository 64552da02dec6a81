package nameserver

import (
	"sort"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

func TestFilteredNames(t *testing.T) {
	s, addr := start(t, Config{}, Pool{Pool: pool(2)})
	names := zone.Names{Zone: "example.com", Hosts: map[string][]string{"n1": {"10.9.0.1", "fd00::1"}, "all": {"10.9.0.1", "10.9.0.2"}}}
	s.Set([]Pool{{Pool: pool(2)}}, names, zone.Names{Zone: "api.kubeclamp.internal", Hosts: map[string][]string{"n1": {"10.9.0.3"}}})
	got := func(name string, kind uint16) string {
		r := ask(t, "udp", addr, question(name, kind))
		out := []string{dns.RcodeToString[r.Rcode]}
		for _, rr := range r.Answer {
			out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		sort.Strings(out[1:])
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"n1.example.com.", dns.TypeA, "NOERROR 10.9.0.1"},
		{"N1.Example.com.", dns.TypeAAAA, "NOERROR fd00::1"},
		{"all.example.com.", dns.TypeA, "NOERROR 10.9.0.1 10.9.0.2"},
		{"all.example.com.", dns.TypeAAAA, "NOERROR"},
		{"n2.example.com.", dns.TypeA, "NXDOMAIN"},
		{"example.com.", dns.TypeA, "NOERROR"},
		{"com.", dns.TypeA, "REFUSED"},
		{"n1.api.kubeclamp.internal.", dns.TypeA, "NOERROR 10.9.0.3"}, // a pool has the zone's own name
		{name, dns.TypeA, "NOERROR 10.0.0.1 10.0.0.2"},
	} {
		if text := got(c.name, c.kind); text != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.kind], text, c.want)
		}
	}
	serial := func() uint32 {
		return ask(t, "udp", addr, question("example.com.", dns.TypeSOA)).Answer[0].(*dns.SOA).Serial
	}
	was := serial()
	s.Set([]Pool{{Pool: pool(2)}}, names)
	if serial() == was {
		t.Error("a zone went, and the serial did not grow")
	}
	was = serial()
	s.Set([]Pool{{Pool: pool(2)}}, names)
	if serial() != was {
		t.Error("nothing changed, and the serial grew")
	}
}
