package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Config says where roles' programs are.
type Config struct {
	Dir       string   // third parties' programs, kubeclamp-role-NAME; they come first. "" = none
	Shipped   string   // the multi-call program of the shipped roles, given the role's name as its argument
	SocketDir string   // room for sockets, made 0700; if "" or too long, /run/kubeclamp/plugins, or below the temporary folder where that cannot be made
	Env       []string // more environment for every role's process
	Limits    Limits   // of each role
	Log       *slog.Logger
	Mask      func(text string) string // takes secrets out of what roles print; nil = it is shown as it is

	StartLimit time.Duration // a process must have said hello, or have asked for its node, within this time; 0 = 15 s
	StopLimit  time.Duration // a call that was told to stop must have ended within this time, else its process is ended; 0 = 5 s
}

// Host starts one process a role, when it is first asked for, and again when it died.
type Host struct {
	cfg     Config
	sockets string
	lock    *os.File // held as long as the sockets' folder is used
	failed  error    // of NewHost
	threads *thread
	groups  *groups
	sums    sums

	mu     sync.Mutex
	roles  map[string]*keeper
	expect map[string]func(role.Info) error
	closed bool
}

// NewHost prepares a host; it starts no process. What an earlier daemon left of its sockets is swept.
func NewHost(cfg Config) *Host {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Limits = cfg.Limits.orDefault()
	cfg.StartLimit, cfg.StopLimit = cmp.Or(cfg.StartLimit, startLimit), cmp.Or(cfg.StopLimit, stopLimit)
	h := &Host{cfg: cfg, roles: map[string]*keeper{}, expect: map[string]func(role.Info) error{}, threads: newThread()}
	h.failed = h.room()
	return h
}

// Expect has every process of a role compared, when it has said what it is: where check does not agree, the role is refused.
func (h *Host) Expect(name string, check func(role.Info) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expect[name] = check
}

func (h *Host) agrees(info role.Info) error {
	h.mu.Lock()
	check := h.expect[info.Name]
	h.mu.Unlock()
	if check == nil {
		return nil
	}
	if err := check(info); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%w", err)
	}
	return nil
}

var roleNames = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// Role gives the role of that name, with its process running. What it gives implements role.Checker and role.Remover
// exactly where the role itself does. It stays good when the process dies: the next call starts a new one.
func (h *Host) Role(ctx context.Context, name string) (role.Role, error) {
	if h.failed != nil {
		return nil, h.failed
	}
	if !roleNames.MatchString(name) {
		return nil, crowbar.Errorf(crowbar.Invalid, "%q is no name of a role", name)
	}
	h.mu.Lock()
	k := h.roles[name]
	if k == nil && !h.closed {
		k = newKeeper(h, name)
		h.roles[name] = k
	}
	h.mu.Unlock()
	if k == nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "role %s: the plugin host is closed", name)
	}
	p, err := k.process(ctx)
	if err != nil {
		return nil, err
	}
	return hosted(k, p.can), nil
}

// Close ends every role's process.
func (h *Host) Close() error {
	h.mu.Lock()
	roles := h.roles
	h.roles, h.closed = map[string]*keeper{}, true
	h.mu.Unlock()
	var all sync.WaitGroup
	for _, k := range roles {
		all.Go(k.close)
		// gofail: var closing struct{}
	}
	all.Wait()
	h.threads.end()
	if h.groups != nil {
		h.groups.remove()
	}
	if h.lock != nil {
		h.lock.Close()
		return os.RemoveAll(h.sockets)
	}
	return nil
}

// find says which program serves a role, and with which arguments.
func (h *Host) find(name string) (path string, args []string, err error) {
	if h.cfg.Dir != "" {
		p := filepath.Join(h.cfg.Dir, "kubeclamp-role-"+name)
		if _, err := os.Stat(p); err == nil {
			return p, []string{filepath.Base(p)}, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	if h.cfg.Shipped == "" {
		return "", nil, crowbar.Errorf(crowbar.NotFound, "there is no program for role %s: put an executable kubeclamp-role-%s in the plugin folder %q", name, name, h.cfg.Dir)
	}
	return h.cfg.Shipped, []string{filepath.Base(h.cfg.Shipped), name}, nil
}

// Found is the names of third parties' roles in the plugin folder.
func (h *Host) Found() []string {
	paths, _ := filepath.Glob(filepath.Join(h.cfg.Dir, "kubeclamp-role-*"))
	var names []string
	for _, p := range paths {
		if n := strings.TrimPrefix(filepath.Base(p), "kubeclamp-role-"); h.cfg.Dir != "" && roleNames.MatchString(n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// maxSocketDir leaves room for go-plugin's own names in the 107 characters of a socket's path.
const maxSocketDir = 50

// room makes a folder of its own for sockets, and sweeps those whose daemon is gone.
func (h *Host) room() error {
	dir := h.cfg.SocketDir
	if dir == "" || len(dir) > maxSocketDir {
		dir = "/run/kubeclamp/plugins"
		if os.MkdirAll(dir, 0o700) != nil {
			dir = filepath.Join(os.TempDir(), fmt.Sprintf("kubeclamp-%d", os.Getuid()))
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("room for plugin sockets: %w", err)
	}
	if err := private(dir); err != nil {
		return err
	}
	old, _ := os.ReadDir(dir)
	for _, e := range old {
		sweep(filepath.Join(dir, e.Name()))
	}
	var err error
	if h.sockets, err = os.MkdirTemp(dir, "d"); err != nil {
		return err
	}
	// gofail: var roomMade struct{}
	h.lock, err = os.OpenFile(filepath.Join(h.sockets, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(h.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return err
	}
	h.groups = newGroups("kubeclamp-" + filepath.Base(h.sockets))
	if h.groups.why != "" {
		h.cfg.Log.Info("roles' processes are limited one by one", "reason", h.groups.why)
	}
	return os.WriteFile(filepath.Join(h.sockets, "groups"), []byte(strings.Join(h.groups.all(), "\n")), 0o600)
}

// private refuses a folder that somebody else made for us.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return crowbar.Errorf(crowbar.Invalid, "the folder for plugin sockets %s belongs to somebody else: remove it, or choose another", dir)
	}
	return os.Chmod(dir, 0o700)
}

// sweep removes a folder of sockets if no living daemon holds its lock, and ends what that daemon's roles left behind. One that
// has no lock yet is just being made.
func sweep(dir string) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	if made, err := os.ReadFile(filepath.Join(dir, "groups")); err == nil && len(made) > 0 {
		for group := range strings.SplitSeq(string(made), "\n") {
			if filepath.Base(group) == "kubeclamp-"+filepath.Base(dir) {
				empty(group)
			}
		}
	} else {
		strays(dir + "/")
	}
	os.RemoveAll(dir)
}

// Broken says of each role that is not started any more, because its process crashed too often, why.
func (h *Host) Broken() map[string]string {
	h.mu.Lock()
	keepers := make([]*keeper, 0, len(h.roles))
	for _, k := range h.roles {
		keepers = append(keepers, k)
	}
	h.mu.Unlock()
	out := map[string]string{}
	for _, k := range keepers {
		if why := k.brokenNow(); why != "" {
			out[k.name] = why
		}
	}
	return out
}
