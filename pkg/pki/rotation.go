package pki

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// An authority, and a key of a ring, is replaced in three phases: the new one is trusted beside the old one; it signs; the old
// one is gone. What users are given follows from the phase alone, and whoever moves the phases sees to it that all users have
// been applied in one before the next begins.

// usualHold is how long the old one stays trusted after all has been reissued: tokens of pods live for an hour, are renewed
// within a day, and people keep their kubeconfig for a while.
const usualHold = 25 * time.Hour

// kept is what an authority's secret holds.
type kept struct {
	pair
	Next *pair    `json:"next,omitempty"` // that is to sign
	Old  []string `json:"old,omitempty"`  // certificates of those that signed before
}

func (a *Authority) kept() kept { return kept{pair{Cert: a.pem, Key: a.kpem}, a.next, a.old} }

func (p *PKI) openAuthority(sec *crowbar.Secret) (*Authority, error) {
	var k kept
	if err := p.open(sec, &k); err != nil {
		return nil, err
	}
	a, err := parseAuthority([]byte(k.Cert), []byte(k.Key))
	if err == nil {
		a.next, a.old = k.Next, k.Old
	}
	return a, err
}

// keys is what a generated secret holds: the key itself, or once it has been rotated this.
type keys struct {
	Keys []namedKey `json:"keys"` // the one to use first
	Made int        `json:"made"` // so far, for names
}

type namedKey struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// firstKey is the name of the key that was made first.
const firstKey = "key1"

func (p *PKI) openKeys(sec *crowbar.Secret) (keys, error) {
	var raw json.RawMessage
	if err := p.open(sec, &raw); err != nil {
		return keys{}, err
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		return keys{[]namedKey{{firstKey, one}}, 1}, nil
	}
	var k keys
	return k, json.Unmarshal(raw, &k)
}

// value is what users are given.
func (k keys) value(kind string) string {
	var b strings.Builder
	for _, one := range k.Keys {
		if kind == "ring-p256" || k.Made == 1 {
			b.WriteString(one.Value)
			continue
		}
		b.WriteString(one.Name + ":" + one.Value + "\n")
	}
	return b.String()
}

// Turn moves the rotation of an authority or a key one phase on: from none to trust, reissue, drop, and to none again. hold is
// how long the old one is to stay after the reissue, and is asked for at the beginning; nil = as usual. kind is that of a
// generated key: ring-32 or ring-p256.
func (p *PKI) Turn(s *crowbar.Snapshot, sec *crowbar.Secret, kind string, hold *crowbar.Duration) ([]crowbar.Change, error) {
	d := &draft{PKI: p, s: s, next: s.Next()}
	next := &crowbar.Rotation{Phase: crowbar.PhaseTrust, Since: p.Now().UTC(), Hold: p.hold(sec, kind)}
	if now := sec.Rotation; now != nil {
		c := *now
		c.Since, c.Settled, c.Phase = p.Now().UTC(), time.Time{}, map[string]string{crowbar.PhaseTrust: crowbar.PhaseReissue, crowbar.PhaseReissue: crowbar.PhaseDrop}[now.Phase]
		next = &c
	}
	if hold != nil {
		next.Hold = *hold
	}
	was := *sec
	if was.Rotation = next; next.Phase == "" {
		was.Rotation = nil
	}
	var err error
	if strings.HasPrefix(sec.Name, crowbar.AuthoritySecret("")) {
		err = d.turnAuthority(&was, next.Phase)
	} else {
		err = d.turnKeys(&was, kind, next.Phase)
	}
	if err != nil {
		return nil, crowbar.Errorf(crowbar.KindOf(err), "rotate %s: %w", sec.Name, err)
	}
	return d.changes, nil
}

// hold is a 24th of an authority's life at the most.
func (p *PKI) hold(sec *crowbar.Secret, kind string) crowbar.Duration {
	switch {
	case kind == "ring-32":
		return 0 // what it closed is closed anew before it is dropped
	case kind == "":
		return crowbar.Duration(min(usualHold, p.Authority/24))
	}
	return crowbar.Duration(usualHold)
}

