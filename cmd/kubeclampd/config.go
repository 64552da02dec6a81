package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store"
)

// config is what the daemon is told.
type config struct {
	file        string
	dataDir     string
	sealKey     string
	etcd        store.Remote // no endpoints: the embedded one
	name        string
	advertise   string
	listen      string
	tlsCert     string
	tlsKey      string
	tlsSAN      []string
	clientCA    string
	plainListen string
	compat      string
	dnsListen   string
	sshKeys     []string
	agent       bool
	barclamps   []string
	plugin      string
	plugins     string
	memory      int // MiB of a role's processes
	processes   int // and threads, of a role
	artifacts   string
	mirror      string
	catalogue   string
	parallel    int
	keepRuns    int
	keepFor     time.Duration
	keepAudit   int

	lives pki.Lives

	snapshotEvery time.Duration
	snapshotKeep  int
	backupEvery   time.Duration
	mendEvery     time.Duration
	backupKeep    int

	logLevel string

	log *slog.Logger
}

func (c *config) add(f *pflag.FlagSet) {
	f.StringVar(&c.file, "config-file", "", "file with any of these flags (YAML, such as 'listen: 0.0.0.0:3443'); flags and environment count above it")
	f.StringVar(&c.dataDir, "data-dir", "/var/lib/kubeclampd", "state, keys and run logs")
	f.StringVar(&c.sealKey, "seal-key", "", "file of the keys that seal secrets at rest, the same on every daemon; default: the systemd credential kubeclamp-seal-key, else DATADIR/key, which the first start makes")
	f.StringSliceVar(&c.etcd.Endpoints, "etcd-endpoints", nil, "URLs of an etcd cluster that holds the state for several daemons, such as https://10.0.0.1:2379; default: an etcd of this daemon's own, in DATADIR")
	f.StringVar(&c.etcd.CA, "etcd-ca", "", "certificate of the etcd cluster's authority (PEM file)")
	f.StringVar(&c.etcd.Cert, "etcd-cert", "", "client certificate for the etcd cluster (PEM file)")
	f.StringVar(&c.etcd.Key, "etcd-key", "", "key of the client certificate (PEM file)")
	f.StringVar(&c.name, "name", hostName(), "name of this daemon among those that share a state, the same at each start")
	f.StringVar(&c.advertise, "advertise", "", "HOST:PORT at which other daemons reach the API; default: --listen, with the host's name for 0.0.0.0")
	f.StringVar(&c.listen, "listen", "127.0.0.1:3443", "address of the API (HTTPS)")
	f.StringVar(&c.compat, "compat", string(api.CompatCrowbar), "old clients that the API speaks to: crowbar (OpenCrowbar's), or rebar (Digital Rebar's)")
	f.StringVar(&c.tlsCert, "tls-cert", "", "certificate of the API, with those between it and its authority (PEM file); read anew when it changes. Default: one of the daemon's own authority")
	f.StringVar(&c.tlsKey, "tls-key", "", "key of that certificate (PEM file)")
	f.StringSliceVar(&c.tlsSAN, "tls-san", nil, "further names and addresses that the certificate of the daemon's own authority is for")
	f.StringVar(&c.clientCA, "client-ca", "", "authorities of certificates that people and programs may come with (PEM file): the common name is a user's; read anew when it changes")
	f.StringVar(&c.plainListen, "plain-listen", "", "address of the API without TLS, for old clients on this machine, such as 127.0.0.1:3000; empty means none")
	f.StringVar(&c.dnsListen, "dns-listen", "", "address of the name server of the pools, such as 10.0.0.1:53; empty means none")
	f.StringSliceVar(&c.sshKeys, "ssh-key", nil, "private key that the nodes let in as root (or as a user who may sudo); may be given several times")
	f.BoolVar(&c.agent, "ssh-agent", false, "use the ssh-agent of SSH_AUTH_SOCK as well")
	f.StringSliceVar(&c.barclamps, "barclamp", shippedBarclamp(), "barclamps to import, in this order: a file, or a folder with crowbar.yml or rebar.yml and barclamps/*.yml")
	f.StringVar(&c.plugin, "role-plugin", beside("kubeclamp-role"), "program that serves the shipped roles")
	f.StringVar(&c.plugins, "plugin-dir", "/usr/lib/kubeclamp/plugins", "folder of further plugins, named kubeclamp-role-NAME")
	f.IntVar(&c.memory, "plugin-memory", 1024, "MiB of memory that the processes of one role may use")
	f.IntVar(&c.processes, "plugin-processes", 512, "processes and threads that one role may have")
	f.StringVar(&c.artifacts, "artifact-cache", "/var/cache/kubeclamp/artifacts", "folder of the binaries and images that are put on nodes")
	f.StringVar(&c.mirror, "artifact-mirror", "", "folder to take binaries from before anything is fetched or built")
	f.StringVar(&c.catalogue, "catalogue", "", "file with more components, or other versions, than the built-in catalogue (JSON)")
	f.IntVar(&c.keepRuns, "keep-runs", 5, "runs of a node-role whose record and log are kept")
	f.DurationVar(&c.keepFor, "keep-runs-for", 0, "how long records of runs are kept, but for the last one of a node-role; 0 means for ever")
	f.DurationVar(&c.lives.Authority, "authority-life", pki.AuthorityLife, "how long the clusters' authorities live; they are rotated at two thirds of it")
	f.DurationVar(&c.lives.Leaf, "leaf-life", pki.LeafLife, "how long the clusters' certificates live; they are renewed at two thirds of it")
	f.DurationVar(&c.snapshotEvery, "snapshot-every", 24*time.Hour, "how often a snapshot of the embedded etcd is put into DATADIR/snapshots; 0 means never")
	f.IntVar(&c.snapshotKeep, "snapshot-keep", 7, "snapshots that are kept")
	f.DurationVar(&c.mendEvery, "mend-every", 0, "how often what was changed by hand on the nodes is looked for and mended, also when a node comes back; what is paused or otherwise held stays; 0 means never by itself")
	f.DurationVar(&c.backupEvery, "backup-every", 24*time.Hour, "how often each cluster is backed up into DATADIR/backups; 0 means never by itself")
	f.IntVar(&c.backupKeep, "backup-keep", 7, "backups of a cluster that are kept, of scheduled ones and of those before risky steps each; those that were asked for stay")
	f.IntVar(&c.keepAudit, "keep-audit", 50000, "records of what was done over the API that are kept; a change makes two")
	f.IntVar(&c.parallel, "parallel", 30, "nodes to work on at once")
	f.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
}

