package engine

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// cluster is the shipped roles on three nodes with a PKI that makes real certificates, and what each node was given last.
type cluster struct {
	*world
	keeper *pki.PKI
	given  map[string]crowbar.Data // "role@node"
	runs   int
	leaves map[string]bool // that ever were
	roots  map[string]bool
	keys   map[string]bool
}

func clusterOf(t *testing.T) *cluster {
	t.Helper()
	w := &world{t: t, store: storetest.NewMemory(), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	ring, err := pki.NewRing(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{world: w, keeper: pki.Over(ring), given: map[string]crowbar.Data{}, leaves: map[string]bool{}, roots: map[string]bool{}, keys: map[string]bool{}}
	now := func() time.Time { return w.clock }
	c.keeper.Now = now
	w.Engine = New(Config{Store: w.store, PKI: c.keeper, Ring: ring, Owner: "me", Now: now})
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cat, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Import(t.Context(), cat); err != nil {
		t.Fatal(err)
	}
	doc := crowbar.Cluster{Deployment: "k"}
	for i := range 3 {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: fmt.Sprintf("n%d", i+1), Address: fmt.Sprintf("10.0.0.%d", i+1), Roles: []string{"etcd", "k8s-master", "dns-pool", "k8s-minion"}})
	}
	w.apply(doc)
	c.work()
	return c
}

// work runs what can run, and looks after each run whether everybody still gets along with everybody.
func (c *cluster) work() (ran []string) {
	c.t.Helper()
	return c.drain(func(w *crowbar.Work) crowbar.Outcome {
		c.runs++
		c.given[w.Role.Name+"@"+w.Node.Short()] = w.Attribs
		c.note(w.Attribs)
		return crowbar.Outcome{}
	})
}

func (c *cluster) note(d crowbar.Data) {
	for name, v := range d {
		switch m := v.(type) {
		case map[string]any:
			if cert, ok := m["cert"].(string); ok {
				c.leaves[cert] = true
				c.roots[first(m["ca"].(string))] = true
			}
		case string:
			if name == "k8s-master-encryption-key" || name == "k8s-master-service-account-key" {
				c.keys[m] = true
			}
		}
	}
}

func first(text string) string {
	b, _ := pem.Decode([]byte(text))
	return string(b.Bytes)
}

// along says what does not verify: any leaf by anybody who was given its authority.
func (c *cluster) along() (bad []string) {
	trust, leaves := map[string]map[string]string{}, map[string]map[string]string{} // authority -> who -> PEM
	put := func(m map[string]map[string]string, authority, who, text string) {
		if m[authority] == nil {
			m[authority] = map[string]string{}
		}
		m[authority][who] = text
	}
	attribs := map[string]string{"etcd-ca": "etcd", "kubernetes-ca": "kubernetes", "front-proxy-ca": "front-proxy"}
	for a := range c.View().Attribs() {
		if a.Leaf != nil {
			attribs[a.Name] = a.Leaf.Authority
		}
	}
	for who, d := range c.given {
		for name, v := range d {
			switch v := v.(type) {
			case string:
				if attribs[name] != "" {
					put(trust, attribs[name], who+" "+name, v)
				}
			case map[string]any:
				if cert, ok := v["cert"].(string); ok {
					put(trust, attribs[name], who+" "+name, v["ca"].(string))
					put(leaves, attribs[name], who+" "+name, cert)
				}
			}
		}
	}
	for authority, all := range leaves {
		checked := map[string]bool{}
		for who, cert := range all {
			x, _ := x509.ParseCertificate([]byte(first(cert)))
			for by, ca := range trust[authority] {
				if checked[cert+ca] {
					continue
				}
				checked[cert+ca] = true
				roots := x509.NewCertPool()
				roots.AppendCertsFromPEM([]byte(ca))
				if _, err := x.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: c.clock, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
					bad = append(bad, who+" by "+by+": "+err.Error())
				}
			}
		}
	}
	return bad
}

