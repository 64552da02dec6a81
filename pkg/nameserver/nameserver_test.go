package nameserver

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/kubeclamp/kubeclamp/pkg/zone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "api.kubeclamp.internal."

func pool(n int) zone.Pool {
	p := zone.Pool{Name: "api.kubeclamp.internal", Port: 6443, TTL: 2, Servers: []zone.Host{{Node: "n1", Address: "10.0.0.1"}}}
	for i := range n {
		p.Members = append(p.Members, zone.Host{Node: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("10.0.0.%d", i+1)})
	}
	return p
}

// start serves on loopback until the test ends.
func start(t *testing.T, cfg Config, pools ...Pool) (*Server, string) {
	t.Helper()
	cfg.Listen, cfg.Log = []string{"127.0.0.1:0"}, slog.New(slog.NewTextHandler(io.Discard, nil))
	s := New(cfg)
	s.Set(pools)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	for range 1000 {
		if len(s.Addrs()) == 1 {
			return s, s.Addrs()[0].String()
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the server does not listen")
	return nil, ""
}

func ask(t *testing.T, network, addr string, q *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 2 * time.Second}
	r, _, err := c.Exchange(q, addr)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func question(name string, kind uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, kind) }

func TestAnswers(t *testing.T) {
	_, addr := start(t, Config{}, Pool{Pool: pool(3)}, Pool{Pool: zone.Pool{Name: "empty.kubeclamp.internal", TTL: 2}})
	edns := func(m *dns.Msg) *dns.Msg { return m.SetEdns0(4096, true) }
	for _, c := range []struct {
		name    string
		q       *dns.Msg
		rcode   int
		answers int
		soa     bool // in the authority section
		aa      bool
	}{
		{"A", question(name, dns.TypeA), 0, 3, false, true},
		{"AAAA", question(name, dns.TypeAAAA), 0, 0, true, true},
		{"ANY", question(name, dns.TypeANY), 0, 3, false, true},
		{"SOA", question(name, dns.TypeSOA), 0, 1, false, true},
		{"NS", question(name, dns.TypeNS), 0, 1, false, true},
		{"a type of the future", question(name, 65000), 0, 0, true, true},
		{"name server", question("ns-n1."+name, dns.TypeA), 0, 1, false, true},
		{"name server's AAAA", question("ns-n1."+name, dns.TypeAAAA), 0, 0, true, true},
		{"below", question("x."+name, dns.TypeA), dns.RcodeNameError, 0, true, true},
		{"beside", question("kubeclamp.internal.", dns.TypeA), dns.RcodeRefused, 0, false, false},
		{"elsewhere", question("example.com.", dns.TypeA), dns.RcodeRefused, 0, false, false},
		{"empty pool", question("empty.kubeclamp.internal.", dns.TypeA), 0, 0, true, true},
		{"AXFR over UDP", question(name, dns.TypeAXFR), dns.RcodeRefused, 0, false, false},
		{"EDNS", edns(question(name, dns.TypeA)), 0, 3, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ask(t, "udp", addr, c.q)
			if r.Rcode != c.rcode || len(r.Answer) != c.answers || (len(r.Ns) == 1) != c.soa || r.Authoritative != c.aa {
				t.Errorf("answer is\n%s", r)
			}
			if (r.IsEdns0() != nil) != (c.q.IsEdns0() != nil) {
				t.Errorf("OPT is in one of question and answer: %s", r)
			}
			for _, rr := range r.Answer {
				if rr.Header().Ttl != 2 {
					t.Errorf("ttl is %d", rr.Header().Ttl)
				}
			}
		})
	}
}

func TestEDNS(t *testing.T) {
	_, addr := start(t, Config{}, Pool{Pool: pool(3)})
	q := question(name, dns.TypeA).SetEdns0(4096, true)
	q.IsEdns0().SetVersion(1)
	r := ask(t, "udp", addr, q)
	if r.Rcode != dns.RcodeBadVers || r.IsEdns0().Version() != 0 || len(r.Answer) != 0 {
		t.Errorf("version 1 is answered\n%s", r)
	}
	q = question(name, dns.TypeA).SetEdns0(4096, true)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_LOCAL{Code: dns.EDNS0LOCALSTART, Data: []byte{1}})
	r = ask(t, "udp", addr, q)
	if o := r.IsEdns0(); o.UDPSize() != 1232 || len(o.Option) != 0 || !o.Do() {
		t.Errorf("OPT is %s", o)
	}
}

