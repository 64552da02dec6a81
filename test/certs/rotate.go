package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site/kubeapi"
)

// secrets is how many Secrets there are whose content is known.
const secrets = 40

func secretPath(n int) string {
	return fmt.Sprintf("/api/v1/namespaces/kubeclamp-load/secrets/known-%d", n)
}

// rotate replaces all authorities and keys, and looks at everything that was signed or encrypted.
func (t *trial) rotate(ctx context.Context) (string, error) {
	for i := range secrets {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"known-%d"},"stringData":{"n":"value %d"}}`, i, i)
		if err := kubeapi.Apply(ctx, t.load.Client(), secretPath(i), body); err != nil {
			return "", err
		}
	}
	before, err := t.Certificates(ctx)
	if err != nil {
		return "", err
	}
	old, err := t.atRest(ctx)
	if err != nil {
		return "", err
	}
	token, err := t.SSH(ctx, "n1", "kubectl --kubeconfig /etc/kubernetes/admin.conf create token default --duration 1h")
	if err != nil {
		return "", err
	}
	t.say("rotate everything; at rest: %v", old)
	out, err := t.CLI(ctx, nil, "certs", "rotate", "--hold", "0s", "--wait", "--timeout", "20m")
	if err != nil {
		return "", err
	}
	t.say("done:\n%s", out)
	after, err := t.Certificates(ctx)
	if err != nil {
		return "", err
	}
	fresh := 0
	for name, is := range after {
		switch was := before[name]; {
		case is.Rotation != nil:
			return "", fmt.Errorf("%s is still in phase %s", name, is.Rotation.Phase)
		case is.What == "authority" && is.KeyID == was.KeyID, is.What == "leaf" && is.Issuer == was.Issuer:
			return "", fmt.Errorf("%s is of the old authority", name)
		case is.What != "key" || is.KeyID != was.KeyID:
			fresh++
		}
	}
	now, err := t.atRest(ctx)
	if err != nil {
		return "", err
	}
	if len(now) != 1 || now["key2"] < secrets {
		return "", fmt.Errorf("by key, etcd holds %v: the old key is not gone", now)
	}
	for i := range secrets {
		text, err := kubeapi.Ask(ctx, t.load.Client(), http.MethodGet, secretPath(i), "", "")
		if err != nil {
			return "", err
		}
		if want := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "value %d", i)); !strings.Contains(string(text), want) {
			return "", fmt.Errorf("secret %d is not what it was", i)
		}
	}
	if err := t.refused(ctx, strings.TrimSpace(token)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d authorities, certificates and keys replaced; %d values in etcd, all by key2; %d Secrets read again; a token of the old key is refused", fresh, now["key2"], secrets), nil
}

// atRest is how many values in etcd are encrypted by which key, read out of etcd itself; "" for those that are not.
func (t *trial) atRest(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	for _, what := range []string{"secrets", "configmaps"} {
		text, err := t.SSH(ctx, "n1", "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/pki/ca.crt --cert /etc/etcd/pki/admin.crt --key /etc/etcd/pki/admin.key get /registry/"+what+"/ --prefix -w json")
		if err != nil {
			return nil, err
		}
		var r struct {
			KVs []struct{ Value []byte } `json:"kvs"`
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, err
		}
		for _, kv := range r.KVs {
			key := ""
			if rest, ok := strings.CutPrefix(string(kv.Value[:min(len(kv.Value), 80)]), "k8s:enc:secretbox:v1:"); ok {
				key, _, _ = strings.Cut(rest, ":")
			}
			out[key]++
		}
	}
	return out, nil
}

// refused waits until no API server takes a token: they remember for ten seconds whom they took.
func (t *trial) refused(ctx context.Context, token string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	left := slices.Clone(masters)
	for len(left) > 0 {
		code, err := t.SSH(ctx, left[0], "curl -sk -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer "+token+"' https://127.0.0.1:6443/api")
		switch {
		case err != nil:
			return err
		case strings.TrimSpace(code) == "401":
			left = left[1:]
		case ctx.Err() != nil:
			return fmt.Errorf("%s still answers %s to a token that the old key signed", left[0], code)
		}
	}
	return nil
}
