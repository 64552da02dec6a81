// Package pki makes and keeps a deployment's secrets: certificate authorities, one leaf a node, and generated keys, and the
// ring of keys that seals what is secret at rest. It does not know which attrib wants them, where the state is stored, or how a file gets to a node.
//
// Value is a function of the state, the clock and the wish: what is stored, fits and is young enough is given back with no
// change, and only otherwise is something new made, which comes back as Changes to be committed with it.
package pki

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The lives of what is issued. Everything is renewed when two thirds of its life are over.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	LeafLife      = 365 * 24 * time.Hour
	backdate      = 5 * time.Minute // a node's clock may be a little behind the host's
)

// PKI makes values and opens what it sealed. It is safe for concurrent use.
type PKI struct {
	Now  func() time.Time // the clock; set by New, replaced in tests
	Ring *Ring
	Lives
}

// Lives is how long certificates live.
type Lives struct{ Authority, Leaf time.Duration }

// New makes a PKI with the one key that seals its secrets, of 32 bytes.
func New(key []byte) (*PKI, error) {
	r, err := NewRing(key)
	if err != nil {
		return nil, err
	}
	return Over(r), nil
}

// Over makes a PKI whose secrets are sealed by a ring.
func Over(r *Ring) *PKI {
	return &PKI{Now: time.Now, Ring: r, Lives: Lives{AuthorityLife, LeafLife}}
}

// Value gives the value of a computed attrib, and the secrets to store if it had to be made or renewed. New secrets have
// ids from s.Next() upward.
//
//	leaf:                {"cert": PEM, "key": PEM, "ca": PEM certificates of its authority}
//	authority:           PEM certificates
//	generate random-32:  base64 of 32 bytes
//	generate ecdsa-p256: PEM private key (EC PRIVATE KEY)
//	generate ring-32:    the same as random-32; once it has been rotated, a line NAME:BASE64 for each key, the one to use first
//	generate ring-p256:  the same as ecdsa-p256; while it is rotated, two, the one to sign with first
func (p *PKI) Value(s *crowbar.Snapshot, w crowbar.Computed) (any, []crowbar.Change, error) {
	d := &draft{PKI: p, s: s, next: s.Next()}
	var value any
	var err error
	switch {
	case w.Leaf != nil:
		value, err = d.leaf(w)
	case w.Authority != "":
		var a *Authority
		if a, err = d.authority(w.Deployment, w.Authority); err == nil {
			value = a.PEM()
		}
	case w.Generate != "":
		value, err = d.generate(w)
	default:
		err = crowbar.Errorf(crowbar.Invalid, "none of leaf, generate and authority is set: give it one in barclamp.yaml")
	}
	if err != nil {
		return nil, nil, crowbar.Errorf(crowbar.KindOf(err), "compute attrib %q of deployment %d, node %q: %w", w.Attrib, w.Deployment, w.Node, err)
	}
	return value, d.changes, nil
}

// Due is every certificate of the state of which two thirds of its life are over at now, soonest end first.
func Due(s *crowbar.Snapshot, now time.Time) []*crowbar.Secret {
	var out []*crowbar.Secret
	for x := range s.All(crowbar.KindSecret) {
		sec := x.(*crowbar.Secret)
		if !sec.NotAfter.IsZero() && now.After(RenewAt(sec)) {
			out = append(out, sec)
		}
	}
	slices.SortStableFunc(out, func(a, b *crowbar.Secret) int { return cmp.Compare(a.NotAfter.Unix(), b.NotAfter.Unix()) })
	return out
}

// Due says that two thirds of a certificate's life are over.
func (p *PKI) Due(sec *crowbar.Secret) bool {
	at := RenewAt(sec)
	return !at.IsZero() && p.Now().After(at)
}

// RenewAt is when two thirds of a certificate's life are over; zero for keys.
func RenewAt(sec *crowbar.Secret) time.Time {
	if sec.NotAfter.IsZero() {
		return time.Time{}
	}
	begins := sec.NotBefore
	if begins.IsZero() {
		begins = sec.NotAfter.Add(-LeafLife)
		if strings.HasPrefix(sec.Name, crowbar.AuthoritySecret("")) {
			begins = sec.NotAfter.Add(-AuthorityLife)
		}
	}
	return begins.Add(sec.NotAfter.Sub(begins) * 2 / 3)
}

// draft gathers the changes of one Value.
type draft struct {
	*PKI
	s       *crowbar.Snapshot
	next    crowbar.ID
	changes []crowbar.Change
}

