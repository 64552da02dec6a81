package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/api"
)

// sshHere starts OpenSSH's server on loopback, and has the name ssh be a client that knows it and is let in.
func sshHere(t *testing.T) (to string) {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
		t.Fatal("this test needs OpenSSH's server: apt-get install -y openssh-server (make test does it)")
	}
	if os.Geteuid() != 0 {
		t.Skip("OpenSSH's server lets in root alone here")
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(at)
	for _, name := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	host, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	_ = os.MkdirAll("/run/sshd", 0o755)
	for name, text := range map[string]string{
		"server":      fmt.Sprintf("ListenAddress %s\nHostKey %s/host\nAuthorizedKeysFile %[2]s/user.pub\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n", at, dir),
		"known_hosts": fmt.Sprintf("[127.0.0.1]:%s %s", port, host),
		"ssh":         fmt.Sprintf("#!/bin/sh\nexec %s -F none -i %[2]s/user -o UserKnownHostsFile=%[2]s/known_hosts -o StrictHostKeyChecking=yes \"$@\"\n", client, dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(dir, "server"))
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Process.Kill(); _ = d.Wait() })
	for limit := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			break
		} else if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return "ssh://root@" + at
}

// --copy-to puts a tree onto the server's machine, whole or not at all, takes the place of the one before, and touches nothing else.
func TestInstallCopies(t *testing.T) {
	to := sshHere(t)
	anOld(t, api.CompatCrowbar)
	tree, there := t.TempDir(), filepath.Join(t.TempDir(), "opt", "shop")
	said := func(code int, want string, args ...string) {
		t.Helper()
		args = append(append([]string{"barclamps"}, args...), "--into", os.Getenv("CROWBAR_ENDPOINT"), "--copy-to", to, "--path", there)
		if out, errs, got := cli(t, args...); got != code || !strings.Contains(out+errs, want) {
			t.Fatalf("%v: %d, want %d and %q\n%s%s", args, got, code, want, out, errs)
		}
	}
	put := func(name, text string) {
		t.Helper()
		at := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(want ...string) {
		t.Helper()
		var got []string
		_ = filepath.WalkDir(filepath.Dir(there), func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				name, _ := filepath.Rel(filepath.Dir(there), path)
				got = append(got, name)
			}
			return nil
		})
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("there is %v, want %v", got, want)
		}
	}
	const document = "barclamp: { name: shop, version: %d }\ncrowbar: { layout: 2.0 }\nroles:\n- { name: shop-db, jig: script }\n"
	put("crowbar.yml", fmt.Sprintf(document, 1))
	put("script/roles/shop-db/10-a.sh", "true\n")
	said(0, "shop", "install", tree)
	holds("shop/crowbar.yml", "shop/script/roles/shop-db/10-a.sh")
	if i, err := os.Stat(filepath.Join(there, "script/roles/shop-db/10-a.sh")); err != nil || i.Mode() != 0o755 {
		t.Errorf("%v %v", i, err)
	}
	put("crowbar.yml", fmt.Sprintf(document, 2))
	if err := os.Rename(filepath.Join(tree, "script/roles/shop-db/10-a.sh"), filepath.Join(tree, "script/roles/shop-db/20-b.sh")); err != nil {
		t.Fatal(err)
	}
	said(0, "shop", "install", tree, "--upgrade")
	holds("shop/crowbar.yml", "shop/script/roles/shop-db/20-b.sh")

	if err := os.Rename(tree, tree+".away"); err != nil { // what cannot be packed whole leaves the old one
		t.Fatal(err)
	}
	put("crowbar.yml", fmt.Sprintf(document, 2))
	broken := filepath.Join(t.TempDir(), "tar")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\n/bin/tar \"$@\"; exit 2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", filepath.Dir(broken)+":"+path)
	said(1, "exit status 2", "install", tree)
	t.Setenv("PATH", path)
	if b, err := os.ReadFile(filepath.Join(there, "script/roles/shop-db/20-b.sh")); err != nil || string(b) != "true\n" {
		t.Errorf("after a copy that failed there is %q (%v)", b, err)
	}

	said(0, "out of their deployments", "uninstall", "shop")
	if _, err := os.Stat(there); err == nil {
		t.Error("the tree is still there")
	}
	if err := os.MkdirAll(filepath.Join(there, "somebody's"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"install", tree}, {"uninstall", "shop"}} {
		said(1, "it is no tree of a barclamp", args...)
	}
	if _, err := os.Stat(filepath.Join(there, "somebody's")); err != nil {
		t.Error(err)
	}
}
