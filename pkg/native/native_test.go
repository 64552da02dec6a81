package native

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

func TestValuesComeBackWhole(t *testing.T) {
	for _, v := range []any{"cafe", "MARK", "FOO_BAR", "0x1F", "0123", "-7", "true", "False", "", " x", "żółw ✓", "a\nABCD\nb", "a\tb", "json:x", "n1", "10.0.0.1",
		strings.Repeat("0123456789", 10000), float64(5), true, nil, crowbar.Data{"k": []any{"v"}}, "-----BEGIN X-----\nzz+/\nABCD\n"} {
		text, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(text, "\n\t") || text == "" {
			t.Errorf("%.40q is no line: %.60q", v, text)
		}
		back := any(text)
		if text == "true" || text == "false" {
			back = text == "true"
		}
		if diff := cmp.Diff(v, decode(back)); diff != "" {
			t.Errorf("%.40q by %.60q comes back otherwise: %.200s", v, text, diff)
		}
	}
	for v, want := range map[string]string{"10.0.0.1": "10.0.0.1", "https://n1:2379": "https://n1:2379", "cafe": `json:"cafe"`} {
		if got, _ := encode(v); got != want {
			t.Errorf("%s is written %s", v, got)
		}
	}
	if _, err := encode(strings.Repeat("z", 600<<10)); crowbar.KindOf(err) == crowbar.Invalid {
		t.Errorf("a plain text needs no limit here: %v", err)
	}
	if _, err := encode(strings.Repeat("z\n", 600<<10)); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("too much: %v", err)
	}
	if err := writeWalls(filepath.Join(t.TempDir(), "w"), map[string]any{"a/../b": 1}); err == nil {
		t.Error("a path elsewhere was written")
	}
}

// site is the node of cluster-pki and one with etcd; both are this machine.
type site struct {
	Config
	dir  string
	tree crowbar.Data
	out  bytes.Buffer
	keys map[string]string // address -> public host key
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), keys: map[string]string{}}
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		t.Fatal(err)
	}
	files, err := barclamp.Native(c, barclamp.Rebar)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if filepath.Base(f.Path) == "package.json" {
			if err := os.WriteFile(filepath.Join(s.dir, "package.json"), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Config = Config{Package: s.dir, StateDir: filepath.Join(s.dir, "state"), HostKey: filepath.Join(s.dir, "hostkey"), Out: &s.out, Getenv: func(string) string { return "" },
		Scan: func(_ context.Context, address string) (string, error) {
			if k := s.keys[address]; k != "" {
				return k, nil
			}
			return "", fmt.Errorf("no answer")
		}}
	s.keys["127.0.0.1"] = s.hostKey(t, s.HostKey)
	s.keys["192.0.2.2"] = s.hostKey(t, s.HostKey+"2")
	s.tree = crowbar.Data{"etcd": crowbar.Data{"nodes": crowbar.Data{"n1": "127.0.0.1", "n2": "192.0.2.2"}}}
	return s
}

func (s *site) hostKey(t *testing.T, file string) string {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	to, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return "ssh-ed25519 " + base64.StdEncoding.EncodeToString(to.Marshal())
}

// apply does a role, and puts what it gave back where the server would.
func (s *site) apply(t *testing.T, name string) error {
	t.Helper()
	b, err := json.Marshal(s.tree)
	if err != nil {
		t.Fatal(err)
	}
	attrs, walls := filepath.Join(s.dir, "attrs.json"), filepath.Join(s.dir, "walls")
	if err := os.WriteFile(attrs, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), s.Config, name, attrs, walls); err != nil {
		return err
	}
	b, err = os.ReadFile(walls)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		path, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		at := s.tree
		words := strings.Split(path, "/")
		for _, w := range words[:len(words)-1] {
			below, ok := at[w].(crowbar.Data)
			if !ok {
				below = crowbar.Data{}
				at[w] = below
			}
			at = below
		}
		at[words[len(words)-1]] = v
	}
	return nil
}

// spy is a role that keeps what it was given.
type spy struct {
	name string
	got  role.Target
}

func (s *spy) Describe() role.Info { return role.Info{Name: s.name} }
func (s *spy) Apply(_ context.Context, on role.Target) (role.Result, error) {
	s.got = on
	return role.Result{Wall: crowbar.Data{"etcd-endpoint": "https://127.0.0.1:2379", "x": "cafe"}}, nil
}

type noJig struct{}

func (noJig) Dial(context.Context, *crowbar.Node) (jig.Conn, error) { return nopConn{}, nil }

type nopConn struct{ jig.Conn }

func (nopConn) Close() error { return nil }

func TestKeysReachTheirNodeAlone(t *testing.T) {
	s := newSite(t)
	e := &spy{name: "etcd"}
	s.Jig, s.Roles = noJig{}, func(string) (role.Role, bool) { return e, true }
	if err := s.apply(t, "etcd"); err == nil || !strings.Contains(err.Error(), "has made nothing for n1") {
		t.Fatalf("without keys: %v", err)
	}
	if err := s.apply(t, barclamp.PKIRole); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(s.tree)
	if bytes.Contains(b, []byte("PRIVATE KEY")) {
		t.Error("a key lies open in what the server is given")
	}
	if err := s.apply(t, "etcd"); err != nil {
		t.Fatal(err)
	}
	on := e.got
	leaf, _ := on.Attribs["etcd-server-leaf"].(map[string]any)
	if on.Node != "n1" || on.Address != "127.0.0.1" || !on.First || on.Again || !strings.Contains(fmt.Sprint(leaf["key"]), "PRIVATE KEY") || on.Attribs["etcd-client-port"] != float64(2379) || on.Attribs["etcd-cluster-token"] == nil {
		t.Errorf("given: %+v", on)
	}
	if peers := on.PeersOf("etcd"); len(peers) != 2 || peers[1].Node != "n2" || peers[1].Address != "192.0.2.2" || peers[1].Settled {
		t.Errorf("peers: %+v", peers)
	}
	if v, _ := crowbar.Dig(s.tree, "kubeclamp/etcd/x"); v != `json:"cafe"` {
		t.Errorf("the wall has %v", v)
	}
	first := leaf["cert"]
	if err := s.apply(t, barclamp.PKIRole); err != nil {
		t.Fatal(err)
	}
	if err := s.apply(t, "etcd"); err != nil {
		t.Fatal(err)
	}
	if again := e.got.Attribs["etcd-server-leaf"].(map[string]any)["cert"]; again != first || !e.got.Again {
		t.Error("a second run made new certificates, or forgot the first one")
	}
	// The other node's host key does not open what is ours.
	s.HostKey += "2"
	if err := s.apply(t, "etcd"); err == nil || !strings.Contains(err.Error(), "another host key") {
		t.Errorf("with another node's key: %v", err)
	}
}

func TestNodeThatDoesNotAnswer(t *testing.T) {
	s := newSite(t)
	s.keys = map[string]string{}
	ctx, cancel := context.WithCancel(t.Context())
	s.Scan = func(context.Context, string) (string, error) { cancel(); return "", fmt.Errorf("refused") }
	if err := os.WriteFile(filepath.Join(s.dir, "attrs.json"), []byte(`{"etcd":{"nodes":{"n1":"127.0.0.1"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Apply(ctx, s.Config, barclamp.PKIRole, filepath.Join(s.dir, "attrs.json"), filepath.Join(s.dir, "walls"))
	if err == nil || !strings.Contains(err.Error(), "for the SSH host key of n1 at 127.0.0.1") || !strings.Contains(err.Error(), "cluster-pki-host-keys") {
		t.Errorf("error: %v", err)
	}
}
