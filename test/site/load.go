package site

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/lb"
	"github.com/kubeclamp/kubeclamp/test/site/kubeapi"
)

const (
	loadSpace = "kubeclamp-load"
	writers   = 4
	readers   = 4
	keys      = 50 // objects that each writer changes in turn
	askEvery  = 100 * time.Millisecond
	askLimit  = 10 * time.Second // a kubelet's
	mostKept  = 10               // errors
)

// Load is programs that read and write through a balancer of their own, which is the one that runs on nodes: whatever is done
// to nodes, they stay. It begins with StartLoad and ends with Stop.
type Load struct {
	Balancer *lb.Balancer

	conf kubeapi.Client
	lb   lb.Config
	http map[int]*http.Client // of each program
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu    sync.Mutex
	seen  Seen
	last  map[int]time.Time // when each program last had an answer
	acked map[string]int    // object -> the newest value whose write was acknowledged
}

// Seen is how the programs fared since the last Reset.
type Seen struct {
	Reads, Writes int
	Failed        int
	Errors        []string      // the first of them
	Gap           time.Duration // longest that one program was without an answer
	GapEnd        time.Time     // when that was over
	Slow          time.Duration // longest that one request took
}

func (s Seen) String() string {
	return fmt.Sprintf("%d reads, %d writes, %d failed, longest gap %.2f s (until %s), slowest request %.2f s",
		s.Reads, s.Writes, s.Failed, s.Gap.Seconds(), s.GapEnd.Format(time.TimeOnly), s.Slow.Seconds())
}

// lull notes a time without an answer, if it is the longest.
func (s *Seen) lull(from, until time.Time) {
	if gap := until.Sub(from); gap > s.Gap {
		s.Gap, s.GapEnd = gap, until
	}
}

// StartLoad starts the programs on this machine. from is any node whose balancer's config they take over.
func (c Cluster) StartLoad(ctx context.Context, from string) (*Load, error) {
	kubeconfig, err := c.CLI(ctx, nil, "kubeconfig")
	if err != nil {
		return nil, err
	}
	b, err := c.Balancing(ctx, from)
	if err != nil {
		return nil, err
	}
	l := &Load{last: map[int]time.Time{}, acked: map[string]int{}, http: map[int]*http.Client{}, lb: b}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if l.Balancer, err = lb.New(b, log); err != nil {
		return nil, err
	}
	conf, err := kubeapi.Identity([]byte(kubeconfig), b.Pool)
	if err != nil {
		return nil, err
	}
	l.conf = kubeapi.Client{TLS: conf, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Balancer.Addr().String())
	}}
	return l, l.start(ctx)
}

// Balancing is the config of the balancer on a node, for one that runs here.
func (c Cluster) Balancing(ctx context.Context, from string) (lb.Config, error) {
	text, err := c.SSH(ctx, from, "cat /etc/kubernetes/lb.json")
	if err != nil {
		return lb.Config{}, err
	}
	var b struct {
		Pool        string
		Port        int
		NameServers []string `json:"name_servers"`
		Seeds       []string
		CAFile      string `json:"ca_file"`
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return lb.Config{}, fmt.Errorf("the balancer's config on %s: %w", from, err)
	}
	ca, err := c.SSH(ctx, from, "cat "+b.CAFile)
	if err != nil {
		return lb.Config{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return lb.Config{}, fmt.Errorf("%s on %s holds no certificate", b.CAFile, from)
	}
	return lb.Config{Listen: "127.0.0.1:0", Pool: b.Pool, Port: b.Port, NameServers: b.NameServers, CA: roots, Seeds: b.Seeds}, nil
}

// Follow has the load's balancer take over the config of a node's once more: name servers come and go.
func (l *Load) Follow(ctx context.Context, c Cluster, from string) error {
	b, err := c.Balancing(ctx, from)
	if err != nil {
		return err
	}
	return l.Balancer.Set(b)
}

// Renew has the programs and the balancer take over the administrator's kubeconfig once more, as client-go does with its files:
// certificates end, and authorities are replaced. It says whether there was anything new.
func (l *Load) Renew(ctx context.Context, c Cluster) (bool, error) {
	kubeconfig, err := c.CLI(ctx, nil, "kubeconfig")
	if err != nil {
		return false, err
	}
	conf, err := kubeapi.Identity([]byte(kubeconfig), l.lb.Pool)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.conf.TLS
	if conf.RootCAs.Equal(old.RootCAs) && bytes.Equal(conf.Certificates[0].Certificate[0], old.Certificates[0].Certificate[0]) {
		return false, nil
	}
	l.conf.TLS, l.http, l.lb.CA = conf, map[int]*http.Client{}, conf.RootCAs
	return true, l.Balancer.Set(l.lb)
}

// During does something to the cluster while the programs take over new certificates, and prints what came of it and what they
// saw. A request that failed is an error too.
func (l *Load) During(ctx context.Context, c Cluster, name string, does func(context.Context) (string, error)) error {
	beside, stop := context.WithCancel(ctx)
	defer stop()
	go l.keepRenewed(beside, c)
	began := time.Now()
	what, err := does(ctx)
	seen := l.Seen()
	fmt.Printf("%-7s %4.0f s  %s\n        %s\n", name, time.Since(began).Seconds(), what, seen)
	if seen.Failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d requests failed: %v", seen.Failed, seen.Errors))
	}
	return err
}

