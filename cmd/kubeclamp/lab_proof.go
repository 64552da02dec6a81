package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// proof shows that a lab's cluster is what it should be: each point is asked of the running thing, and any that does not
// hold is an error.
type proof struct {
	ctx     context.Context
	c       *client.Client
	doc     crowbar.Cluster
	run     func(ctx context.Context, node string, argv ...string) (string, error) // over ssh
	out     io.Writer
	masters []crowbar.ClusterNode
	failed  []string
}

const kubectl = "/usr/local/bin/kubectl"

func (p *proof) prove() error {
	for _, n := range p.doc.Nodes {
		if slices.Contains(n.Roles, "k8s-master") {
			p.masters = append(p.masters, n)
		}
	}
	for _, point := range []struct {
		title string
		check func() error
	}{
		{"nodes Ready", p.nodes}, {"etcd members healthy over TLS", p.etcd}, {"one name for all API servers, answers rotated", p.pool},
		{"pods on different nodes over flannel, a Service, cluster DNS", p.pods}, {"versions", p.versions}, {"the API", p.api},
	} {
		fmt.Fprintf(p.out, "\n== %s\n", point.title)
		if err := point.check(); err != nil {
			fmt.Fprintf(p.out, "NOT SHOWN: %v\n", err)
			p.failed = append(p.failed, point.title+": "+err.Error())
		}
	}
	if len(p.failed) > 0 {
		return fmt.Errorf("the proof fails:\n  %s", strings.Join(p.failed, "\n  "))
	}
	fmt.Fprintln(p.out, "\nproved.")
	return nil
}

func (p *proof) kubectl(args ...string) (string, error) {
	return p.run(p.ctx, p.masters[0].Name, append([]string{kubectl, "--kubeconfig", "/etc/kubernetes/admin.conf"}, args...)...)
}

func (p *proof) nodes() error {
	text, err := p.kubectl("get", "nodes", "-o", "wide")
	if err != nil {
		return err
	}
	fmt.Fprint(p.out, text)
	want := 0
	for _, n := range p.doc.Nodes {
		if !slices.Contains(n.Roles, "k8s-minion") {
			continue
		}
		want++
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool { f := strings.Fields(l); return len(f) > 1 && f[0] == n.Name && f[1] == "Ready" }) {
			return fmt.Errorf("node %s is not Ready", n.Name)
		}
	}
	return nil
}

func (p *proof) etcd() error {
	var urls []string
	for _, n := range p.doc.Nodes {
		if slices.Contains(n.Roles, "etcd") {
			urls = append(urls, "https://"+n.Address+":2379")
		}
	}
	text, err := p.run(p.ctx, p.masters[0].Name, "/usr/local/bin/etcdctl", "--endpoints", strings.Join(urls, ","), "--cacert", "/etc/etcd/pki/ca.crt",
		"--cert", "/etc/etcd/pki/server.crt", "--key", "/etc/etcd/pki/server.key", "endpoint", "status", "-w", "json")
	if err != nil {
		return err
	}
	var all []struct {
		Endpoint string
		Status   struct {
			Header struct {
				MemberID uint64 `json:"member_id"`
			} `json:"header"`
			Version   string `json:"version"`
			Leader    uint64 `json:"leader"`
			IsLearner bool   `json:"isLearner"`
			Errors    []string
		}
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	for _, m := range all {
		what := "member"
		if m.Status.Leader == m.Status.Header.MemberID {
			what = "leader"
		}
		fmt.Fprintf(p.out, "%s  %x  etcd %s  %s\n", m.Endpoint, m.Status.Header.MemberID, m.Status.Version, what)
		if m.Status.IsLearner || m.Status.Leader == 0 || len(m.Status.Errors) > 0 {
			return fmt.Errorf("member %s: learner %t, leader %x, errors %v", m.Endpoint, m.Status.IsLearner, m.Status.Leader, m.Status.Errors)
		}
	}
	if len(all) != len(urls) {
		return fmt.Errorf("%d of %d members answered", len(all), len(urls))
	}
	return nil
}

// pool asks every name server of the pool, the daemon's and the nodes', and wants all masters in each answer and each of
// them first at some time.
func (p *proof) pool() error {
	name, err := p.text("kubernetes-pool-name")
	if err != nil {
		return err
	}
	servers := []string{}
	for _, n := range p.doc.Nodes {
		if n.Admin || slices.Contains(n.Roles, "dns-pool") {
			servers = append(servers, n.Address)
		}
	}
	for _, server := range servers {
		if err := p.rotates(name, server); err != nil {
			return err
		}
	}
	return nil
}

func (p *proof) rotates(name, server string) error {
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort(server, "53"))
	}}
	firsts := map[string]bool{}
	limit, cancel := context.WithTimeout(p.ctx, 20*time.Second)
	defer cancel()
	for asked := 0; ; asked++ {
		answer, err := r.LookupHost(limit, name)
		if err != nil {
			return fmt.Errorf("name server %s: %w", server, err)
		}
		if asked < 3 {
			fmt.Fprintf(p.out, "@%s %s: %s\n", server, name, strings.Join(answer, " "))
		}
		if len(answer) != len(p.masters) {
			return fmt.Errorf("name server %s gives %d addresses, there are %d masters", server, len(answer), len(p.masters))
		}
		firsts[answer[0]] = true
		if len(firsts) == len(p.masters) {
			return nil
		}
		if asked > 200 {
			return fmt.Errorf("name server %s does not rotate: only %v came first", server, firsts)
		}
	}
}

func (p *proof) pods() error {
	var nr crowbar.NodeRole
	for _, n := range p.doc.Nodes {
		if slices.Contains(n.Roles, "k8s-ready") {
			if err := p.c.Show(p.ctx, crowbar.KindNodeRole, n.Name+"/k8s-ready", &nr); err != nil {
				return err
			}
		}
	}
	shown, ok := nr.Wall["k8s-ready-proof"].(map[string]any)
	if !ok || nr.State != crowbar.Active {
		return fmt.Errorf("role k8s-ready has no proof (state %s: %s)", nr.State, nr.Failure)
	}
	return printYAML(p.out, shown)
}

func (p *proof) versions() error {
	text, err := p.kubectl("version")
	if err != nil {
		return err
	}
	fmt.Fprint(p.out, text)
	docker, err := p.run(p.ctx, p.masters[0].Name, "/usr/local/bin/docker", "version", "--format", "Docker client {{.Client.Version}}, engine {{.Server.Version}}")
	if err != nil {
		return err
	}
	fmt.Fprint(p.out, docker)
	return nil
}

func (p *proof) api() error {
	name, err := p.text("kubernetes-pool-name")
	if err != nil {
		return err
	}
	for _, m := range p.masters {
		fmt.Fprintf(p.out, "https://%s:6443  (%s)\n", m.Address, m.Name)
	}
	fmt.Fprintf(p.out, "https://%s:6443  (the pool)\nkubeclamp API: %s\n", name, p.c.Endpoint())
	return nil
}

func (p *proof) text(attrib string) (string, error) {
	v, err := p.c.Attrib(p.ctx, crowbar.KindDeployment, p.doc.Deployment, attrib)
	s, _ := v.(string)
	return s, err
}
