package nameserver

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Served is the records of the zone of a name as they would be given out now, in no rotated order; nil where it is not served.
func (s *Server) Served(name string) []crowbar.PoolAnswer {
	a := s.zones.Load().zones[dns.CanonicalName(name)]
	if a == nil {
		return nil
	}
	at := a.soa.Hdr.Name
	ask := func(name string, kind uint16) dns.Question {
		return dns.Question{Name: name, Qtype: kind, Qclass: dns.ClassINET}
	}
	all := append([]dns.RR{&a.soa}, s.apexAnswer(a, ask(at, dns.TypeNS))...)
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		all = append(all, addresses(ask(at, kind), a.well(), a.ttl())...)
	}
	for _, host := range sortedHosts(a) {
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
			all = append(all, addresses(ask(host, kind), a.hosts[host], a.ttl())...)
		}
	}
	out := make([]crowbar.PoolAnswer, len(all))
	for i, rr := range all {
		h := rr.Header()
		out[i] = crowbar.PoolAnswer{Name: h.Name, Type: dns.TypeToString[h.Rrtype], TTL: int(h.Ttl), Value: strings.TrimPrefix(rr.String(), h.String())}
	}
	return out
}

func sortedHosts(a *apex) []string {
	out := make([]string, 0, len(a.hosts))
	for h := range a.hosts {
		out = append(out, h)
	}
	slices.Sort(out)
	return out
}
