package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// connect makes a new connection: TCP, host key, login, record of a new key, and a look whether sudo works.
func (j *Jig) connect(ctx context.Context, n *crowbar.Node, to target) (*link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, dialLimit, fmt.Errorf("no SSH login within %s", dialLimit))
	defer cancel()
	pin, err := newPin(n, to)
	if err != nil {
		return nil, err
	}
	signers, done, err := j.signers(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	raw, err := (&net.Dialer{KeepAlive: silence}).DialContext(ctx, "tcp", to.addr)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "connect to %s: %w: is the node up, the address right, and sshd listening there?", to, cause(ctx, err))
	}
	tap := &tapped{Conn: raw}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	client, chans, reqs, err := ssh.NewClientConn(tap, to.addr, &ssh.ClientConfig{
		User:              to.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signers...)},
		HostKeyCallback:   pin.check,
		HostKeyAlgorithms: pin.algorithms(),
		ClientVersion:     "SSH-2.0-kubeclamp",
	})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		raw.Close()
		return nil, loginError(ctx, to, signers, pin, err)
	}
	l := newLink(j, to, ssh.NewClient(client, chans, reqs), tap, pin.seen)
	if err := j.settle(ctx, n, l, pin); err != nil {
		l.fail(err)
		return nil, err
	}
	return l, nil
}

// settle stores a new host key before anything is run, then finds out whether a login that is not root may use sudo.
func (j *Jig) settle(ctx context.Context, n *crowbar.Node, l *link, p *pin) error {
	if p.want == nil {
		if j.cfg.Record == nil {
			return crowbar.Errorf(crowbar.Conflict, "connect to %s: its host key %s is not known and there is nowhere to record it: give it with `kubeclamp nodes update %s --host-key '%s'`",
				l.to, ssh.FingerprintSHA256(p.seen), n.Name, line(p.seen))
		}
		if err := j.cfg.Record(ctx, n.ID, line(p.seen)); err != nil {
			return fmt.Errorf("record the host key of %s: %w", l.to, err)
		}
		j.cfg.Log.Info("host key recorded at first contact", "node", n.Name, "address", l.to.addr, "fingerprint", ssh.FingerprintSHA256(p.seen))
	}
	if l.to.user == "root" {
		return nil
	}
	exit, err := l.run(ctx, "exec sudo -n true", jig.Cmd{Argv: []string{"sudo", "-n", "true"}})
	if err != nil {
		return err
	}
	if exit.Code != 0 {
		return crowbar.Errorf(crowbar.Unavailable, "user %s on %s cannot become root: %s: allow it with a line `%s ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d/kubeclamp there",
			l.to.user, l.to, bytes.TrimSpace(exit.Stderr), l.to.user)
	}
	return nil
}

// signers gathers the keys to log in with; done must be called after the handshake.
func (j *Jig) signers(ctx context.Context) (all []ssh.Signer, done func(), err error) {
	done = func() {}
	all = append(all, j.cfg.Signers...)
	for _, path := range j.cfg.KeyFiles {
		s, err := readKey(path)
		if err != nil {
			return nil, done, err
		}
		all = append(all, s)
	}
	if j.cfg.AgentSocket != "" {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", j.cfg.AgentSocket)
		if err == nil {
			done = func() { c.Close() }
			more, _ := agent.NewClient(c).Signers()
			all = append(all, more...)
		} else if len(all) == 0 {
			return nil, done, crowbar.Errorf(crowbar.Unavailable, "ssh-agent at %s: %w: start it, or give a key file", j.cfg.AgentSocket, err)
		}
	}
	if len(all) == 0 {
		return nil, done, crowbar.Errorf(crowbar.Invalid, "there is no SSH key to log in with: give one with --ssh-key FILE, or load one into ssh-agent")
	}
	return all, done, nil
}

func readKey(path string) (ssh.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "ssh key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "ssh key %s may be read by others (mode %04o): run chmod 600 %s", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "ssh key: %w", err)
	}
	s, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, crowbar.Errorf(crowbar.Invalid, "ssh key %s has a passphrase: load it into ssh-agent, or give a key without one", path)
	}
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "ssh key %s: %w", path, err)
	}
	return s, nil
}

func loginError(ctx context.Context, to target, keys []ssh.Signer, p *pin, err error) error {
	if p.refusal != nil {
		return p.refusal
	}
	if strings.Contains(err.Error(), "unable to authenticate") {
		prints := make([]string, len(keys))
		for i, k := range keys {
			prints[i] = ssh.FingerprintSHA256(k.PublicKey())
		}
		return crowbar.Errorf(crowbar.Unavailable, "log in to %s as %s: the node refused every key that was offered (%s): add the public key to ~%s/.ssh/authorized_keys there",
			to, to.user, strings.Join(prints, ", "), to.user)
	}
	if strings.Contains(err.Error(), "no common algorithm for host key") && p.want != nil {
		return p.refuse("a key of another kind", "is not offered any more")
	}
	return crowbar.Errorf(crowbar.Unavailable, "connect to %s: SSH handshake: %w: is it an SSH server that answers there?", to, cause(ctx, err))
}

// cause prefers the reason for which the context ended to the error that this made.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// tapped notes when the node was last heard: by the time since the program began, for the machine's clock may be set meanwhile.
type tapped struct {
	net.Conn
	heard atomic.Int64 // ns since began
}

var began = time.Now()

func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.heard.Store(int64(time.Since(began)))
	}
	return n, err
}

func (t *tapped) quiet() time.Duration { return time.Since(began) - time.Duration(t.heard.Load()) }
