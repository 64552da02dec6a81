package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

const (
	needDisk   = 3 << 30 // two images and a few nodes
	needMemory = 512 << 20
)

// tools are the programs that the lab runs, and the Debian package of each.
func tools() [][2]string {
	return [][2]string{{"mmdebstrap", "mmdebstrap"}, {"ip", "iproute2"}, {"tc", "iproute2"}, {"nft", "nftables"}, {"nsenter", "util-linux"}, {"unshare", "util-linux"},
		{"mount", "mount"}, {"chroot", "coreutils"}, {"ssh", "openssh-client"}, {"ssh-keygen", "openssh-client"}, {"mkfs.ext4", "e2fsprogs"}, {"apt-get", "apt"}}
}

// Check says in one error everything that this machine lacks for a lab, and how to get it.
func (l *Lab) Check(ctx context.Context) error {
	var missing []string
	add := func(format string, a ...any) { missing = append(missing, fmt.Sprintf(format, a...)) }
	if os.Geteuid() != 0 {
		add("root: run the command with sudo")
	} else {
		missing = append(missing, missingKernel(ctx)...)
	}
	if p := missingPackages(); len(p) > 0 {
		add("programs of the packages %[1]s: run `apt-get install %[1]s`, or `kubeclamp lab prepare`", strings.Join(p, " "))
	}
	if free, err := freeDisk(l.cfg.Dir); err == nil && free < needDisk && len(missing) == 0 {
		add("disk: %d MiB are free at %s and %d are needed: free some, or choose another --dir", free>>20, l.cfg.Dir, needDisk>>20)
	}
	if free := availableMemory(); free > 0 && free < needMemory {
		add("memory: %d MiB are available and %d are needed: end something, or use a bigger machine", free>>20, needMemory>>20)
	}
	if len(missing) == 0 {
		return nil
	}
	return crowbar.Errorf(crowbar.Unavailable, "this machine cannot run a lab yet; it lacks\n  - %s", strings.Join(missing, "\n  - "))
}

func missingPackages() []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range tools() {
		if _, err := exec.LookPath(t[0]); err != nil && !seen[t[1]] {
			seen[t[1]] = true
			out = append(out, t[1])
		}
	}
	return out
}

// missingKernel tries the kernel's features where trying is free, in namespaces that end with the try.
func missingKernel(ctx context.Context) []string {
	var out []string
	const how = "use a kernel that has it (Debian's do; `modprobe %s` may be all it takes)"
	if b, err := os.ReadFile("/proc/filesystems"); err == nil && !strings.Contains(string(b), "\toverlay\n") {
		out = append(out, "the overlay file system: "+fmt.Sprintf(how, "overlay"))
	}
	if !fileExists("/dev/net/tun") {
		out = append(out, "/dev/net/tun: "+fmt.Sprintf(how, "tun"))
	}
	if all, err := findHierarchies(); err != nil || len(all) == 0 {
		out = append(out, "control groups: mount them at /sys/fs/cgroup")
	}
	for _, t := range tools() {
		if _, err := exec.LookPath(t[0]); err != nil && (t[0] == "ip" || t[0] == "unshare") {
			return out // links are tried with these
		}
	}
	for _, link := range [][]string{{"bridge", "type", "bridge"}, {"veth", "type", "veth", "peer", "name", "x1"}} {
		if err := run(ctx, append([]string{"unshare", "--net", "ip", "link", "add", "x0"}, link[1:]...)...); err != nil {
			out = append(out, fmt.Sprintf("%s links (%v): ", link[0], err)+fmt.Sprintf(how, link[0]))
		}
	}
	if err := run(ctx, "unshare", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "true"); err != nil {
		out = append(out, fmt.Sprintf("namespaces (%v): run the lab outside of a container, or give the container all privileges", err))
	}
	return out
}

func freeDisk(dir string) (int64, error) {
	for !dirExists(dir) && dir != "/" {
		dir = filepath.Dir(dir)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

func availableMemory() int64 {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemAvailable:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}

// Prepare installs the Debian packages that the lab lacks, through apt, and shows apt's talk on out.
func (l *Lab) Prepare(ctx context.Context, out io.Writer) error {
	lack := missingPackages()
	if len(lack) == 0 {
		return nil
	}
	for _, argv := range [][]string{{"apt-get", "update", "-q"}, append([]string{"apt-get", "install", "-q", "-y", "--no-install-recommends"}, lack...)} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
		}
	}
	return nil
}
