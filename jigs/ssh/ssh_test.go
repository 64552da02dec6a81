package ssh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/jig/jigtest"
)

func TestContract(t *testing.T) {
	d := serve(t)
	j := d.jig(t, &book{})
	jigtest.Run(t, func(t *testing.T) jig.Conn {
		c, err := j.Dial(t.Context(), d.node())
		if err != nil {
			t.Fatalf("%v\n%s", err, d.log.String())
		}
		return c
	}, jigtest.Options{Dir: t.TempDir(), Sessions: maxSession})
}

// With a user who is not root everything goes through sudo. The user of this test is a second name of root, and its sudo
// is a script that insists on -n and --.
func TestContractThroughSudo(t *testing.T) {
	d := &sshd{dir: t.TempDir()}
	d.passwd = d.dir + "/passwd"
	known, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(d.passwd, append(known, "admin7:x:0:0::/root:/bin/sh\n"...), 0o644), os.Mkdir(d.dir+"/bin", 0o755),
		os.WriteFile(d.dir+"/bin/sudo", []byte("#!/bin/sh\n[ \"$1\" = -n ] || exit 91; shift; [ \"$1\" = -- ] && shift\necho x >>"+d.dir+"/used; exec \"$@\"\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	d.serve(t, "PATH="+d.dir+"/bin:/usr/bin:/bin")
	j, n := d.jig(t, &book{}), d.node()
	n.SSH.User = "admin7"
	jigtest.Run(t, func(t *testing.T) jig.Conn {
		c, err := j.Dial(t.Context(), n)
		if err != nil {
			t.Fatalf("%v\n%s", err, d.log.String())
		}
		return c
	}, jigtest.Options{Dir: t.TempDir(), Sessions: maxSession})
	if used, _ := os.ReadFile(d.dir + "/used"); len(used) < 50 {
		t.Errorf("sudo was used %d times", len(used)/2)
	}
	if err := os.WriteFile(d.dir+"/bin/sudo", []byte("#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = d.jig(t, &book{}).Dial(t.Context(), n)
	if crowbar.KindOf(err) != crowbar.Unavailable || !strings.Contains(err.Error(), "NOPASSWD") || !strings.Contains(err.Error(), "a password is required") {
		t.Fatalf("error is %v", err)
	}
}

func TestHostKeyIsRecordedOnceAndHeld(t *testing.T) {
	d := serve(t)
	b := &book{}
	n := d.node()
	c, err := d.jig(t, b).Dial(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if !strings.HasPrefix(b.keys[n.ID], "ssh-ed25519 ") {
		t.Fatalf("recorded %q", b.keys[n.ID])
	}
	n.SSH.HostKey = b.keys[n.ID]
	if c, err = d.jig(t, &book{fail: errors.New("must not be called")}).Dial(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	c.Close()
	other := serve(t)
	n.SSH.Port = other.port
	_, err = d.jig(t, b).Dial(t.Context(), n)
	if crowbar.KindOf(err) != crowbar.Conflict {
		t.Fatalf("a changed host key gave %v", err)
	}
	for _, part := range []string{n.Name, other.addr(), "kubeclamp nodes update n7.example.org --host-key 'ssh-ed25519 "} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if strings.Count(err.Error(), "SHA256:") != 2 {
		t.Errorf("the error does not show both fingerprints: %v", err)
	}
}

func TestNothingRunsBeforeTheKeyIsStored(t *testing.T) {
	d := serve(t)
	full := errors.New("the store is full")
	_, err := d.jig(t, &book{fail: full}).Dial(t.Context(), d.node())
	if !errors.Is(err, full) {
		t.Fatalf("error is %v", err)
	}
	_, err = New(Config{KeyFiles: []string{d.keyFile}}).Dial(t.Context(), d.node())
	if crowbar.KindOf(err) != crowbar.Conflict {
		t.Fatalf("error is %v", err)
	}
}

func TestErrorsOfDial(t *testing.T) {
	d := serve(t)
	stranger := serve(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead := d.node()
	dead.SSH.Port = freePort(t)
	mute := d.node()
	mute.SSH.Port = silent.Addr().(*net.TCPAddr).Port
	_ = os.Chmod(stranger.keyFile, 0o600)
	open := d.dir + "/open"
	text, _ := os.ReadFile(d.keyFile)
	_ = os.WriteFile(open, text, 0o644)
	for name, c := range map[string]struct {
		key  string
		node *crowbar.Node
		kind crowbar.ErrorKind
		says string
	}{
		"wrong key":      {stranger.keyFile, d.node(), crowbar.Unavailable, "authorized_keys"},
		"nobody listens": {d.keyFile, dead, crowbar.Unavailable, "connection refused"},
		"no answer":      {d.keyFile, mute, crowbar.Unavailable, "deadline"},
		"key missing":    {d.dir + "/no", d.node(), crowbar.Invalid, "no such file"},
		"key open":       {open, d.node(), crowbar.Invalid, "chmod 600"},
		"no address":     {d.keyFile, &crowbar.Node{Name: "x"}, crowbar.Invalid, "nodes update x"},
		"bad record":     {d.keyFile, &crowbar.Node{Name: "x", Address: "127.0.0.1", SSH: crowbar.SSH{HostKey: "garbage"}}, crowbar.Invalid, "authorized_keys form"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := New(Config{KeyFiles: []string{c.key}, Record: (&book{}).Record}).Dial(ctx, c.node)
			if err == nil || crowbar.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("kind %v: %v", crowbar.KindOf(err), err)
			}
		})
	}
}

func TestLostLine(t *testing.T) {
	d := serve(t)
	relay := newRelay(t, d.addr())
	n := d.node()
	n.SSH.Port = relay.port()
	j := d.jig(t, &book{})
	c, err := j.Dial(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	if err := c.Put(t.Context(), dir+"/f", 0o600, strings.NewReader("old")); err != nil {
		t.Fatal(err)
	}
	slow, feed := io.Pipe()
	failed := make(chan error, 1)
	go func() { failed <- c.Put(t.Context(), dir+"/f", 0o600, slow) }()
	feed.Write(make([]byte, 1<<20))
	relay.cut()
	go feed.Write(make([]byte, 1<<20))
	if err := <-failed; crowbar.KindOf(err) != crowbar.Unavailable {
		t.Fatalf("error is %v", err)
	}
	feed.Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		if names, _ := os.ReadDir(dir); len(names) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the half file is still there")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if b, _ := os.ReadFile(dir + "/f"); string(b) != "old" {
		t.Fatalf("the file is %d bytes now", len(b))
	}
	again, err := j.Dial(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := jig.Run(t.Context(), again, jig.Cmd{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
}

// A server that stops answering, without closing anything, is given up after 15 s.
func TestHungServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	d := serve(t)
	c, err := d.jig(t, &book{}).Dial(t.Context(), d.node())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	out, err := jig.Run(t.Context(), c, jig.Cmd{Argv: []string{"/bin/sh", "-c", `p=$PPID; echo $p; while read -r _ v <"/proc/$p/stat" && p=$(cut -d' ' -f4 /proc/$p/stat) && [ "$p" != 1 ] && grep -q sshd /proc/$p/comm; do echo $p; done 2>/dev/null; true`}})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(out) {
		if pid != itoa(d.cmd.Process.Pid) {
			signal(t, pid, syscall.SIGSTOP)
			defer signal(t, pid, syscall.SIGKILL)
		}
	}
	start := time.Now()
	_, err = c.Exec(t.Context(), jig.Cmd{Argv: []string{"true"}})
	if took := time.Since(start); crowbar.KindOf(err) != crowbar.Unavailable || took > 25*time.Second || !strings.Contains(err.Error(), "no byte from it") {
		t.Fatalf("after %s: %v", took, err)
	}
}

func TestDiskFull(t *testing.T) {
	d := serve(t)
	c, err := d.jig(t, &book{}).Dial(t.Context(), d.node())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount a small disk: %s", out)
	}
	defer exec.Command("umount", dir).Run()
	err = c.Put(t.Context(), dir+"/big", 0o600, bytes.NewReader(make([]byte, 8<<20)))
	if err == nil || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "KiB of 1024 free on "+dir) || !strings.Contains(err.Error(), dir+"/big") {
		t.Fatalf("error is %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func BenchmarkPut(b *testing.B) {
	d := serve(b)
	c, err := d.jig(b, &book{}).Dial(b.Context(), d.node())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	dir := b.TempDir()
	data := make([]byte, 200<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := c.Put(b.Context(), dir+"/f", 0o755, bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExec(b *testing.B) {
	d := serve(b)
	c, err := d.jig(b, &book{}).Dial(b.Context(), d.node())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		if _, err := c.Exec(b.Context(), jig.Cmd{Argv: []string{"true"}}); err != nil {
			b.Fatal(err)
		}
	}
}
