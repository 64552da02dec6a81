// Package kubetest is an API server in memory for the tests of roles: objects by path, over TLS, with certificates of its
// own authority. It does not know any kind of object, and runs no controller.
package kubetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// API is the server. Its fields may be set before, and looked at between, requests.
type API struct {
	CA string // PEM of the authority
	// Hook is asked first; true = it has answered.
	Hook func(w http.ResponseWriter, r *http.Request) bool
	Log  []string // "PUT /api/v1/..." of every request that changes something

	mu      sync.Mutex
	ca      *x509.Certificate
	key     *ecdsa.PrivateKey
	server  *httptest.Server
	objects map[string]map[string]any
	version int
}

// New starts a server that ends with the test. Its certificate is good for 127.0.0.1 and the names.
func New(t testing.TB, names ...string) *API {
	a := &API{objects: map[string]map[string]any{}}
	a.key = newKey(t)
	a.ca = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der := sign(t, a.ca, a.ca, a.key, a.key)
	a.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	leaf := a.Leaf(t, "kube-apiserver", nil, names...)
	pair, err := tls.X509KeyPair([]byte(leaf.Cert), []byte(leaf.Key))
	if err != nil {
		t.Fatal(err)
	}
	a.server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, c, by *x509.Certificate, key, signer *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Leaf issues a certificate for 127.0.0.1, the addresses and the names.
func (a *API) Leaf(t testing.TB, cn string, org []string, names ...string) kube.Leaf {
	key := newKey(t)
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: cn, Organization: org}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der := sign(t, c, a.ca, key, a.key)
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return kube.Leaf{CA: a.CA, Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}))}
}

// Dial reaches the server under any address.
func (a *API) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, a.server.Listener.Addr().String())
}

// Set puts an object at a path.
func (a *API) Set(p string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(p, object)
}

func (a *API) set(p string, object map[string]any) {
	a.version++
	meta, _ := object["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]any{}
	}
	meta["name"], meta["resourceVersion"] = path.Base(p), strconv.Itoa(a.version)
	object = maps.Clone(object)
	object["metadata"] = meta
	a.objects[p] = object
}

// Get is the object at a path; nil if there is none.
func (a *API) Get(p string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.objects[p]
}

// Clear removes all objects.
func (a *API) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.objects)
}

// Drop removes the object at a path.
func (a *API) Drop(p string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.objects, p)
}

func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if a.Hook != nil && a.Hook(w, r) {
		return
	}
	if r.URL.Path == "/readyz" || r.URL.Path == "/healthz" {
		io.WriteString(w, "ok")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method != http.MethodGet {
		a.Log = append(a.Log, r.Method+" "+r.URL.Path)
	}
	var body map[string]any
	if raw, _ := io.ReadAll(r.Body); len(raw) > 0 && json.Unmarshal(raw, &body) != nil {
		fail(w, http.StatusBadRequest, "BadRequest")
		return
	}
	a.do(w, r, body)
}

func (a *API) do(w http.ResponseWriter, r *http.Request, body map[string]any) {
	p := r.URL.Path
	have := a.objects[p]
	switch r.Method {
	case http.MethodPost:
		p += "/" + text(body, "metadata", "name")
		if a.objects[p] != nil {
			fail(w, http.StatusConflict, "AlreadyExists")
			return
		}
		a.set(p, body)
	case http.MethodPut, http.MethodPatch:
		if have == nil {
			fail(w, http.StatusNotFound, "NotFound")
			return
		}
		if v := text(body, "metadata", "resourceVersion"); v != "" && v != text(have, "metadata", "resourceVersion") {
			fail(w, http.StatusConflict, "Conflict")
			return
		}
		if r.Method == http.MethodPatch {
			body = merge(have, body)
		}
		a.set(p, body)
	case http.MethodDelete:
		if have == nil && len(a.below(p)) == 0 {
			fail(w, http.StatusNotFound, "NotFound")
			return
		}
		for _, o := range append(a.below(p), p) {
			delete(a.objects, o)
		}
		io.WriteString(w, `{"kind":"Status","status":"Success"}`)
		return
	default:
		a.read(w, p, have)
		return
	}
	json.NewEncoder(w).Encode(a.objects[p])
}

// read answers with an object, or with a list where objects are below; the collections of Kubernetes have plural names.
func (a *API) read(w http.ResponseWriter, p string, have map[string]any) {
	switch {
	case have != nil:
		json.NewEncoder(w).Encode(have)
	case strings.HasSuffix(p, "s"):
		items := []any{}
		for _, o := range a.below(p) {
			items = append(items, a.objects[o])
		}
		json.NewEncoder(w).Encode(map[string]any{"items": items})
	default:
		fail(w, http.StatusNotFound, "NotFound")
	}
}

// below is the paths of objects in a collection, that of all namespaces included.
func (a *API) below(p string) []string {
	var out []string
	for o := range a.objects {
		dir := path.Dir(o)
		if dir == p || path.Base(dir) == path.Base(p) && strings.HasPrefix(o, path.Dir(p)+"/namespaces/") {
			out = append(out, o)
		}
	}
	slices.Sort(out)
	return out
}

func fail(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "reason": reason, "message": "kubetest: " + reason})
}

func text(o map[string]any, keys ...string) string {
	for _, k := range keys[:len(keys)-1] {
		o, _ = o[k].(map[string]any)
	}
	s, _ := o[keys[len(keys)-1]].(string)
	return s
}

// merge is RFC 7386.
func merge(have, patch map[string]any) map[string]any {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range patch {
		inner, isMap := v.(map[string]any)
		switch {
		case v == nil:
			delete(out, k)
		case isMap:
			old, _ := out[k].(map[string]any)
			out[k] = merge(old, inner)
		default:
			out[k] = v
		}
	}
	return out
}
