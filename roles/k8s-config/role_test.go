package k8sconfig

import (
	"context"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// attribs are barclamp.yaml's defaults, as JSON has them, with some changed.
func attribs(change ...any) map[string]any {
	m := map[string]any{
		"kubernetes-cluster-name": "kubernetes", "kubernetes-pool-name": "kube-apiserver.kubeclamp.internal", "kubernetes-api-port": 6443.0,
		"kubernetes-pod-cidr": "10.244.0.0/16", "kubernetes-service-cidr": "10.96.0.0/16", "kubernetes-service-ip": "10.96.0.1",
		"kubernetes-dns-ip": "10.96.0.10", "kubernetes-cluster-domain": "cluster.local"}
	for i := 0; i < len(change); i += 2 {
		m[change[i].(string)] = change[i+1]
	}
	return m
}

func TestNothingToDo(t *testing.T) {
	good := []map[string]any{attribs(),
		attribs("kubernetes-pod-cidr", "fd00:1::/56", "kubernetes-service-cidr", "fd00:2::/112", "kubernetes-service-ip", "fd00:2::1", "kubernetes-dns-ip", "fd00:2::a"),
		attribs("kubernetes-service-cidr", "10.96.0.0/28", "kubernetes-api-port", 443.0)}
	for _, a := range good {
		res, err := New().Apply(context.Background(), role.Target{Attribs: a})
		if err != nil || len(res.Changes) != 0 {
			t.Error(res, err)
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		change []any
		want   []string
	}{
		{"service ip elsewhere", []any{"kubernetes-service-ip", "10.97.0.1"}, []string{"attrib kubernetes-service-ip", `"10.97.0.1"`, "set it to 10.96.0.1"}},
		{"dns ip elsewhere", []any{"kubernetes-dns-ip", "10.9.0.1"}, []string{"attrib kubernetes-dns-ip", "10.96.0.0/16", "set it to 10.96.0.10"}},
		{"dns ip is the API's", []any{"kubernetes-dns-ip", "10.96.0.1"}, []string{"attrib kubernetes-dns-ip", "nor the API's"}},
		{"overlap", []any{"kubernetes-pod-cidr", "10.0.0.0/8"}, []string{"must not overlap kubernetes-pod-cidr 10.0.0.0/8"}},
		{"two versions", []any{"kubernetes-pod-cidr", "fd00::/56"}, []string{"same IP version"}},
		{"host bits", []any{"kubernetes-pod-cidr", "10.244.1.0/16"}, []string{"attrib kubernetes-pod-cidr", "write 10.244.0.0/16"}},
		{"no network", []any{"kubernetes-pod-cidr", "10.244.0.0"}, []string{"CIDR form"}},
		{"huge", []any{"kubernetes-service-cidr", "10.0.0.0/8", "kubernetes-pod-cidr", "192.168.0.0/16"}, []string{"between /12 and /28"}},
		{"port", []any{"kubernetes-api-port", 70000.0}, []string{"attrib kubernetes-api-port: 70000"}},
		{"port is no number", []any{"kubernetes-api-port", "many"}, []string{"kubernetes-api-port"}},
		{"upper case", []any{"kubernetes-cluster-name", "Prod"}, []string{"attrib kubernetes-cluster-name", "lower-case"}},
		{"pool without domain", []any{"kubernetes-pool-name", "api"}, []string{"must have a domain"}},
		{"pool in cluster domain", []any{"kubernetes-pool-name", "api.cluster.local"}, []string{"another domain"}},
		{"all at once", []any{"kubernetes-api-port", 0.0, "kubernetes-cluster-domain", "-", "kubernetes-service-cidr", "x"},
			[]string{"kubernetes-api-port", "kubernetes-cluster-domain", "kubernetes-service-cidr"}},
	}
	for _, tt := range tests {
		_, err := New().Apply(context.Background(), role.Target{Attribs: attribs(tt.change...)})
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", tt.name, want, err)
			}
		}
	}
}
