//go:build robustness

package three

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
)

// process is a program in its place, started again a second after it ends, as systemd does, unless it is to stay down.
type process struct {
	t     *testing.T
	name  string
	place *place
	argv  []string
	env   string
	log   string

	mu    sync.Mutex
	cmd   *exec.Cmd
	down  bool
	ends  int
	alive sync.WaitGroup
}

// start returns when it has been started.
func (p *process) start() {
	p.mu.Lock()
	p.down = false
	p.mu.Unlock()
	started := make(chan struct{})
	defer func() { <-started }()
	p.t.Cleanup(func() { p.kill(); p.alive.Wait() })
	p.alive.Go(func() {
		once := sync.OnceFunc(func() { close(started) })
		defer once()
		for {
			f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				p.t.Error(err)
				return
			}
			p.mu.Lock()
			if p.down {
				p.mu.Unlock()
				f.Close()
				return
			}
			p.cmd = p.place.in(p.argv[0], p.argv[1:]...)
			p.cmd.Env = append(os.Environ(), "ROBUSTNESS_HUB=", p.env)
			p.cmd.Stdout, p.cmd.Stderr = f, f
			err = p.cmd.Start()
			cmd := p.cmd
			p.mu.Unlock()
			once()
			if err != nil {
				p.t.Error(err)
				return
			}
			_ = cmd.Wait()
			f.Close()
			p.mu.Lock()
			p.ends++
			p.mu.Unlock()
			time.Sleep(time.Second) // systemd's RestartSec
		}
	})
}

// failed is what a process has said that has ended; "" while none has.
func (p *process) failed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends == 0 {
		return ""
	}
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// kill ends it without a word, and keeps it down.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = true
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
	}
}

func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	must(p.t, p.cmd.Process.Signal(s))
}

const barclamp = `barclamp: { name: sim, version: 1 }
jigs: [{ name: ssh, class: SSH }]
roles:
  - name: sim-base
    jig: ssh
    attribs: [{ name: generation, map: sim/generation, default: 0, writable: true, schema: { type: int } }]
  - { name: sim-mid, jig: ssh, requires: [sim-base], wants-attribs: [generation] }
  - { name: sim-top, jig: ssh, requires: [sim-mid], wants-attribs: [generation] }
`

// daemon is a kubeclampd.
type daemon struct {
	*process
	dir string
}

func startDaemon(t *testing.T, dir, program, sshKey string, i int, c *cluster) *daemon {
	t.Helper()
	name := fmt.Sprintf("d%d", i)
	d := &daemon{dir: filepath.Join(dir, name)}
	must(t, os.MkdirAll(d.dir, 0o700))
	file := filepath.Join(dir, "barclamp.yaml")
	must(t, os.WriteFile(file, []byte(barclamp), 0o600))
	self, err := os.Executable()
	must(t, err)
	argv := []string{program, "--data-dir", d.dir, "--name", name, "--listen", fmt.Sprintf("%s2%d:3443", lan, i), "--seal-key", filepath.Join(dir, "seal-key"),
		"--etcd-ca", c.ca, "--etcd-cert", c.cert, "--etcd-key", c.key, "--ssh-key", sshKey, "--barclamp", file, "--role-plugin", self, "--plugin-dir", "",
		"--artifact-cache", filepath.Join(d.dir, "cache")}
	for _, e := range c.endpoints() {
		argv = append(argv, "--etcd-endpoints", e)
	}
	d.process = &process{t: t, name: name, argv: argv, log: filepath.Join(dir, name+".log"), place: newPlace(t, name, fmt.Sprintf("2%d", i), "lan", "db")}
	d.start()
	return d
}

// client is the way in; it is an error before the first start has come to it.
func (d *daemon) client() (*client.Client, error) {
	var conf client.Config
	b, err := os.ReadFile(filepath.Join(d.dir, "admin.json"))
	if err = errors.Join(err, json.Unmarshal(b, &conf)); err != nil || conf.Endpoint == "" {
		return nil, errors.Join(errors.New("no admin.json yet"), err)
	}
	return client.New(conf)
}