func (c *cluster) look() bool {
	c.t.Helper()
	busy, err := c.keepCertificates(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return busy
}

// phases is those in which something is.
func (c *cluster) phases() []string {
	c.t.Helper()
	list, err := c.Certificates()
	if err != nil {
		c.t.Fatal(err)
	}
	got := map[string]bool{}
	for _, one := range list {
		if one.Rotation != nil {
			got[one.Rotation.Phase] = true
		}
	}
	return slices.Sorted(maps.Keys(got))
}

// TestElevenYearsOfACluster moves the daemon's clock over eleven years, four weeks at a time, with a look of the keeper at each: no
// day of them has a certificate that somebody would refuse, whatever has run by then; every leaf and both authorities are replaced.
func TestElevenYearsOfACluster(t *testing.T) {
	c := clusterOf(t)
	begin := c.clock
	var leaf, root = len(c.leaves), len(c.roots)
	for c.clock.Before(begin.Add(11 * 365 * 24 * time.Hour)) {
		c.clock = c.clock.Add(28 * 24 * time.Hour)
		c.look()
		if all := c.phases(); len(all) > 1 {
			t.Errorf("on %s authorities that are of one age are not rotated together: %s", c.clock.Format(time.DateOnly), all)
		}
		c.work()
		if bad := c.along(); len(bad) > 0 {
			t.Fatalf("on %s: %s", c.clock.Format(time.DateOnly), strings.Join(bad, "\n"))
		}
	}
	t.Logf("eleven years: %d leaves and %d authorities at first, %d and %d in all, %d runs", leaf, root, len(c.leaves), len(c.roots), c.runs)
	if len(c.leaves) < leaf*16 || len(c.roots) != 2*root {
		t.Errorf("%d leaves, %d authorities", len(c.leaves), len(c.roots))
	}
	for sec := range c.View().Secrets() {
		if sec.Rotation != nil {
			t.Errorf("%s is still in phase %s", sec.Name, sec.Rotation.Phase)
		}
	}
}

// TestRotationPhases: no phase begins before everybody has been applied in the one before, a hold is kept, and everybody gets
// along with everybody after every single run.
func TestRotationPhases(t *testing.T) {
	c := clusterOf(t)
	before := c.runs
	none := crowbar.Duration(0)
	plan, err := c.Rotate(t.Context(), crowbar.RotateWish{Plan: true})
	if err != nil || len(plan) != 3*5 || plan[0].State != "to come" || c.look() {
		t.Fatalf("%d steps, %v", len(plan), err)
	}
	if _, err := c.Rotate(t.Context(), crowbar.RotateWish{Names: []string{"etcd-cluster-token"}}); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a token is rotated: %v", err)
	}
	if _, err := c.Rotate(t.Context(), crowbar.RotateWish{Names: []string{"nothing"}}); crowbar.KindOf(err) != crowbar.NotFound {
		t.Errorf("nothing is rotated: %v", err)
	}
	hold := crowbar.Duration(time.Hour)
	if _, err := c.Rotate(t.Context(), crowbar.RotateWish{Hold: &hold}); err != nil {
		t.Fatal(err)
	}
	phase := func() string { return strings.Join(c.phases(), ",") }
	for i, want := range []string{crowbar.PhaseTrust, crowbar.PhaseReissue} {
		if i > 0 {
			c.look()
		}
		ran := c.drain(func(w *crowbar.Work) crowbar.Outcome {
			if got := phase(); got != want {
				t.Errorf("phase %q, want %q", got, want)
			}
			c.given[w.Role.Name+"@"+w.Node.Short()] = w.Attribs
			if bad := c.along(); len(bad) > 0 {
				t.Errorf("in %s, after %s on %s: %s", want, w.Role.Name, w.Node.Short(), strings.Join(bad, "\n"))
			}
			if !c.look() || phase() != want {
				t.Errorf("the phase moved on while it was under way: %s", phase())
			}
			return crowbar.Outcome{}
		})
		if slices.Index(ran, "etcd@n3") > slices.Index(ran, "k8s-master@n1") || slices.Index(ran, "k8s-minion@n1") < 0 {
			t.Errorf("%s: %v", want, ran)
		}
	}
	c.look()
	if ran := c.work(); len(ran) > 0 || phase() != crowbar.PhaseReissue {
		t.Errorf("not held: %v, %s", ran, phase())
	}
	if _, err := c.Rotate(t.Context(), crowbar.RotateWish{Hold: &none}); err != nil { // what waits goes on
		t.Fatal(err)
	}
	for range 3 {
		c.look()
		c.work()
		if bad := c.along(); len(bad) > 0 {
			t.Errorf("%s", strings.Join(bad, "\n"))
		}
	}
	if c.look() || phase() != "" {
		t.Errorf("not at its end: %s", phase())
	}
	if key := c.given["k8s-master@n1"]["k8s-master-encryption-key"].(string); !strings.HasPrefix(key, "key2:") || strings.Contains(key, "key1") {
		t.Error("the encryption key is not the second one alone")
	}
	t.Logf("%d runs", c.runs-before)
}

