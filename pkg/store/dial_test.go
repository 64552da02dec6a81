package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestDialRefuses: what would put the state in the open, or cannot work, is refused before anything is sent.
func TestDialRefuses(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r    Remote
		says string
	}{
		"plain http elsewhere": {Remote{Endpoints: []string{"http://192.0.2.1:2379"}}, "without TLS anybody"},
		"http by name":         {Remote{Endpoints: []string{"http://etcd.example.org:2379"}}, "without TLS anybody"},
		"mixed":                {Remote{Endpoints: []string{"http://127.0.0.1:2379", "https://192.0.2.1:2379"}}, "some are http"},
		"no certificates":      {Remote{Endpoints: []string{"192.0.2.1:2379"}}, "--etcd-ca, --etcd-cert and --etcd-key"},
		"other scheme":         {Remote{Endpoints: []string{"unix:///x"}}, "want https://HOST:2379"},
		"a path":               {Remote{Endpoints: []string{"https://192.0.2.1:2379/v3"}}, "want https://HOST:2379"},
		"authority not there":  {Remote{Endpoints: []string{"https://192.0.2.1:2379"}, CA: "/no/such", Cert: "x", Key: "x"}, "/no/such"},
		"authority is no PEM":  {Remote{Endpoints: []string{"https://192.0.2.1:2379"}, CA: junk, Cert: "x", Key: "x"}, "holds no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, closed, err := Dial(c.r)
			if err == nil {
				closed()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
	_, closed, err := Dial(Remote{Endpoints: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := closed(); err != nil && crowbar.KindOf(err) != crowbar.Internal {
		t.Error(err)
	}
}
