//go:build robustness

package three

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"
)

// simScript is what the role runs on a node. Each step is written down when it begins and when it ends, under the number of
// the run that does it.
const simScript = `#!/bin/sh
case $1 in
look) cat "$SIM_NODE/$2" 2>/dev/null || printf none; exit 0;;
esac
echo "begin $KUBECLAMP_FENCE $*" >>"$SIM_NODE/steps"
sleep 0.1
[ "$1" != last ] || { printf %s "$3" >"$SIM_NODE/$2.new"; mv "$SIM_NODE/$2.new" "$SIM_NODE/$2"; }
echo "end $KUBECLAMP_FENCE $*" >>"$SIM_NODE/steps"
`

// nodes is an SSH server that is every node, by the address that is called: commands run in real shells, each node's with
// a folder of its own for /var/lib/kubeclamp.
type nodes struct {
	dir  string
	conf *ssh.ServerConfig
}

func serveNodes(t *testing.T, dir string, many int) (*nodes, string) {
	t.Helper()
	n := &nodes{dir: dir, conf: &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}}
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(host)
	if err != nil {
		t.Fatal(err)
	}
	n.conf.AddHostKey(signer)
	must(t, os.WriteFile(filepath.Join(dir, "sim"), []byte(simScript), 0o755))
	for i := range many {
		must(t, os.MkdirAll(filepath.Join(dir, nodeAddress(i)), 0o755))
	}
	block, err := ssh.MarshalPrivateKey(host, "")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "ssh-key")
	must(t, os.WriteFile(key, pem.EncodeToMemory(block), 0o600))
	l, err := net.Listen("tcp4", ":22")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.serve(c)
		}
	}()
	return n, key
}

func (n *nodes) serve(c net.Conn) {
	defer c.Close()
	folder := filepath.Join(n.dir, c.LocalAddr().(*net.TCPAddr).IP.String())
	_, channels, reqs, err := ssh.NewServerConn(c, n.conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for ch := range channels {
		if ch.ChannelType() != "session" {
			_ = ch.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		go func() {
			s, reqs, err := ch.Accept()
			if err != nil {
				return
			}
			for r := range reqs {
				var m struct{ Command string }
				ok := r.Type == "exec" && ssh.Unmarshal(r.Payload, &m) == nil
				_ = r.Reply(ok, nil)
				if ok {
					go n.run(s, folder, m.Command)
				}
			}
		}()
	}
}

// run runs a command as a node does: it goes on when its connection breaks.
func (n *nodes) run(s ssh.Channel, folder, text string) {
	defer s.Close()
	here := func(b []byte) []byte {
		b = bytes.ReplaceAll(b, []byte("/var/lib/kubeclamp"), []byte(folder))
		return bytes.ReplaceAll(b, []byte("/bin/sim"), []byte(filepath.Join(n.dir, "sim")))
	}
	input, err := io.ReadAll(s)
	if err != nil {
		return
	}
	cmd := exec.Command("/bin/sh", "-c", string(here([]byte(text))))
	cmd.Env = append(os.Environ(), "SIM_NODE="+folder)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(here(input)), s, s.Stderr()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	code := 0
	if err := cmd.Run(); err != nil {
		code = 255
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			code = exit.ExitCode()
		}
	}
	_, _ = s.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(code)}))
}

// judge reads what was done on a node: no step of a run within another run's step, and no older attempt after a newer one.
func (n *nodes) judge(t *testing.T, i int) (steps int, wrong []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, nodeAddress(i), "steps"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	newest, open := map[string]int{}, map[string]int{} // node-role -> attempt; step -> line at which it began
	if len(text) == 0 {
		return 0, nil
	}
	for at, l := range lines {
		word, step, _ := strings.Cut(l, " ")
		name, number, _ := strings.Cut(strings.Fields(step + " ")[0], ":")
		attempt, _ := strconv.Atoi(number)
		switch word {
		case "begin":
			steps++
			if attempt < newest[name] {
				wrong = append(wrong, l+": attempt "+strconv.Itoa(newest[name])+" was there before")
			}
			newest[name] = max(newest[name], attempt)
			open[step] = at
		case "end":
			for _, between := range lines[open[step]+1 : at] {
				if other := strings.Fields(between); other[0] == "begin" && other[1] != strings.Fields(step)[0] {
					wrong = append(wrong, between+" within "+step)
				}
			}
			delete(open, step)
		}
	}
	return steps, wrong
}
