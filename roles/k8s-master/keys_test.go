package k8smaster

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// TestEncryptionKeyIsRotated goes through the phases on one node: everything is written anew before the old key is dropped,
// once, and not before.
func TestEncryptionKeyIsRotated(t *testing.T) {
	api, n := kubetest.New(t, "pool.test"), roletest.NewNode()
	d := attribs(t, api)
	on := onNode(n, api, d)
	roletest.Apply(t, New(), on)
	one, two := base64.StdEncoding.EncodeToString(make([]byte, 32)), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("2", 32)))
	for i := range 25 {
		api.Set(fmt.Sprintf("/api/v1/namespaces/a/secrets/s%d", i), map[string]any{"metadata": map[string]any{"name": fmt.Sprintf("s%d", i), "namespace": "a"}, "data": map[string]any{"k": "dg=="}})
	}
	written := map[string]int{}
	var pages int
	api.Hook = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && (r.URL.Path == "/api/v1/secrets" || r.URL.Path == "/api/v1/configmaps") {
			pages++
			at, next := 0, ""
			fmt.Sscan(r.URL.Query().Get("continue"), &at)
			var items []string
			for i := at; i < min(at+10, 25) && r.URL.Path == "/api/v1/secrets"; i++ {
				items = append(items, fmt.Sprintf(`{"metadata":{"name":"s%d","namespace":"a"},"data":{"k":"dg=="}}`, i))
			}
			if at+10 < 25 && r.URL.Path == "/api/v1/secrets" {
				next = fmt.Sprint(at + 10)
			}
			fmt.Fprintf(w, `{"metadata":{"continue":%q},"items":[%s]}`, next, strings.Join(items, ","))
			return true
		}
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/secrets/") {
			written[r.URL.Path]++
		}
		return false
	}
	config := func() string { return string(n.Content(etc + "/encryption.yaml")) }
	for _, phase := range []struct {
		value, names string
		written      int
	}{
		{"key1:" + one + "\nkey2:" + two + "\n", "key1 key2", 0},
		{"key2:" + two + "\nkey1:" + one + "\n", "key2 key1", 0},
		{"key2:" + two + "\n", "key2", 25},
	} {
		d["k8s-master-encryption-key"] = phase.value
		on = onNode(n, api, d)
		roletest.Apply(t, New(), on)
		var names []string
		for line := range strings.Lines(config()) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- name: "); ok {
				names = append(names, name)
			}
		}
		if strings.Join(names, " ") != phase.names || len(written) != phase.written {
			t.Errorf("keys %v, want %s; %d objects were written, want %d", names, phase.names, len(written), phase.written)
		}
	}
	if api.Get(rewritten) == nil || pages != 4 {
		t.Errorf("it is not on record (%v), or %d pages were read", api.Get(rewritten), pages)
	}
	// Another master, later: it is done already.
	other := roletest.NewNode()
	d["k8s-master-encryption-key"] = "key2:" + two + "\nkey1:" + one + "\n"
	roletest.Apply(t, New(), onNode(other, api, d))
	d["k8s-master-encryption-key"] = "key2:" + two + "\n"
	roletest.Apply(t, New(), onNode(other, api, d))
	if pages != 4 {
		t.Errorf("a second master wrote everything once more")
	}
}

func TestAccountKeys(t *testing.T) {
	a, b := accountKey(t), accountKey(t)
	one, err := publicHalves(a)
	if err != nil {
		t.Fatal(err)
	}
	both, err := publicHalves(b + a)
	if err != nil || strings.Count(both, "BEGIN PUBLIC KEY") != 2 || !strings.HasSuffix(both, one) {
		t.Errorf("%q, %v", both, err)
	}
	if signingKey(a) != a || signingKey(b+a) != b {
		t.Error("the first key does not sign alone")
	}
	if _, err := publicHalves(a + "nothing"); err == nil {
		t.Error("what is no key is taken for one")
	}
}
