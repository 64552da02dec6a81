package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// bootError is the file below a node's folder that says why it did not boot.
const bootError = "boot-error"

// becomeInit runs as the first process of the node's namespaces: it mounts what a server's kernel and initramfs would
// have mounted, and becomes systemd.
func (l *Lab) becomeInit(n nodeRecord) error {
	runtime.LockOSThread()
	// Opened now: later the machine's folders are out of reach.
	f, err := os.OpenFile(filepath.Join(l.nodeDir(n.Name), bootError), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	err = l.boot(n)
	_, werr := f.WriteString(err.Error())
	return errors.Join(err, werr)
}

// boot only returns with an error.
func (l *Lab) boot(n nodeRecord) error {
	root := filepath.Join(l.nodeDir(n.Name), "root")
	if err := l.recordInit(n); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	steps := []struct {
		what string
		do   func() error
	}{
		{"mount disk", func() error { return l.mountDisk(n, root) }},
		{"install", func() error { return l.firstBoot(n, root) }},
		{"mount kernel file systems", func() error { return mountKernel(root) }},
		{"make devices", func() error { return makeDevices(root) }},
		{"mount cgroups", func() error { return mountGroups(root) }},
		{"hide global sysctls", func() error { return hideSysctls(root) }},
		{"place runc wrapper", func() error { return l.placeWrapper(root) }},
		{"change root", func() error { return changeRoot(root) }},
		{"drop capabilities", dropCaps},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("boot %s: %s: %w", n.Name, s.what, err)
		}
	}
	env := []string{"container=lab", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	return fmt.Errorf("boot %s: run /sbin/init: %w", n.Name, syscall.Exec("/sbin/init", []string{"/sbin/init"}, env))
}

// recordInit notes the node's init as the machine sees it: /proc is still the machine's. Its start time would be useless:
// this process lives in another time.
func (l *Lab) recordInit(n nodeRecord) error {
	link, err := os.Readlink("/proc/self")
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(link)
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(l.nodeDir(n.Name), "init.json"), pid)
}

// firstBoot writes what an installer would have: name, keys, identity. Later boots find the server as its owner left it.
func (l *Lab) firstBoot(n nodeRecord, root string) error {
	mark := filepath.Join(l.nodeDir(n.Name), "disk/up/etc/machine-id")
	if fileExists(mark) {
		return nil
	}
	hostKey, err := os.ReadFile(filepath.Join(l.nodeDir(n.Name), "host_ed25519"))
	if err != nil {
		return err
	}
	userKey, err := os.ReadFile(l.path("key.pub"))
	if err != nil {
		return err
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return err
	}
	addr := nodeAddr(l.cfg.Network, n.Index)
	files := []imageFile{
		{Path: "etc/hostname", Text: n.Name + "\n", Mode: 0o644},
		{Path: "etc/hosts", Text: fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n", addr, n.Name), Mode: 0o644},
		{Path: "etc/ssh/ssh_host_ed25519_key", Text: string(hostKey), Mode: 0o600},
		{Path: "root/.ssh/authorized_keys", Text: string(userKey), Mode: 0o600},
		{Path: "etc/machine-id", Text: strings.ReplaceAll(strings.TrimSpace(string(id)), "-", "") + "\n", Mode: 0o444},
	}
	for _, f := range files {
		if err := placeImageFile(root, f); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(root, "root/.ssh"), 0o700)
}

// placeWrapper puts this program where the image's runc link points.
func (l *Lab) placeWrapper(root string) error {
	dir := filepath.Join(root, wrapperDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	script, err := wrapperScript(wrapperDir+"/self", l.self)
	if err != nil {
		return err
	}
	if err := placeImageFile(dir, imageFile{Path: "runc", Text: script, Mode: 0o755}); err != nil {
		return err
	}
	if err := placeImageFile(dir, imageFile{Path: "self", Mode: 0o755}); err != nil {
		return err
	}
	return bindFile(l.self[0], filepath.Join(dir, "self"))
}

func changeRoot(root string) error {
	old := filepath.Join(root, ".old")
	if err := os.MkdirAll(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the machine's file systems: %w", err)
	}
	if err := os.Remove("/.old"); err != nil {
		return err
	}
	// Shared, as systemd has it on a server: kubelet and container engines count on it.
	return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "")
}

// dropCaps keeps the node from the machine's clock, which no namespace covers.
func dropCaps() error {
	return unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_TIME, 0, 0, 0)
}
