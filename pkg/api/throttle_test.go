package api

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// TestThrottleCounts holds what is counted together to one table: a row is a try with wrong credentials, or with right ones.
func TestThrottleCounts(t *testing.T) {
	now := time.Now()
	wrong := func(n int, address, account string) func(*throttle) {
		return func(t *throttle) {
			for range n {
				t.failed(address, account, now)
			}
		}
	}
	spread := func(n, each int, account string) func(*throttle) {
		return func(t *throttle) {
			for i := range n {
				wrong(each, fmt.Sprintf("10.1.%d.%d", i/250, i%250), account)(t)
			}
		}
	}
	for _, c := range []struct {
		name             string
		did              []func(*throttle)
		address, account string
		after            time.Duration
		waits            bool
	}{
		{"five", []func(*throttle){wrong(5, "10.0.0.1", "ann")}, "10.0.0.1", "ann", 0, false},
		{"six", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.1", "ann", 0, true},
		{"another case of the name", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.1", "ANN", 0, true},
		{"another address", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.2", "ann", 0, false},
		{"another account", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.1", "bob", 0, false},
		{"later", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.1", "ann", 10 * time.Minute, false},
		{"not later enough", []func(*throttle){wrong(6, "10.0.0.1", "ann")}, "10.0.0.1", "ann", 10*time.Minute - time.Second, true},
		{"right in between", []func(*throttle){wrong(5, "10.0.0.1", "ann"), func(t *throttle) { t.passed("10.0.0.1", "ann", now) }, wrong(5, "10.0.0.1", "ann")}, "10.0.0.1", "ann", 0, false},
		{"many accounts of one address", []func(*throttle){wrong(5, "10.0.0.1", "ann"), wrong(5, "10.0.0.1", "bob"), wrong(5, "10.0.0.1", "cid"), wrong(5, "10.0.0.1", "dan")}, "10.0.0.1", "eve", 0, true},
		{"no account", []func(*throttle){wrong(20, "10.0.0.1", "")}, "10.0.0.1", "", 0, true},
		{"one host of IPv6", []func(*throttle){wrong(6, "2001:db8::1", "ann")}, "2001:db8::ffff:2", "ann", 0, true},
		{"another one", []func(*throttle){wrong(6, "2001:db8::1", "ann")}, "2001:db8:0:1::1", "ann", 0, false},
		{"IPv4 in IPv6", []func(*throttle){wrong(6, "::ffff:10.0.0.1", "ann")}, "10.0.0.1", "ann", 0, true},
		{"on this machine", []func(*throttle){wrong(30, "127.0.0.1", "")}, "127.0.0.1", "", 0, false},
		{"on this machine, IPv6", []func(*throttle){wrong(30, "::1", "")}, "::1", "", 0, false},
		{"an account on this machine", []func(*throttle){wrong(6, "::1", "ann")}, "::1", "ann", 0, true},
		{"one account from everywhere", []func(*throttle){spread(12, 5, "ann")}, "10.9.9.9", "ann", 0, true},
		{"one account from everywhere, another one", []func(*throttle){spread(12, 5, "ann")}, "10.9.9.9", "bob", 0, false},
		{"one account from everywhere, where it was right", []func(*throttle){func(t *throttle) { t.passed("10.9.9.9", "Ann", now) }, spread(12, 5, "ann")}, "10.9.9.9", "ann", 0, false},
	} {
		th := &throttle{}
		for _, do := range c.did {
			do(th)
		}
		if wait := th.wait(c.address, c.account, now.Add(c.after)); wait > 0 != c.waits || wait > locked {
			t.Errorf("%s: it waits %s, want that it waits: %t", c.name, wait, c.waits)
		}
	}
}

// TestThrottleIsBounded: a million addresses, each for an account of its own, are not remembered.
func TestThrottleIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	th, now := &throttle{}, time.Now()
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1_000_000 {
		a := netip.AddrFrom4([4]byte{20, byte(i >> 16), byte(i >> 8), byte(i)})
		account := ""
		if i < 5*mostPeers { // accounts and pairs take most of the time
			account = fmt.Sprintf("user%d", i)
			th.passed(a.String(), account, now)
		}
		th.failed(a.String(), account, now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d KiB", grown>>10)
	for name, n := range map[string]int{"pairs": len(th.pairs.at), "addresses": len(th.addresses.at), "accounts": len(th.accounts.at), "good": len(th.good.at)} {
		if n > mostPeers {
			t.Errorf("%d %s are remembered, want %d at most", n, name, mostPeers)
		}
	}
	if grown > 16<<20 {
		t.Errorf("they take %d KiB", grown>>10)
	}
	th.failed("10.0.0.1", "ann", now)
	if got := th.pairs.get(paired("10.0.0.1", "ann")).count; got != 1 {
		t.Errorf("a new one is counted %d times", got)
	}
	runtime.KeepAlive(th)
}