func TestOddQuestions(t *testing.T) {
	_, addr := start(t, Config{}, Pool{Pool: pool(3)})
	q := question(name, dns.TypeA)
	q.Opcode = dns.OpcodeStatus
	if r := ask(t, "udp", addr, q); r.Rcode != dns.RcodeNotImplemented {
		t.Errorf("STATUS is answered\n%s", r)
	}
	q = question("version.bind.", dns.TypeTXT)
	q.Question[0].Qclass = dns.ClassCHAOS
	if r := ask(t, "udp", addr, q); r.Rcode != dns.RcodeRefused {
		t.Errorf("CHAOS is answered\n%s", r)
	}
	q = question(name, dns.TypeA)
	q.Question = append(q.Question, q.Question[0])
	if r := ask(t, "udp", addr, q); r.Rcode != dns.RcodeFormatError {
		t.Errorf("two questions are answered\n%s", r)
	}
	q = question("API.KubeClamp.INTERNAL.", dns.TypeA)
	r := ask(t, "udp", addr, q)
	if r.Question[0].Name != "API.KubeClamp.INTERNAL." || r.Answer[0].Header().Name != "API.KubeClamp.INTERNAL." {
		t.Errorf("case was not kept\n%s", r)
	}
	q = question(name, dns.TypeA)
	q.Zero, q.AuthenticatedData = true, true
	if r := ask(t, "udp", addr, q); r.Zero || r.AuthenticatedData {
		t.Errorf("bits were echoed\n%s", r)
	}
}

func TestTruncation(t *testing.T) {
	_, addr := start(t, Config{}, Pool{Pool: pool(100)})
	r := ask(t, "udp", addr, question(name, dns.TypeA))
	r.Compress = true
	if !r.Truncated || r.Len() > 512 {
		t.Errorf("%d bytes, TC %v", r.Len(), r.Truncated)
	}
	if r = ask(t, "tcp", addr, question(name, dns.TypeA)); r.Truncated || len(r.Answer) != 100 {
		t.Errorf("over TCP: %d answers, TC %v", len(r.Answer), r.Truncated)
	}
}

func TestRotation(t *testing.T) {
	_, addr := start(t, Config{}, Pool{Pool: pool(3)})
	first := map[string]int{}
	for range 30 {
		first[ask(t, "udp", addr, question(name, dns.TypeA)).Answer[0].(*dns.A).A.String()]++
	}
	for _, n := range first {
		if len(first) != 3 || n != 10 {
			t.Fatalf("first answers are %v", first)
		}
	}
}

func TestHealth(t *testing.T) {
	var sick atomic.Value
	sick.Store("")
	well := func(a string) bool { return !strings.Contains(sick.Load().(string), a) }
	s, addr := start(t, Config{}, Pool{Pool: pool(3), Well: well})
	serial := func() uint32 { return ask(t, "udp", addr, question(name, dns.TypeSOA)).Answer[0].(*dns.SOA).Serial }
	was := serial()
	for _, c := range []struct {
		sick string
		want int
	}{{"", 3}, {"10.0.0.2", 2}, {"10.0.0.1 10.0.0.2", 1}, {"10.0.0.1 10.0.0.2 10.0.0.3", 3}} {
		sick.Store(c.sick)
		if got := len(ask(t, "udp", addr, question(name, dns.TypeA)).Answer); got != c.want {
			t.Errorf("%q sick: %d answers, want %d", c.sick, got, c.want)
		}
	}
	s.Set([]Pool{{Pool: pool(3), Well: well}})
	if serial() != was {
		t.Error("the serial moved, and nothing had changed")
	}
	s.Set([]Pool{{Pool: pool(4), Well: well}})
	if serial() <= was {
		t.Error("the serial did not grow with the membership")
	}
}

func TestUpstream(t *testing.T) {
	_, upstream := start(t, Config{}, Pool{Pool: zone.Pool{Name: "example.com", TTL: 5, Members: []zone.Host{{Node: "a", Address: "192.0.2.1"}}}})
	_, addr := start(t, Config{Upstream: []string{"127.0.0.1:1", upstream}}, Pool{Pool: pool(3)})
	r := ask(t, "udp", addr, question("example.com.", dns.TypeA))
	if len(r.Answer) != 1 || r.Answer[0].(*dns.A).A.String() != "192.0.2.1" || !r.RecursionAvailable && r.Rcode != 0 {
		t.Errorf("answer is\n%s", r)
	}
	q := question("example.com.", dns.TypeA)
	q.RecursionDesired = false
	if r = ask(t, "udp", addr, q); r.Rcode != dns.RcodeRefused {
		t.Errorf("without recursion:\n%s", r)
	}
	_, deaf := start(t, Config{Upstream: []string{"127.0.0.1:1"}})
	if r = ask(t, "udp", deaf, question("example.com.", dns.TypeA)); r.Rcode != dns.RcodeServerFailure {
		t.Errorf("with a dead upstream:\n%s", r)
	}
}

func TestListenRefused(t *testing.T) {
	s := New(Config{Listen: []string{"127.0.0.1:0", "192.0.2.77:53"}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err := s.Run(context.Background()); err == nil {
		t.Error("it listens on an address that is not ours")
	}
}
