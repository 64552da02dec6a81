package ssh

import (
	"errors"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// pin compares the key that a node shows with the one on record.
type pin struct {
	to      target
	node    string
	want    ssh.PublicKey // nil = first contact
	seen    ssh.PublicKey
	refusal error
}

func newPin(n *crowbar.Node, to target) (*pin, error) {
	p := &pin{to: to, node: n.Name}
	if n.SSH.HostKey == "" {
		return p, nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(n.SSH.HostKey))
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "the host key on record for node %s is not in authorized_keys form (`ssh-ed25519 AAAA...`): %w: set it with `kubeclamp nodes update %s --host-key ...`", n.Name, err, n.Name)
	}
	p.want = key
	return p, nil
}

var errHostKey = errors.New("host key refused")

func (p *pin) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	p.seen = key
	if p.want == nil || line(key) == line(p.want) {
		return nil
	}
	p.refusal = p.refuse(ssh.FingerprintSHA256(key), "is shown now")
	return errHostKey
}

func (p *pin) refuse(what, how string) error {
	accept := ""
	if p.seen != nil {
		accept = line(p.seen)
	}
	return crowbar.Errorf(crowbar.Conflict, "the host key of node %s at %s has changed: %s is on record, %s %s. Either the node was installed anew, or something else answers at its address: find out which on the node's console; if it is right, accept it with `kubeclamp nodes update %s --host-key '%s'`",
		p.node, p.to.addr, ssh.FingerprintSHA256(p.want), what, how, p.node, accept)
}

// algorithms asks the server for the kind of key on record, so that it does not show another of its own.
func (p *pin) algorithms() []string {
	if p.want == nil {
		return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	if p.want.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{p.want.Type()}
}

// line is a key in authorized_keys form without a comment.
func line(k ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k))) }