// pair is what a certificate's sealed secret holds.
type pair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// authority finds the authority in the deployment or above it, and makes it in the deployment where there is none.
func (d *draft) authority(deployment crowbar.ID, name string) (*Authority, error) {
	secret := crowbar.AuthoritySecret(name)
	dep := d.s.Deployment(deployment)
	if dep == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no deployment %d", deployment)
	}
	for at, hops := dep, 0; at != nil && hops < 64; at, hops = d.s.Deployment(at.Parent), hops+1 {
		old := d.s.SecretNamed(at.ID, secret)
		if old == nil {
			continue
		}
		a, err := d.openAuthority(old)
		if err != nil || !late(a.cert, d.Now()) {
			return a, err
		}
		// Its rotation, which began when it was due, has not come to its end: the same key gets a new life meanwhile.
		if err := a.renew(d.Now(), d.Authority); err != nil {
			return nil, err
		}
		return a, d.put(old, at.ID, secret, a.kept(), a.cert)
	}
	// gofail: var beforeAuthority struct{}
	a, err := newAuthority(name, dep.Name, d.Now(), d.Authority)
	if err != nil {
		return nil, err
	}
	return a, d.put(nil, deployment, secret, a.kept(), a.cert)
}

func (d *draft) leaf(w crowbar.Computed) (any, error) {
	want, err := wanted(*w.Leaf)
	if err != nil {
		return nil, err
	}
	a, err := d.authority(w.Deployment, w.Leaf.Authority)
	if err != nil {
		return nil, err
	}
	name := w.Secret()
	old := d.s.SecretNamed(w.Deployment, name)
	var p pair
	if old != nil {
		if err := d.open(old, &p); err != nil {
			return nil, err
		}
	}
	if old == nil || !a.serves(p, want, d.Now()) {
		cert, key, made, err := a.issue(want, d.Now(), d.Leaf)
		// gofail: var leafIssued struct{}
		if err != nil {
			return nil, err
		}
		p = pair{Cert: cert, Key: key}
		if err := d.put(old, w.Deployment, name, p, made); err != nil {
			return nil, err
		}
	}
	return crowbar.Data{"cert": p.Cert, "key": p.Key, "ca": a.PEM()}, nil
}

func (d *draft) generate(w crowbar.Computed) (any, error) {
	if old := d.s.SecretNamed(w.Deployment, w.Secret()); old != nil {
		keys, err := d.openKeys(old)
		return keys.value(w.Generate), err
	}
	if d.s.Deployment(w.Deployment) == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no deployment %d", w.Deployment)
	}
	v, err := fresh(w.Generate)
	if err != nil {
		return nil, err
	}
	// gofail: var generated struct{}
	return v, d.put(nil, w.Deployment, w.Secret(), v, nil)
}

// fresh is a new key of a kind.
func fresh(kind string) (string, error) {
	switch kind {
	case "random-32", "ring-32":
		b := make([]byte, 32)
		rand.Read(b) // never fails: crypto/rand ends the program instead
		return base64.StdEncoding.EncodeToString(b), nil
	case "ecdsa-p256", "ring-p256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return "", err
		}
		return keyPEM(key)
	}
	return "", crowbar.Errorf(crowbar.Invalid, "generate %q is not known: use random-32, ecdsa-p256, ring-32 or ring-p256", kind)
}

// put seals a value into a new secret, or into a copy of the old one. cert is whose life the secret has; nil for a key.
func (d *draft) put(old *crowbar.Secret, deployment crowbar.ID, name string, v any, cert *x509.Certificate) error {
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	now := d.Now().UTC()
	sec := &crowbar.Secret{Deployment: deployment, Name: name, Stamps: crowbar.Stamps{CreatedAt: now, UpdatedAt: now}}
	if cert != nil {
		sec.NotBefore, sec.NotAfter = begins(cert).UTC(), cert.NotAfter.UTC()
	}
	if old != nil {
		sec.ID, sec.CreatedAt, sec.Rotation = old.ID, old.CreatedAt, old.Rotation
	} else {
		sec.ID = d.next
		d.next++
	}
	sec.Sealed = d.Ring.Seal(plain, sec.Place())
	d.changes = append(d.changes, crowbar.Change{Put: sec})
	return nil
}

func (p *PKI) open(sec *crowbar.Secret, into any) error {
	plain, err := p.Ring.Open(sec.Sealed, sec.Place())
	if err != nil {
		return crowbar.Errorf(crowbar.KindOf(err), "secret %d %q of deployment %d: %w", sec.ID, sec.Name, sec.Deployment, err)
	}
	return json.Unmarshal(plain, into)
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
