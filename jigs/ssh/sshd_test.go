package ssh

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// sshd is an OpenSSH server on loopback with keys of its own.
type sshd struct {
	dir, keyFile string
	passwd       string
	port         int
	cmd          *exec.Cmd
	log          bytes.Buffer
}

func serve(t testing.TB, env ...string) *sshd {
	t.Helper()
	return (&sshd{dir: t.TempDir()}).serve(t, env...)
}

func (d *sshd) serve(t testing.TB, env ...string) *sshd {
	t.Helper()
	bin, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		t.Fatal("the tests of jig ssh need OpenSSH's server: apt-get install -y openssh-server (make test does it)")
	}
	d.keyFile = filepath.Join(d.dir, "user")
	user := d.newKey(t, "user")
	d.newKey(t, "host")
	if err := os.WriteFile(filepath.Join(d.dir, "authorized"), ssh.MarshalAuthorizedKey(user.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.MkdirAll("/run/sshd", 0o755)
	d.port = freePort(t)
	conf := []string{fmt.Sprintf("ListenAddress 127.0.0.1:%d", d.port), "HostKey " + d.dir + "/host", "AuthorizedKeysFile " + d.dir + "/authorized",
		"PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
		"SetEnv " + strings.Join(append([]string{"SHLVL=2"}, env...), " ")} // SHLVL: bash then leaves the tester's own ~/.bashrc alone
	if err := os.WriteFile(filepath.Join(d.dir, "conf"), []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.start(t, bin, "-D", "-e", "-f", filepath.Join(d.dir, "conf"))
	return d
}

func (d *sshd) start(t testing.TB, argv ...string) {
	t.Helper()
	if d.passwd != "" { // its own view of /etc/passwd
		argv = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c", `mount --bind "$0" /etc/passwd && exec "$@"`, d.passwd}, argv...)
	}
	d.cmd = exec.Command(argv[0], argv[1:]...)
	d.cmd.Stderr = &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill(); d.cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", d.addr())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not answer: %v\n%s", err, d.log.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (d *sshd) addr() string { return fmt.Sprintf("127.0.0.1:%d", d.port) }

func (d *sshd) newKey(t testing.TB, name string) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// book is where host keys are recorded.
type book struct {
	mu   sync.Mutex
	keys map[crowbar.ID]string
	fail error
}

func (b *book) Record(_ context.Context, id crowbar.ID, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	if b.keys == nil {
		b.keys = map[crowbar.ID]string{}
	}
	b.keys[id] = key
	return nil
}

func (d *sshd) node() *crowbar.Node {
	return &crowbar.Node{ID: 7, Name: "n7.example.org", Address: "127.0.0.1", SSH: crowbar.SSH{Port: d.port}}
}

func (d *sshd) jig(t testing.TB, b *book) *Jig {
	j := New(Config{KeyFiles: []string{d.keyFile}, Record: b.Record})
	t.Cleanup(func() { j.Close() })
	return j
}
