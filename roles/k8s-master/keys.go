package k8smaster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// atRest is one key of encryption at rest.
type atRest struct{ Name, Secret string }

// encryptionKeys reads the attrib: one key in base64, which is key1; or a line NAME:KEY for each, the one that writes first.
func encryptionKeys(text string) []atRest {
	if !strings.Contains(text, ":") {
		return []atRest{{"key1", text}}
	}
	var out []atRest
	for line := range strings.Lines(text) {
		if name, key, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			out = append(out, atRest{name, key})
		}
	}
	return out
}

func (k atRest) right() bool {
	raw, err := base64.StdEncoding.DecodeString(k.Secret)
	return err == nil && len(raw) == 32 && word.MatchString(k.Name)
}

// encryptionConfig has the first key write, and all of them read; identity reads what was written before encryption was on.
func encryptionConfig(keys []atRest) string {
	var b strings.Builder
	b.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [" + strings.Join(encrypted, ", ") + "]\n  providers:\n  - secretbox:\n      keys:\n")
	for _, k := range keys {
		b.WriteString("      - name: " + k.Name + "\n        secret: " + k.Secret + "\n")
	}
	return b.String() + "  - identity: {}\n"
}

// encrypted is what is encrypted at rest.
var encrypted = []string{"secrets", "configmaps"}

// signingKey is the first of the private keys: it signs, the others are still believed.
func signingKey(keys string) string {
	block, rest := pem.Decode([]byte(keys))
	if block == nil || len(strings.TrimSpace(string(rest))) == 0 {
		return keys
	}
	return string(pem.EncodeToMemory(block))
}

// publicHalves is the public keys of all of them, in the same order.
func publicHalves(keys string) (string, error) {
	first, err := publicHalf(keys)
	if err != nil {
		return "", err
	}
	_, rest := pem.Decode([]byte(keys))
	if len(strings.TrimSpace(string(rest))) == 0 {
		return first, nil
	}
	more, err := publicHalves(string(rest))
	return first + more, err
}

// rewritten is the ConfigMap that says by which key everything has been written.
const rewritten = "/api/v1/namespaces/kube-system/configmaps/kubeclamp-encryption"

type record struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   leaseMeta         `json:"metadata"`
	Data       map[string]string `json:"data"`
}

// rewrite has everything written anew by the only key that stays, before the others are dropped; whose turn comes first does it
// for all masters. All of them write by that key already: the phase before is over.
func rewrite(ctx context.Context, on role.Target, s settings, changes []role.Change) error {
	keys := encryptionKeys(s.EncryptionKey)
	if len(keys) != 1 || keys[0].Name == "key1" || !slices.ContainsFunc(changes, func(c role.Change) bool { return c.Name == etc+"/encryption.yaml" && c.Do == "change" }) {
		return nil
	}
	api, err := anyMaster(on, s)
	if err != nil {
		return err
	}
	defer api.Close()
	var had record
	err = api.Do(ctx, http.MethodGet, rewritten, nil, &had)
	if err != nil && kube.Code(err) != http.StatusNotFound {
		return fmt.Errorf("read which key of encryption everything was written by: %w", err)
	}
	if had.Data["key"] == keys[0].Name {
		return nil
	}
	n := 0
	for _, what := range encrypted {
		some, err := rewriteAll(ctx, api, what, func() error { return takeTurn(ctx, on, api) })
		if err != nil {
			return fmt.Errorf("write all %s anew by encryption key %s: %w", what, keys[0].Name, err)
		}
		n += some
	}
	on.Logf("wrote %d objects anew by encryption key %s", n, keys[0].Name)
	return note(ctx, api, keys[0].Name, had.Metadata.ResourceVersion)
}

// note is as good if another master did it at the same time.
func note(ctx context.Context, api *kube.Client, key, version string) error {
	r := record{APIVersion: "v1", Kind: "ConfigMap", Metadata: leaseMeta{Name: "kubeclamp-encryption", ResourceVersion: version}, Data: map[string]string{"key": key}}
	method, path := http.MethodPut, rewritten
	if version == "" {
		method, path = http.MethodPost, rewritten[:strings.LastIndexByte(rewritten, '/')]
	}
	if err := api.Do(ctx, method, path, r, nil); err != nil && kube.Code(err) != http.StatusConflict {
		return fmt.Errorf("note that everything was written by encryption key %s: %w", key, err)
	}
	return nil
}

// anyMaster asks the API server on the node, and where that does not answer, those of the other masters.
func anyMaster(on role.Target, s settings) (*kube.Client, error) {
	port := strconv.Itoa(s.Port)
	servers := []string{net.JoinHostPort("127.0.0.1", port)}
	for _, p := range on.PeersOf("k8s-master") {
		if p.Node != on.Node && p.Settled {
			servers = append(servers, net.JoinHostPort(p.Address, port))
		}
	}
	leaf := s.Admin
	leaf.CA = s.CA
	return kube.New(on.Conn, leaf, s.Pool, servers...)
}

// rewriteAll writes every object of a kind as it is. An object that an older key closed is written although nothing in it
// changes; one that somebody else has just written or deleted needs nothing any more.
func rewriteAll(ctx context.Context, api *kube.Client, what string, turn func() error) (n int, err error) {
	for next := ""; ; {
		if n%100 == 0 { // the turn lasts for minutes, and this may take longer
			if err := turn(); err != nil {
				return n, err
			}
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		// Few at a time: one may have a megabyte.
		if err := api.Do(ctx, http.MethodGet, "/api/v1/"+what+"?"+url.Values{"limit": {"10"}, "continue": {next}}.Encode(), nil, &page); err != nil {
			return n, err
		}
		for _, raw := range page.Items {
			var o struct {
				Metadata struct{ Namespace, Name string } `json:"metadata"`
			}
			if err := json.Unmarshal(raw, &o); err != nil {
				return n, err
			}
			err := api.Do(ctx, http.MethodPut, "/api/v1/namespaces/"+o.Metadata.Namespace+"/"+what+"/"+o.Metadata.Name, raw, nil)
			if code := kube.Code(err); err != nil && code != http.StatusConflict && code != http.StatusNotFound {
				return n, fmt.Errorf("%s/%s: %w", o.Metadata.Namespace, o.Metadata.Name, err)
			}
			n++
		}
		if next = page.Metadata.Continue; next == "" {
			return n, nil
		}
	}
}
