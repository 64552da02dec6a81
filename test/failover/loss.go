package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// loss is one way for a master to go, and the way back.
type loss struct {
	name        string
	does, heals func(s trial, ctx context.Context, node string) error
}

func fault(words ...string) func(s trial, ctx context.Context, node string) error {
	return func(s trial, ctx context.Context, node string) error {
		_, err := s.Lab(ctx, words[0], append(slices.Clone(words[1:]), node)...)
		return err
	}
}

func script(text string) func(s trial, ctx context.Context, node string) error {
	return func(s trial, ctx context.Context, node string) error {
		_, err := s.SSH(ctx, node, text)
		return err
	}
}

var losses = []loss{
	{"API server stopped (SIGSTOP)", script("systemctl kill -s STOP kube-apiserver"), script("systemctl kill -s CONT kube-apiserver")},
	{"etcd stopped (SIGSTOP)", script("systemctl kill -s STOP etcd"), script("systemctl kill -s CONT etcd")},
	{"packets dropped", fault("fault", "drop"), fault("fault", "heal")},
	{"link down", fault("fault", "link-down"), fault("fault", "link-up")},
	{"node frozen", fault("fault", "freeze"), fault("fault", "thaw")},
	{"node killed", fault("fault", "kill"), fault("power", "on")},
}

// row is what a loss came to.
type row struct {
	loss, victim string
	seen         map[string]seen
	notReady     []string // other nodes
}

type seen struct {
	GapMS   int64 `json:"gap_ms"`
	SlowMS  int64 `json:"slow_ms"`
	Answers int
	Failed  int
	Error   string
}

// lose breaks the master that leads etcd, and looks what the probes see until the window ends; then all is well again.
func (s trial) lose(ctx context.Context, l loss, probes []*probe, window time.Duration) (row, error) {
	if err := s.Well(ctx, masters...); err != nil {
		return row{}, err
	}
	victim, err := s.leader(ctx)
	if err != nil {
		return row{}, err
	}
	fmt.Fprintf(os.Stderr, "%s: %s, which leads etcd\n", l.name, victim)
	r := row{loss: l.name, victim: victim, seen: map[string]seen{}}
	for _, p := range probes {
		if _, err := io.WriteString(p.in, "reset\n"); err != nil {
			return r, err
		}
	}
	began := time.Now()
	if err := l.does(s, ctx, victim); err != nil {
		return r, err
	}
	select {
	case <-time.After(window): // long enough for plain round robin to find out, too
	case <-ctx.Done():
		return r, ctx.Err()
	}
	for _, p := range probes {
		got := map[string]seen{}
		if _, err := io.WriteString(p.in, "report\n"); err != nil {
			return r, err
		}
		if err := p.out.Decode(&got); err != nil {
			return r, fmt.Errorf("the probe on %s: %w", p.node, err)
		}
		for sort, one := range got {
			old := r.seen[sort]
			one.GapMS, one.SlowMS = max(one.GapMS, old.GapMS), max(one.SlowMS, old.SlowMS)
			r.seen[sort] = one
		}
	}
	if r.notReady, err = s.notReady(ctx, victim, began); err != nil {
		return r, err
	}
	return r, errors.Join(l.heals(s, ctx, victim), s.Well(ctx, masters...))
}

// leader is the master whose etcd member leads.
func (s trial) leader(ctx context.Context) (string, error) {
	for _, n := range masters {
		text, err := s.SSH(ctx, n, "etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/server.crt --key /etc/etcd/pki/server.key endpoint status -w json")
		if err != nil {
			return "", err
		}
		var all []struct {
			Status struct {
				Header struct {
					MemberID uint64 `json:"member_id"`
				} `json:"header"`
				Leader uint64 `json:"leader"`
			}
		}
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return "", err
		}
		if len(all) == 1 && all[0].Status.Leader == all[0].Status.Header.MemberID {
			return n, nil
		}
	}
	return "", errors.New("no member of etcd leads")
}

// notReady is the nodes but the victim that were not Ready at some time since.
func (s trial) notReady(ctx context.Context, victim string, since time.Time) ([]string, error) {
	from := masters[0]
	if from == victim {
		from = masters[1]
	}
	text, err := s.SSH(ctx, from, "kubectl --kubeconfig "+site.Admin+" get nodes -o json")
	if err != nil {
		return nil, err
	}
	var doc struct {
		Items []struct {
			Metadata struct{ Name string }
			Status   struct {
				Conditions []struct {
					Type, Status string
					Since        time.Time `json:"lastTransitionTime"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	var out []string
	for _, n := range doc.Items {
		for _, c := range n.Status.Conditions {
			if n.Metadata.Name != victim && c.Type == "Ready" && (c.Status != "True" || c.Since.After(since)) {
				out = append(out, n.Metadata.Name)
			}
		}
	}
	return out, nil
}

var sorts = []string{"kubelet by balancer", "controller by balancer", "kubelet by round robin", "controller by round robin"}

// table prints the rows, and gives what is beyond a limit.
func table(w io.Writer, rows []row) []error {
	var bad []error
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "longest time without an answer, s\t%s\tslowest write by balancer\tothers not Ready\t\n", strings.Join(sorts, "\t"))
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t", r.loss)
		for _, sort := range sorts {
			s := r.seen[sort]
			gap := time.Duration(s.GapMS) * time.Millisecond
			fmt.Fprintf(t, "%.2f\t", gap.Seconds())
			if s.Answers == 0 {
				bad = append(bad, fmt.Errorf("%s: %s had no answer at all", r.loss, sort))
			}
			if strings.HasSuffix(sort, "balancer") && gap > limit {
				bad = append(bad, fmt.Errorf("%s: %s went without an answer for %s, limit %s; the last error: %s", r.loss, sort, gap, limit, s.Error))
			}
		}
		slow := time.Duration(r.seen[sorts[0]].SlowMS) * time.Millisecond
		fmt.Fprintf(t, "%.2f\t%s\t\n", slow.Seconds(), strings.Join(r.notReady, " "))
		if len(r.notReady) > 0 {
			bad = append(bad, fmt.Errorf("%s: not Ready though they were not the victim: %s", r.loss, strings.Join(r.notReady, ", ")))
		}
	}
	t.Flush()
	return bad
}
