package pki

import (
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// turn moves a rotation one phase on.
func (b *bench) turn(name, kind string) *crowbar.Secret {
	b.Helper()
	changes, err := b.p.Turn(b.s, b.s.SecretNamed(2, name), kind, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.s = b.s.Apply(b.s.Rev()+1, changes...)
	return b.s.SecretNamed(2, name)
}

func verifies(t *testing.T, cert, ca string, now time.Time) bool {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(ca))
	x, err := parseCert([]byte(cert))
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: "n1"})
	return err == nil
}

// TestPhasesOfAnAuthority: between one phase and the next, where some users are in one and some in the other, everybody
// trusts everybody; after the last the old authority is trusted by nobody.
func TestPhasesOfAnAuthority(t *testing.T) {
	b := start(t)
	type given struct{ cert, ca string }
	look := func() given {
		v, _ := b.value(etcdLeaf())
		m := v.(crowbar.Data)
		return given{m["cert"].(string), m["ca"].(string)}
	}
	all := []given{look()}
	for i, phase := range []string{crowbar.PhaseTrust, crowbar.PhaseReissue, crowbar.PhaseDrop, ""} {
		sec := b.turn("authority/etcd", "")
		if got := sec.Rotation; (got == nil) != (phase == "") || got != nil && got.Phase != phase {
			t.Fatalf("turn %d: %+v, want %s", i, got, phase)
		}
		all = append(all, look())
		was, is := all[i], all[i+1]
		for what, ok := range map[string]bool{"new for old": verifies(t, is.cert, was.ca, b.now), "old for new": verifies(t, was.cert, is.ca, b.now), "new for new": verifies(t, is.cert, is.ca, b.now)} {
			if !ok {
				t.Errorf("phase %q: %s does not verify", phase, what)
			}
		}
		if again := look(); again != is {
			t.Errorf("phase %q: a second look gives something else", phase)
		}
		if want := map[string]int{crowbar.PhaseTrust: 2, crowbar.PhaseReissue: 2}[phase]; want > 0 && strings.Count(is.ca, "BEGIN") != want {
			t.Errorf("phase %q: %d certificates are trusted, want %d", phase, strings.Count(is.ca, "BEGIN"), want)
		}
		if changed := was.cert != is.cert; changed != (phase == crowbar.PhaseReissue) {
			t.Errorf("phase %q: the leaf is new: %v", phase, changed)
		}
	}
	if last := all[len(all)-1]; verifies(t, all[0].cert, last.ca, b.now) || strings.Count(last.ca, "BEGIN") != 1 {
		t.Error("the old authority is trusted at the end")
	}
	if all[1].ca != all[2].ca {
		t.Error("who is trusted changes with the reissue: everything would restart once more")
	}
}

func TestPhasesOfAKey(t *testing.T) {
	b := start(t)
	w := crowbar.Computed{Deployment: 2, Attrib: "key", Generate: "ring-32"}
	first, _ := b.value(w)
	if raw, err := base64.StdEncoding.DecodeString(first.(string)); err != nil || len(raw) != 32 {
		t.Fatalf("never rotated: %q", first)
	}
	for round, want := range [][]string{{"key1 key2", "key2 key1", "key2", "key2"}, {"key2 key3", "key3 key2", "key3", "key3"}} {
		for _, names := range want {
			b.turn("generate/key", "ring-32")
			v, _ := b.value(w)
			var got []string
			for line := range strings.Lines(v.(string)) {
				name, key, _ := strings.Cut(strings.TrimSpace(line), ":")
				if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) != 32 {
					t.Errorf("%q is no key", line)
				}
				if name == firstKey && key != first {
					t.Error("the first key has changed")
				}
				got = append(got, name)
			}
			if strings.Join(got, " ") != names {
				t.Errorf("round %d: %v, want %s", round, got, names)
			}
		}
	}
	sa := crowbar.Computed{Deployment: 2, Attrib: "sa", Generate: "ring-p256"}
	one, _ := b.value(sa)
	b.turn("generate/sa", "ring-p256")
	two, _ := b.value(sa)
	if !strings.HasPrefix(two.(string), one.(string)) || strings.Count(two.(string), "BEGIN EC") != 2 {
		t.Error("the old key does not sign on, or the new one is not there")
	}
	b.value(crowbar.Computed{Deployment: 2, Attrib: "token", Generate: "random-32"})
	if _, err := b.p.Turn(b.s, b.s.SecretNamed(2, "generate/token"), "random-32", nil); crowbar.KindOf(err) != crowbar.Invalid {
		t.Errorf("a key that users know one of is rotated: %v", err)
	}
}

// TestElevenYears: the clock goes on day by day; what is due is asked for, an authority that is due is rotated, and there is no
// day on which a certificate that is in use has ended or is not trusted.
func TestElevenYears(t *testing.T) {
	b := start(t)
	leaves, roots, began := map[string]bool{}, map[string]bool{}, b.now
	for b.now.Before(began.Add(11 * 365 * 24 * time.Hour)) {
		for _, sec := range Due(b.s, b.now) {
			if sec.Rotation == nil && strings.HasPrefix(sec.Name, "authority/") {
				b.turn(sec.Name, "")
			}
		}
		v, _ := b.value(etcdLeaf())
		if sec := b.s.SecretNamed(2, "authority/etcd"); sec.Rotation != nil {
			b.turn(sec.Name, "") // all users have been applied, overnight
		}
		m := v.(crowbar.Data)
		leaves[m["cert"].(string)] = true
		a, err := b.p.openAuthority(b.s.SecretNamed(2, "authority/etcd"))
		if err != nil {
			t.Fatal(err)
		}
		roots[a.pem] = true
		b.now = b.now.Add(24 * time.Hour)
		if !verifies(t, m["cert"].(string), m["ca"].(string), b.now) {
			t.Fatalf("on %s the leaf does not verify", b.now.Format(time.DateOnly))
		}
	}
	t.Logf("%d leaves, %d authorities", len(leaves), len(roots))
	if len(leaves) < 16 || len(roots) != 2 {
		t.Errorf("%d leaves, %d authorities", len(leaves), len(roots))
	}
}

func TestLook(t *testing.T) {
	b := start(t)
	b.p.Lives = Lives{Authority: time.Hour, Leaf: 6 * time.Minute}
	b.value(etcdLeaf())
	leaf, ok, err := b.p.Look(b.s.SecretNamed(2, "leaf/etcd-server-leaf/n1"))
	if err != nil || !ok || leaf.Node != "n1" || leaf.Subject != "n1" || leaf.What != "leaf" || !leaf.Begins.Equal(b.now) || leaf.Ends.Sub(b.now) != 6*time.Minute || leaf.Renews.Sub(b.now) != 4*time.Minute {
		t.Errorf("%+v, %v", leaf, err)
	}
	b.turn("authority/etcd", "")
	root, ok, err := b.p.Look(b.s.SecretNamed(2, "authority/etcd"))
	if err != nil || !ok || root.What != "authority" || len(root.Trusted) != 2 || !slices.Contains(root.Trusted, leaf.Issuer) || root.KeyID != leaf.Issuer {
		t.Errorf("%+v, %v", root, err)
	}
	if got := time.Duration(root.Rotation.Hold); got != time.Hour/24 {
		t.Errorf("held for %s", got)
	}
	b.now = b.now.Add(5 * time.Minute)
	if leaf, _, _ = b.p.Look(b.s.SecretNamed(2, "leaf/etcd-server-leaf/n1")); !leaf.Due {
		t.Error("not due at five sixths")
	}
}