func TestRenewal(t *testing.T) {
	c := clusterOf(t)
	if names, err := c.Renew(t.Context(), crowbar.RenewWish{}); err != nil || len(names) != 0 {
		t.Errorf("nothing is due: %v, %v", names, err)
	}
	names, err := c.Renew(t.Context(), crowbar.RenewWish{All: true, Name: "etcd-peer-leaf", Node: "n2"})
	if err != nil || !slices.Equal(names, []string{"leaf/etcd-peer-leaf/n2"}) {
		t.Errorf("%v, %v", names, err)
	}
	old := c.given["etcd@n2"]["etcd-peer-leaf"].(map[string]any)["cert"]
	if ran := c.work(); !slices.Equal(ran, []string{"etcd@n2"}) || c.given["etcd@n2"]["etcd-peer-leaf"].(map[string]any)["cert"] == old {
		t.Errorf("ran %v", ran)
	}
	c.clock = c.clock.Add(pki.LeafLife * 3 / 4)
	// Node by node: the next one is not touched before the one before is done.
	seen := []string{}
	for c.look() {
		at := ""
		for _, r := range c.work() {
			if _, node, _ := strings.Cut(r, "@"); at == "" {
				at = node
			} else if node != at {
				t.Errorf("%s runs beside %s", r, at)
			}
		}
		seen = append(seen, at)
		if len(seen) > 5 {
			t.Fatal(seen)
		}
	}
	if len(seen) != 3 {
		t.Errorf("nodes %v", seen)
	}
	list, err := c.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range list {
		if one.What == "leaf" && (one.Due || len(one.UsedBy) != 1) {
			t.Errorf("%+v", one)
		}
	}
	// A deployment that a person has halted stays as it is.
	c.clock = c.clock.Add(pki.LeafLife * 3 / 4)
	if err := c.Pause(t.Context(), c.id("k"), true); err != nil {
		t.Fatal(err)
	}
	if c.look() {
		t.Error("something begins in a deployment that is halted")
	}
	_, err = c.Rotate(t.Context(), crowbar.RotateWish{Names: []string{"etcd"}})
	if crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("rotated while halted: %v", err)
	}
}

// TestKeeperWorksByItself: the loop brings a rotation to its end while runs come and go.
func TestKeeperWorksByItself(t *testing.T) {
	c := clusterOf(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- c.KeepCertificates(ctx, 5*time.Millisecond) }()
	none := crowbar.Duration(0)
	if _, err := c.Rotate(ctx, crowbar.RotateWish{Names: []string{"front-proxy"}, Hold: &none}); err != nil {
		t.Fatal(err)
	}
	for s := range c.Watch(ctx) {
		if s.SecretNamed(c.id("k"), "authority/front-proxy").Rotation == nil {
			break
		}
		c.work()
	}
	if ctx.Err() != nil {
		t.Fatal("it does not come to its end")
	}
	stop()
	<-ended
}