// shared says whether the state is in a cluster that other daemons use as well.
func (c *config) shared() bool { return len(c.etcd.Endpoints) > 0 }

func hostName() string {
	if name, err := os.Hostname(); err == nil {
		return strings.ToLower(name)
	}
	return "kubeclampd"
}

// beside is a program in the folder of this one.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}

// shippedBarclamp is the barclamp.yaml that came with the program: beside bin/ in a source tree, else in /usr/share.
func shippedBarclamp() []string {
	for _, f := range []string{filepath.Join(filepath.Dir(filepath.Dir(beside("x"))), "barclamp.yaml"), "/usr/share/kubeclamp/barclamp.yaml"} {
		if _, err := os.Stat(f); err == nil {
			return []string{f}
		}
	}
	return nil
}

// read takes what was not given as a flag from the environment, then from the file.
func (c *config) read(f *pflag.FlagSet, look func(string) (string, bool)) error {
	if err := fromEnvironment(f, look); err != nil || c.file == "" {
		return err
	}
	return fromFile(f, c.file)
}

// fromEnvironment sets flags that were not given from KUBECLAMP_*.
func fromEnvironment(f *pflag.FlagSet, look func(string) (string, bool)) error {
	var bad error
	f.VisitAll(func(flag *pflag.Flag) {
		name := "KUBECLAMP_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if v, ok := look(name); ok && !flag.Changed && bad == nil {
			if err := f.Set(flag.Name, v); err != nil {
				bad = fmt.Errorf("%s in the environment: %w", name, err)
			}
		}
	})
	return bad
}

func (c *config) check() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.logLevel)); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "--log-level %q: there are debug, info, warn and error", c.logLevel)
	}
	c.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if strings.ContainsAny(c.name, "/ ") || c.name == "" {
		return crowbar.Errorf(crowbar.Invalid, "--name %q: want a host name", c.name)
	}
	if !c.shared() && c.etcd.CA+c.etcd.Cert+c.etcd.Key != "" {
		return crowbar.Errorf(crowbar.Invalid, "--etcd-ca, --etcd-cert and --etcd-key go with --etcd-endpoints: the embedded etcd listens nowhere")
	}
	if !api.Compat(c.compat).Known() {
		return crowbar.Errorf(crowbar.Invalid, "--compat %q: there are crowbar and rebar", c.compat)
	}
	for flag, addr := range map[string]string{"--listen": c.listen, "--dns-listen": c.dnsListen, "--advertise": c.advertise} {
		if addr == "" && flag != "--listen" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "%s %q: want ADDRESS:PORT", flag, addr)
		}
	}
	if err := c.checkTLS(); err != nil {
		return err
	}
	if len(c.barclamps) == 0 {
		return crowbar.Errorf(crowbar.Invalid, "no barclamp.yaml was found beside the program or in /usr/share/kubeclamp: give --barclamp FILE")
	}
	if c.keepRuns < 1 || c.keepFor < 0 {
		return crowbar.Errorf(crowbar.Invalid, "--keep-runs %d, --keep-runs-for %s: keep at least 1 run, and no time below 0", c.keepRuns, c.keepFor)
	}
	if c.snapshotEvery < 0 || c.snapshotKeep < 1 {
		return crowbar.Errorf(crowbar.Invalid, "--snapshot-every %s, --snapshot-keep %d: keep at least 1 snapshot, and no time below 0", c.snapshotEvery, c.snapshotKeep)
	}
	if c.mendEvery < 0 {
		return crowbar.Errorf(crowbar.Invalid, "--mend-every %s: want no time below 0", c.mendEvery)
	}
	if c.backupEvery < 0 || c.backupKeep < 1 {
		return crowbar.Errorf(crowbar.Invalid, "--backup-every %s, --backup-keep %d: keep at least 1 backup, and no time below 0", c.backupEvery, c.backupKeep)
	}
	if err := c.checkLives(); err != nil {
		return err
	}
	if c.keepAudit < 1000 {
		return crowbar.Errorf(crowbar.Invalid, "--keep-audit %d: keep 1000 records at least", c.keepAudit)
	}
	if c.parallel < 1 {
		return crowbar.Errorf(crowbar.Invalid, "--parallel %d: at least 1", c.parallel)
	}
	if c.memory < 64 || c.processes < 32 {
		return crowbar.Errorf(crowbar.Invalid, "--plugin-memory %d, --plugin-processes %d: a role's process needs 64 MiB and 32 threads at least", c.memory, c.processes)
	}
	return nil
}
