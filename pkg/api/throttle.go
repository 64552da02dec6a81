package api

import (
	"container/list"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How many wrong credentials are taken within the time that follows the last of them, before nothing more is.
const (
	strikes        = 6  // for one account from one address, as OpenCrowbar had it for an account
	addressStrikes = 20 // from one address, for whomever
	accountStrikes = 60 // for one account, from wherever; from where it was right of late, it may still come
	locked         = 10 * time.Minute
	mostPeers      = 10000 // of each sort that is remembered; the one that was not seen for longest is forgotten
	longestName    = 255   // of a user
)

// throttle counts wrong credentials: by where they come from, whom they are for, and both. Whoever is on this machine shares
// its address with everybody there: those are counted by account alone.
type throttle struct {
	mu                         sync.Mutex
	pairs, addresses, accounts recent[strike]
	good                       recent[time.Time] // pairs that were right
}

type strike struct {
	count int
	since time.Time
}

type peer struct{ address, account string }

// source is an address as it is counted: one IPv6 host has as many addresses as it likes of the same 64 bits.
func source(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is6() && !a.IsLoopback() {
		p, _ := a.Prefix(64) // of an address that has 128 bits
		return p.String()
	}
	return a.String()
}

func here(source string) bool {
	a, err := netip.ParseAddr(source)
	return err == nil && a.IsLoopback()
}

// paired is who is counted together; account is "" where credentials name none.
func paired(address, account string) peer {
	if len(account) > longestName {
		account = account[:longestName]
	}
	return peer{source(address), strings.ToLower(account)}
}

// wait is how long nothing is taken from there for that account.
func (t *throttle) wait(address, account string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := paired(address, account)
	left := max(t.addresses.get(p.address).left(addressStrikes, now), t.pairs.get(p).left(strikes, now))
	if _, well := t.good.look(p); account != "" && !well {
		left = max(left, t.accounts.get(p.account).left(accountStrikes, now))
	}
	return left
}

func (s strike) left(most int, now time.Time) time.Duration {
	if s.count < most {
		return 0
	}
	return max(0, locked-now.Sub(s.since))
}

// failed notes wrong credentials.
func (t *throttle) failed(address, account string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := paired(address, account)
	if !here(p.address) {
		t.addresses.put(p.address, t.addresses.get(p.address).more(now))
	}
	if account != "" {
		t.pairs.put(p, t.pairs.get(p).more(now))
		t.accounts.put(p.account, t.accounts.get(p.account).more(now))
	}
}

func (s strike) more(now time.Time) strike {
	if now.Sub(s.since) >= locked {
		s.count = 0
	}
	return strike{s.count + 1, now}
}

// passed notes that the credentials were good.
func (t *throttle) passed(address, account string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := paired(address, account)
	t.pairs.drop(p)
	t.good.put(p, now)
}

// recent remembers so many of what it was told of last.
type recent[V any] struct {
	at    map[any]*list.Element
	order list.List // newest first
}

type remembered[V any] struct {
	key   any
	value V
}

func (r *recent[V]) look(key any) (v V, ok bool) {
	e := r.at[key]
	if e == nil {
		return v, false
	}
	return e.Value.(remembered[V]).value, true
}

func (r *recent[V]) get(key any) V { v, _ := r.look(key); return v }

func (r *recent[V]) put(key any, v V) {
	if e := r.at[key]; e != nil {
		e.Value = remembered[V]{key, v}
		r.order.MoveToFront(e)
		return
	}
	if r.at == nil {
		r.at = map[any]*list.Element{}
	}
	r.at[key] = r.order.PushFront(remembered[V]{key, v})
	if r.order.Len() > mostPeers {
		r.drop(r.order.Back().Value.(remembered[V]).key)
	}
}

func (r *recent[V]) drop(key any) {
	if e := r.at[key]; e != nil {
		r.order.Remove(e)
		delete(r.at, key)
	}
}

// throttled is that nothing is taken for a while.
type throttled struct{ wait time.Duration }

// Error says for how long.
func (t *throttled) Error() string {
	return "too many wrong passwords: nothing more is taken for " + t.wait.Round(time.Second).String()
}

func tooOften(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
	write(w, http.StatusTooManyRequests, "framework.error", map[string]any{"status": http.StatusTooManyRequests, "kind": "unavailable",
		"message": (&throttled{wait}).Error()})
}
