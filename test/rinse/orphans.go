package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// clean waits until nothing is left over: what watches the cluster is a few seconds behind it.
func (t *trial) clean(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := errors.Join(t.leftOver(ctx)...)
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Second):
		}
	}
}

// leftOver compares what the cluster itself says with what is bound, and names what is of nobody, or is missing.
func (t *trial) leftOver(ctx context.Context) []error {
	var bad []error
	differ := func(what string, have []string, role string) {
		slices.Sort(have)
		if want := t.of(role); !slices.Equal(have, want) {
			bad = append(bad, fmt.Errorf("%s: there is %v, and %s is bound to %v", what, have, role, want))
		}
	}
	if err := t.learn(ctx); err != nil {
		return append(bad, err)
	}
	t.etcd.mu.Lock()
	members := strings.Fields(t.etcd.members)
	t.etcd.mu.Unlock()
	differ("members of etcd", members, "etcd")
	kube, err := t.SSH(ctx, t.some("k8s-master"), "kubectl get nodes -o name --kubeconfig /etc/kubernetes/admin.conf")
	if err != nil {
		return append(bad, err)
	}
	differ("Kubernetes Nodes", strings.Fields(strings.ReplaceAll(kube, "node/", "")), "k8s-minion")
	for _, n := range t.of("dns-pool") {
		pool, err := t.pool(ctx, t.address[n])
		if err != nil {
			return append(bad, err)
		}
		differ("the pool as "+n+" tells it", pool, "k8s-master")
	}
	leases, err := t.leases(ctx)
	if err != nil {
		return append(bad, err)
	}
	differ("leases of flannel", leases, "flannel")
	return bad
}

// pool is the nodes that one name server names.
func (t *trial) pool(ctx context.Context, server string) ([]string, error) {
	b, err := t.Balancing(ctx, t.some("k8s-minion"))
	if err != nil {
		return nil, err
	}
	found, err := resolver(server).LookupHost(ctx, b.Pool+".")
	return t.named(found), err
}

// leases is the nodes that flannel's leases are of.
func (t *trial) leases(ctx context.Context) ([]string, error) {
	const from = "/kubeclamp/network/subnets/"
	to := from[:len(from)-1] + "0" // the next after '/'
	b64 := base64.StdEncoding.EncodeToString
	body, err := json.Marshal(map[string]string{"key": b64([]byte(from)), "range_end": b64([]byte(to))})
	if err != nil {
		return nil, err
	}
	var got struct{ Kvs []struct{ Value []byte } }
	if err := t.etcd.ask(ctx, http.MethodPost, "https://"+t.address[t.some("etcd")]+":2379/v3/kv/range", string(body), &got); err != nil {
		return nil, err
	}
	var found []string
	for _, kv := range got.Kvs {
		var lease struct{ PublicIP string }
		if err := json.Unmarshal(kv.Value, &lease); err != nil {
			return nil, err
		}
		found = append(found, lease.PublicIP)
	}
	return t.named(found), nil
}

// named gives addresses the names of their nodes; a stranger keeps its address.
func (t *trial) named(addresses []string) []string {
	for i, a := range addresses {
		for n, at := range t.address {
			if at == a {
				addresses[i] = n
			}
		}
	}
	return addresses
}