func (d *draft) turnAuthority(sec *crowbar.Secret, phase string) error {
	a, err := d.openAuthority(sec)
	if err != nil {
		return err
	}
	switch phase {
	case crowbar.PhaseTrust:
		name := strings.TrimPrefix(sec.Name, crowbar.AuthoritySecret(""))
		of := ""
		if dep := d.s.Deployment(sec.Deployment); dep != nil {
			of = dep.Name
		}
		n, err := newAuthority(name, of, d.Now(), d.Authority)
		if err != nil {
			return err
		}
		a.next = &pair{Cert: n.pem, Key: n.kpem}
	case crowbar.PhaseReissue:
		n, err := parseAuthority([]byte(a.next.Cert), []byte(a.next.Key))
		if err != nil {
			return err
		}
		n.old = append([]string{a.pem}, a.old...)
		a = n
	case crowbar.PhaseDrop:
		a.old = nil
	}
	return d.put(sec, sec.Deployment, sec.Name, a.kept(), a.cert)
}

func (d *draft) turnKeys(sec *crowbar.Secret, kind, phase string) error {
	if kind != "ring-32" && kind != "ring-p256" {
		return crowbar.Errorf(crowbar.Invalid, "it is generated as %q, which cannot be rotated: those who use it know one alone", kind)
	}
	k, err := d.openKeys(sec)
	if err != nil {
		return err
	}
	switch phase {
	case crowbar.PhaseTrust:
		v, err := fresh(kind)
		if err != nil {
			return err
		}
		k.Made++
		k.Keys = append(k.Keys, namedKey{"key" + strconv.Itoa(k.Made), v})
	case crowbar.PhaseReissue:
		last := len(k.Keys) - 1
		k.Keys = append([]namedKey{k.Keys[last]}, k.Keys[:last]...)
	case crowbar.PhaseDrop:
		k.Keys = k.Keys[:1]
	}
	return d.put(sec, sec.Deployment, sec.Name, k, nil)
}

// Look is what may be known of a secret that is an authority, a leaf or a key; false for others.
func (p *PKI) Look(sec *crowbar.Secret) (c crowbar.Certificate, ok bool, err error) {
	c = crowbar.Certificate{Secret: sec.ID, Name: sec.Name, Trusted: []string{}, Waits: []string{}, UsedBy: []string{}, Rotation: sec.Rotation,
		Ends: sec.NotAfter, Renews: RenewAt(sec)}
	kind, rest, _ := strings.Cut(sec.Name, "/")
	switch kind {
	case "authority":
		c.What = kind
		a, err := p.openAuthority(sec)
		if err != nil {
			return c, true, err
		}
		c.Subject, c.Begins, c.KeyID = a.cert.Subject.CommonName, begins(a.cert), hex.EncodeToString(a.cert.SubjectKeyId)
		for rest := []byte(a.PEM()); sec.Rotation != nil && len(rest) > 0; {
			var b *pem.Block
			if b, rest = pem.Decode(rest); b == nil {
				break
			}
			if x, err := x509.ParseCertificate(b.Bytes); err == nil {
				c.Trusted = append(c.Trusted, hex.EncodeToString(x.SubjectKeyId))
			}
		}
	case "leaf":
		c.What = kind
		_, c.Node, _ = strings.Cut(rest, "/")
		var have pair
		if err := p.open(sec, &have); err != nil {
			return c, true, err
		}
		x, err := parseCert([]byte(have.Cert))
		if err != nil {
			return c, true, err
		}
		c.Subject, c.Begins, c.KeyID, c.Issuer = x.Subject.CommonName, begins(x), hex.EncodeToString(x.SubjectKeyId), hex.EncodeToString(x.AuthorityKeyId)
	case "generate":
		c.What, c.Subject = "key", rest
		k, err := p.openKeys(sec)
		if err != nil {
			return c, true, err
		}
		c.KeyID = k.Keys[0].Name
		for _, one := range k.Keys {
			if sec.Rotation != nil {
				c.Trusted = append(c.Trusted, one.Name)
			}
		}
	default:
		return c, false, nil
	}
	c.Due = p.Due(sec)
	return c, true, nil
}