// keepRenewed has the programs take over the kubeconfig every second, until ctx ends.
func (l *Load) keepRenewed(ctx context.Context, c Cluster) {
	for tick := time.NewTicker(time.Second); ctx.Err() == nil; {
		if _, err := l.Renew(ctx, c); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the kubeconfig:", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// client is a program's own, with the newest certificates.
func (l *Load) client(who int) *http.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.http[who] == nil {
		l.http[who] = l.conf.New()
	}
	return l.http[who]
}

// Client is one that other questions may be asked with, with the newest certificates.
func (l *Load) Client() *http.Client { return l.client(-1) }

// start waits for the balancer to have a server, makes the namespace, and lets the programs go.
func (l *Load) start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.wg.Go(func() { _ = l.Balancer.Run(run) })
	http := l.conf.New()
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := errors.New("the balancer does not listen yet")
		if l.Balancer.Addr() != nil {
			body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, loadSpace)
			if err = kubeapi.Apply(wait, http, "/api/v1/namespaces/"+loadSpace, body); err == nil {
				break
			}
		}
		select {
		case <-wait.Done():
			l.Stop()
			return fmt.Errorf("the load's first request was not answered: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
	l.Reset()
	for i := range writers {
		l.wg.Go(func() { l.write(run, i) })
	}
	for i := range readers {
		l.wg.Go(func() { l.read(run, writers+i) })
	}
	return nil
}

// Stop ends the programs. What they had seen stays to be read.
func (l *Load) Stop() {
	l.stop()
	l.wg.Wait()
}

// Reset begins a new measurement.
func (l *Load) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = Seen{}
	for i := range writers + readers {
		l.last[i] = time.Now()
	}
}

// Seen is the measurement so far.
func (l *Load) Seen() Seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.seen
	s.Errors = slices.Clone(s.Errors)
	for _, at := range l.last {
		s.lull(at, time.Now())
	}
	return s
}

// Fresh says that every one of the programs has had an answer since then.
func (l *Load) Fresh(since time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range writers + readers {
		if !l.last[i].After(since) {
			return false
		}
	}
	return true
}

// Acknowledged is the newest value of each object whose write was answered with yes.
func (l *Load) Acknowledged() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.acked))
	for k, v := range l.acked {
		out[k] = v
	}
	return out
}

// Lost is the objects that the cluster has not, or has with an older value than was acknowledged.
func (l *Load) Lost(ctx context.Context, acked map[string]int) ([]string, error) {
	text, err := kubeapi.Ask(ctx, l.Client(), http.MethodGet, "/api/v1/namespaces/"+loadSpace+"/configmaps", "", "")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Items []struct {
			Metadata struct{ Name string }
			Data     struct {
				N int `json:",string"`
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		return nil, err
	}
	have := map[string]int{}
	for _, i := range doc.Items {
		have[i.Metadata.Name] = i.Data.N
	}
	var lost []string
	for name, n := range acked {
		if have[name] < n {
			lost = append(lost, fmt.Sprintf("%s: acknowledged %d, there is %d", name, n, have[name]))
		}
	}
	slices.Sort(lost)
	return lost, nil
}

func object(writer, n int) string { return fmt.Sprintf("load-%d-%d", writer, n%keys) }

func (l *Load) write(ctx context.Context, who int) {
	n := 0
	l.often(ctx, who, func(ctx context.Context) error {
		n++
		name := object(who, n)
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"data":{"N":"%d"}}`, name, n)
		err := kubeapi.Apply(ctx, l.client(who), "/api/v1/namespaces/"+loadSpace+"/configmaps/"+name, body)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen.Writes++
		if err == nil {
			l.acked[name] = n
		}
		return err
	})
}

func (l *Load) read(ctx context.Context, who int) {
	paths := []string{"/api/v1/nodes", "/api/v1/namespaces/" + loadSpace, "/api/v1/namespaces/kube-system/pods"}
	n := 0
	l.often(ctx, who, func(ctx context.Context) error {
		n++
		_, err := kubeapi.Ask(ctx, l.client(who), http.MethodGet, paths[n%len(paths)], "", "")
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen.Reads++
		return err
	})
}

// often asks, one request after the other with a pause between them, until the context ends.
func (l *Load) often(ctx context.Context, who int, ask func(context.Context) error) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		one, cancel := context.WithTimeout(ctx, askLimit)
		began := time.Now()
		err := ask(one)
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.answered(who, began, err)
	}
}

func (l *Load) answered(who int, began time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.seen.Slow = max(l.seen.Slow, now.Sub(began))
	if err != nil {
		l.seen.Failed++
		if len(l.seen.Errors) < mostKept {
			l.seen.Errors = append(l.seen.Errors, now.Format(time.TimeOnly)+" "+strings.TrimSpace(err.Error()))
		}
		return
	}
	l.seen.lull(l.last[who], now)
	l.last[who] = now
}
