package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const pkiText = `cd /etc/etcd/pki && cat ca.crt && echo @@ && cat admin.crt && echo @@ && cat admin.key`

// witness asks every node whether a member of etcd there has a majority behind it, and who the members are.
type witness struct {
	http  *http.Client
	nodes map[string]string
	halt  context.CancelFunc
	wg    sync.WaitGroup

	mu      sync.Mutex
	began   time.Time
	last    time.Time // when some member had a quorum
	longest time.Duration
	members string
	history []string
}

func (t *trial) newWitness(ctx context.Context) (*witness, error) {
	text, err := t.SSH(ctx, t.some("etcd"), pkiText)
	if err != nil {
		return nil, err
	}
	pem := strings.Split(text, "@@\n")
	if len(pem) != 3 {
		return nil, fmt.Errorf("%d parts of etcd's certificates, want 3", len(pem))
	}
	pair, err := tls.X509KeyPair([]byte(pem[1]), []byte(pem[2]))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(pem[0]))
	run, halt := context.WithCancel(context.WithoutCancel(ctx))
	w := &witness{nodes: maps.Clone(t.address), halt: halt, began: time.Now(), last: time.Now(), http: &http.Client{Timeout: 2 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}}}
	w.watch(run)
	return w, nil
}

func (w *witness) stop() {
	w.halt()
	w.wg.Wait()
}

func (w *witness) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last, w.longest = time.Now(), 0
}

// gap is the longest time since the last reset in which no member had a majority behind it.
func (w *witness) gap() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(w.longest, time.Since(w.last))
}

func (w *witness) story() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.history, "")
}

// watch asks each node on its own: one that does not answer must not keep the others from being asked.
func (w *witness) watch(ctx context.Context) {
	for _, address := range w.nodes {
		w.wg.Go(func() {
			tick := time.NewTicker(300 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					w.look(ctx, address)
				}
			}
		})
	}
}

// look asks one node; what does not answer with a quorum is no news.
func (w *witness) look(ctx context.Context, address string) {
	var health struct{ Health string }
	if err := w.ask(ctx, http.MethodGet, "https://"+address+":2379/health", "", &health); err != nil || health.Health != "true" {
		return
	}
	at := time.Now()
	var list struct {
		Members []struct {
			Name      string
			IsLearner bool     `json:"isLearner"`
			PeerURLs  []string `json:"peerURLs"`
		}
	}
	if err := w.ask(ctx, http.MethodPost, "https://"+address+":2379/v3/cluster/member/list", `{"linearizable":true}`, &list); err != nil {
		return
	}
	var voters, learners []string
	for _, m := range list.Members {
		name := m.Name
		if name == "" {
			name = strings.Join(m.PeerURLs, ",")
		}
		if m.IsLearner {
			learners = append(learners, name)
		} else {
			voters = append(voters, name)
		}
	}
	slices.Sort(voters)
	members := strings.Join(voters, " ")
	if len(learners) > 0 {
		members += ", learner " + strings.Join(learners, " ")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if gap := at.Sub(w.last); gap > 0 {
		w.longest, w.last = max(w.longest, gap), at
	}
	if members != w.members {
		w.members = members
		w.history = append(w.history, fmt.Sprintf("  %6.1f s  %s\n", time.Since(w.began).Seconds(), members))
	}
}

func (w *witness) ask(ctx context.Context, method, url, body string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.Unmarshal(text, into)
}

// resolver asks one name server.
func resolver(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(address, "53"))
	}}
}
