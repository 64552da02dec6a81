package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Up makes the lab hold at least these nodes, on and answering ssh. Nodes that it has already stay as they are, but are
// switched on if they are off. With no names, all nodes of the lab are switched on.
func (l *Lab) Up(ctx context.Context, want ...NodeSpec) error {
	if err := l.Check(ctx); err != nil {
		return err
	}
	if err := l.networkFree(); err != nil { // before anything is made or remembered
		return err
	}
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.load()
	if err != nil {
		return err
	}
	if err := rec.merge(want, maxNodes(l.cfg.Network)); err != nil {
		return err
	}
	if err := l.ensureImages(ctx, &rec); err != nil {
		return err
	}
	if err := l.makeKeys(ctx, rec); err != nil {
		return err
	}
	if err := raiseSysctls(&rec, "/proc/sys"); err != nil {
		return err
	}
	if err := l.save(rec); err != nil {
		return err
	}
	if err := l.claim(); err != nil {
		return err
	}
	if err := l.networkUp(ctx); err != nil {
		return fmt.Errorf("lab network: %w", err)
	}
	if err := l.installSelf(); err != nil {
		return err
	}
	return eachNode(rec.Nodes, func(n nodeRecord) error {
		start := time.Now()
		if err := l.powerOn(ctx, n); err != nil {
			return err
		}
		if err := l.waitSSH(ctx, n); err != nil {
			return err
		}
		l.tell("node "+n.Name, "%s %s answers ssh after %.1f s", n.Suite, nodeAddr(l.cfg.Network, n.Index), time.Since(start).Seconds())
		return nil
	})
}

// eachNode works on all nodes, a few at a time, and gives all errors.
func eachNode(nodes []nodeRecord, do func(nodeRecord) error) error {
	errs := make([]error, len(nodes))
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = do(n)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// ensureImages builds the images that new nodes need, at the same time, and notes each new node's.
func (l *Lab) ensureImages(ctx context.Context, rec *record) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	images, errs := map[string]string{}, []error(nil)
	for _, suite := range suites() {
		if !slices.ContainsFunc(rec.Nodes, func(n nodeRecord) bool { return n.Suite == suite && !dirExists(n.Image) }) {
			continue
		}
		wg.Go(func() {
			name, err := l.ensureImage(ctx, suite)
			mu.Lock()
			defer mu.Unlock()
			images[suite], errs = name, append(errs, err)
		})
	}
	wg.Wait()
	for i := range rec.Nodes {
		if n := &rec.Nodes[i]; !dirExists(n.Image) {
			n.Image = images[n.Suite]
		}
	}
	return errors.Join(errs...)
}

// makeKeys makes the key that opens all nodes, each node's own host key, and its folder and disk.
func (l *Lab) makeKeys(ctx context.Context, rec record) error {
	if err := makeKey(ctx, l.path("key"), "kubeclamp-lab"); err != nil {
		return err
	}
	err := eachNode(rec.Nodes, func(n nodeRecord) error {
		dir := l.nodeDir(n.Name)
		if err := os.MkdirAll(filepath.Join(dir, "disk"), 0o755); err != nil {
			return err
		}
		if err := makeKey(ctx, filepath.Join(dir, "host_ed25519"), n.Name); err != nil {
			return err
		}
		return makeDisk(ctx, filepath.Join(dir, "disk.img"), n.Disk)
	})
	if err != nil {
		return err
	}
	return l.writeKnownHosts(rec)
}

func makeKey(ctx context.Context, path, comment string) error {
	if fileExists(path) && fileExists(path+".pub") {
		return nil
	}
	for _, p := range []string{path, path + ".pub"} {
		if err := os.RemoveAll(p); err != nil {
			return err
		}
	}
	return run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
}

func makeDisk(ctx context.Context, path string, size int64) error {
	if size == 0 || fileExists(path) {
		return nil
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", path+".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// installSelf keeps a copy of this program for supervisors and nodes, so that a new build neither waits for them nor
// changes under them.
func (l *Lab) installSelf() error {
	st, err := os.Stat(l.cfg.Self[0])
	if err != nil {
		return err
	}
	dir := l.path("bin", strconv.FormatInt(st.ModTime().UnixNano(), 36)+"-"+strconv.FormatInt(st.Size(), 36))
	own := filepath.Join(dir, filepath.Base(l.cfg.Self[0]))
	if !fileExists(own) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := copyFile(l.cfg.Self[0], own, 0o755); err != nil {
			return fmt.Errorf("copy own program: %w", err)
		}
	}
	l.self = append([]string{own}, l.cfg.Self[1:]...)
	return nil
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

// waitSSH waits until a command runs on the node, and gives up early if the node is not on any more.
func (l *Lab) waitSSH(ctx context.Context, n nodeRecord) error {
	addr := net.JoinHostPort(nodeAddr(l.cfg.Network, n.Index).String(), "22")
	argv := l.sshArgv(n, "true")
	var failed, last error
	err := await(ctx, 2*time.Minute, "ssh to node "+n.Name, func() bool {
		st, err := l.nodeState(n.Name)
		if failed = errors.Join(err, l.failure(n.Name, st)); failed != nil {
			return true
		}
		if last = banner(addr); last != nil {
			return false
		}
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			last = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
			return false
		}
		return true
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}

func banner(addr string) error {
	c, err := net.DialTimeout("tcp", addr, 250*time.Millisecond)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 4))
	return err
}
