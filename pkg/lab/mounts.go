package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func mount(src, dst, fstype string, flags uintptr, data string) error {
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(src, dst, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", src, dst, err)
	}
	return nil
}

func bindFile(src, dst string) error {
	if err := unix.Mount(src, dst, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s on %s: %w", src, dst, err)
	}
	return nil
}

// mountDisk puts the node's own layer over its image. Container engines get folders that are no overlay: it does not nest.
func (l *Lab) mountDisk(n nodeRecord, root string) error {
	disk := filepath.Join(l.nodeDir(n.Name), "disk")
	if n.Disk > 0 {
		cmd := exec.Command("mount", "-t", "ext4", "-o", "loop", filepath.Join(l.nodeDir(n.Name), "disk.img"), disk)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	for _, d := range []string{"up", "work", "docker", "containerd"} {
		if err := os.MkdirAll(filepath.Join(disk, d), 0o755); err != nil {
			return err
		}
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", n.Image, filepath.Join(disk, "up"), filepath.Join(disk, "work"))
	if err := mount(n.Name, root, "overlay", 0, opts); err != nil {
		return err
	}
	for _, d := range []string{"docker", "containerd"} {
		if err := mount(filepath.Join(disk, d), filepath.Join(root, "var/lib", d), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

func mountKernel(root string) error {
	at := func(p string) string { return filepath.Join(root, p) }
	const quiet = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		fs, dir string
		flags   uintptr
		data    string
	}{
		{"proc", "proc", quiet | unix.MS_NOEXEC, ""},
		{"sysfs", "sys", quiet | unix.MS_NOEXEC, ""},
		{"tmpfs", "dev", unix.MS_NOSUID, "mode=755"},
		{"devpts", "dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "dev/shm", quiet, "mode=1777"},
		{"mqueue", "dev/mqueue", quiet | unix.MS_NOEXEC, ""},
		{"tmpfs", "run", quiet, "mode=755"},
		{"tmpfs", "tmp", quiet, "mode=1777"},
	} {
		if err := mount(m.fs, at(m.dir), m.fs, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

func makeDevices(root string) error {
	dev := filepath.Join(root, "dev")
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "net/tun", "fuse", "kmsg", "loop-control", "loop0", "loop1", "loop2", "loop3"} {
		var st unix.Stat_t
		if err := unix.Stat("/dev/"+name, &st); errors.Is(err, unix.ENOENT) {
			continue // the machine does not have it, so the node does not
		} else if err != nil {
			return err
		}
		path := filepath.Join(dev, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := unix.Mknod(path, st.Mode, int(st.Rdev)); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
		mode := os.FileMode(st.Mode & 0o777)
		switch name {
		case "null", "zero", "full", "random", "urandom", "tty", "net/tun":
			mode = 0o666
		}
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

// mountGroups shows the node the same trees of control groups that the machine has, each from the node's own group down.
func mountGroups(root string) error {
	all, err := findHierarchies()
	if err != nil {
		return err
	}
	top := filepath.Join(root, "sys/fs/cgroup")
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if alone(all) {
		return mount("cgroup2", top, "cgroup2", flags, "")
	}
	if err := mount("cgroup", top, "tmpfs", flags, "mode=755"); err != nil {
		return err
	}
	for _, h := range all {
		dir := filepath.Join(top, filepath.Base(h.mount))
		fstype, data := "cgroup", h.ctl
		if h.ctl == "" {
			fstype = "cgroup2"
		} else if strings.HasPrefix(h.ctl, "name=") {
			data = "none," + h.ctl
		}
		if err := mount(fstype, dir, fstype, flags, data); err != nil {
			return err
		}
	}
	return nil
}

// ownSysctls are kernel settings without a namespace that roles, kubelet and systemd write. Each node gets files of its
// own in their place; the rest of /proc/sys outside net/ is read-only for it.
func ownSysctls() []string {
	return []string{"kernel/panic", "kernel/panic_on_oops", "kernel/core_pattern", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
		"kernel/threads-max", "kernel/pid_max", "kernel/dmesg_restrict", "kernel/kptr_restrict", "kernel/perf_event_paranoid", "kernel/printk",
		"vm/overcommit_memory", "vm/panic_on_oom", "vm/max_map_count", "vm/swappiness", "vm/dirty_ratio", "vm/dirty_background_ratio",
		"vm/min_free_kbytes", "vm/vfs_cache_pressure", "fs/file-max", "fs/nr_open", "fs/aio-max-nr", "fs/inotify/max_user_instances",
		"fs/inotify/max_user_watches", "fs/inotify/max_queued_events", "fs/protected_hardlinks", "fs/protected_symlinks",
		"fs/protected_regular", "fs/protected_fifos"}
}

func hideSysctls(root string) error {
	own, sys := filepath.Join(root, "run/.sysctl"), filepath.Join(root, "proc/sys")
	if err := os.MkdirAll(own, 0o700); err != nil {
		return err
	}
	cover := func(key string, value []byte) error {
		f := filepath.Join(own, strings.ReplaceAll(key, "/", "."))
		if err := os.WriteFile(f, value, 0o644); err != nil {
			return err
		}
		return bindFile(f, filepath.Join(sys, key))
	}
	for _, key := range ownSysctls() {
		b, err := os.ReadFile(filepath.Join(sys, key))
		if os.IsNotExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := cover(key, b); err != nil {
			return err
		}
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return err
	}
	if err := cover("kernel/random/boot_id", id); err != nil {
		return err
	}
	for _, d := range []string{"abi", "debug", "dev", "fs", "kernel", "vm"} {
		dir := filepath.Join(sys, d)
		if !dirExists(dir) {
			continue
		}
		if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", dir, err)
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("make %s read-only: %w", dir, err)
		}
	}
	return nil
}
