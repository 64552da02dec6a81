package nameserver

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// ednsSize is the largest answer that is sent over UDP: it passes every path unfragmented.
const ednsSize = 1232

// answer is the reply to a question; nil = none.
func (s *Server) answer(ctx context.Context, q *dns.Msg, udp bool) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative, m.RecursionAvailable = false, len(s.cfg.Upstream) > 0
	opt := q.IsEdns0()
	size := dns.MinMsgSize
	if opt != nil {
		size = max(size, min(int(opt.UDPSize()), ednsSize))
		m.SetEdns0(ednsSize, opt.Do())
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case q.Question[0].Qclass != dns.ClassINET:
		m.Rcode = dns.RcodeRefused
		return m
	}
	a := s.zones.Load().find(dns.CanonicalName(q.Question[0].Name))
	if a == nil {
		if r := s.forward(ctx, q, udp); r != nil {
			m = r
		} else {
			m.Rcode = dns.RcodeRefused
		}
	} else {
		s.fill(m, a)
	}
	if udp {
		m.Truncate(size)
	} else {
		m.Truncate(dns.MaxMsgSize)
	}
	return m
}

// fill answers with authority.
func (s *Server) fill(m *dns.Msg, a *apex) {
	m.Authoritative = true
	q := m.Question[0]
	name := dns.CanonicalName(q.Name)
	host, isHost := a.hosts[name]
	switch {
	case q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR:
		m.Authoritative, m.Rcode = false, dns.RcodeRefused
		return
	case name == a.soa.Hdr.Name:
		m.Answer = s.apexAnswer(a, q)
	case isHost:
		m.Answer = addresses(q, s.rotate(host), a.ttl())
	default:
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		soa := a.soa
		m.Ns = []dns.RR{&soa}
	}
}

// apexAnswer is the records of the pool's own name. ANY gets one set of them.
func (s *Server) apexAnswer(a *apex, q dns.Question) []dns.RR {
	switch q.Qtype {
	case dns.TypeSOA:
		soa := a.soa
		soa.Hdr.Name = q.Name
		return []dns.RR{&soa}
	case dns.TypeNS:
		var out []dns.RR
		for _, host := range a.servers {
			out = append(out, &dns.NS{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: a.ttl()}, Ns: host})
		}
		return out
	}
	return addresses(q, s.rotate(a.well()), a.ttl())
}

// well is the members that are well; where none is, all: an answer that may work is better than none.
func (a *apex) well() []netip.Addr {
	if a.pool.Well == nil {
		return a.members
	}
	var out []netip.Addr
	for _, m := range a.members {
		if a.pool.Well(m.String()) {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		return a.members
	}
	return out
}

func (s *Server) rotate(list []netip.Addr) []netip.Addr {
	if len(list) < 2 {
		return list
	}
	from := int(s.turn.Add(1) % uint32(len(list)))
	return append(append(make([]netip.Addr, 0, len(list)), list[from:]...), list[:from]...)
}

// addresses is the A or AAAA records of a name, in the question's own case; for ANY, A if there are any.
func addresses(q dns.Question, list []netip.Addr, ttl uint32) []dns.RR {
	var v4, v6 []dns.RR
	for _, ip := range list {
		h := dns.RR_Header{Name: q.Name, Class: dns.ClassINET, Ttl: ttl}
		switch {
		case ip.Is4():
			h.Rrtype = dns.TypeA
			v4 = append(v4, &dns.A{Hdr: h, A: net.IP(ip.AsSlice())})
		case ip.Is6():
			h.Rrtype = dns.TypeAAAA
			v6 = append(v6, &dns.AAAA{Hdr: h, AAAA: net.IP(ip.AsSlice())})
		}
	}
	switch {
	case q.Qtype == dns.TypeA, q.Qtype == dns.TypeANY && len(v4) > 0:
		return v4
	case q.Qtype == dns.TypeAAAA, q.Qtype == dns.TypeANY:
		return v6
	}
	return nil
}

// forward asks the upstream resolvers in turn; nil where there are none, or recursion is not wanted.
func (s *Server) forward(ctx context.Context, q *dns.Msg, udp bool) *dns.Msg {
	if len(s.cfg.Upstream) == 0 || !q.RecursionDesired {
		return nil
	}
	network := "tcp"
	if udp {
		network = "udp"
	}
	ask := q.Copy()
	for _, up := range s.cfg.Upstream {
		if _, _, err := net.SplitHostPort(up); err != nil {
			up = net.JoinHostPort(up, "53")
		}
		c := dns.Client{Net: network, Timeout: 2 * time.Second, UDPSize: ednsSize}
		ask.Id = dns.Id()
		r, _, err := c.ExchangeContext(ctx, ask, up)
		if err != nil || r == nil {
			continue
		}
		r.Id = q.Id
		return r
	}
	m := new(dns.Msg)
	m.SetRcode(q, dns.RcodeServerFailure)
	return m
}
