package lab

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// typicalBuild is how long an image takes when this machine has not built one yet.
const typicalBuild = 75 * time.Second

// ensureImage gives the folder of a suite's image, which it builds unless it is there.
func (l *Lab) ensureImage(ctx context.Context, suite string) (string, error) {
	kernel, config, err := kernelFacts()
	if err != nil {
		return "", fmt.Errorf("image of %s: %w", suite, err)
	}
	name := suite + "-" + recipeHash(suite, kernel, config, l.cfg.Packages...)
	dir := l.imagePath(name)
	if dirExists(dir) {
		return dir, nil
	}
	unlock, err := l.lockImages(ctx, suite)
	if err != nil {
		return "", fmt.Errorf("image of %s: %w", suite, err)
	}
	defer unlock()
	if dirExists(dir) { // another lab has built it meanwhile
		return dir, nil
	}
	start := time.Now()
	if err := l.buildImage(ctx, suite, dir, imageFiles(kernel, config)); err != nil {
		return "", fmt.Errorf("build image of %s: %w", suite, err)
	}
	took := time.Since(start)
	l.tell("image "+suite, "built in %.0f s", took.Seconds())
	return dir, os.WriteFile(l.imagePath(suite+".seconds"), []byte(strconv.Itoa(int(took.Seconds()))), 0o600)
}

// lockImages waits until no other lab builds that suite in the same folder.
func (l *Lab) lockImages(ctx context.Context, suite string) (unlock func(), err error) {
	if err := os.MkdirAll(l.cfg.Images, 0o755); err != nil {
		return nil, err
	}
	var f *os.File
	var last error
	err = await(ctx, 20*time.Minute, "end of another lab's build", func() bool {
		f, last = flock(l.imagePath("." + suite + ".lock"))
		return last == nil
	})
	if err != nil {
		return nil, errors.Join(err, last)
	}
	return func() { f.Close() }, nil
}

func (l *Lab) buildImage(ctx context.Context, suite, dir string, files []imageFile) error {
	old, err := filepath.Glob(l.imagePath("." + suite + "-*")) // left by a build that was killed
	if err != nil {
		return err
	}
	tmp := l.imagePath("." + filepath.Base(dir))
	for _, d := range append(old, tmp) {
		if err := os.RemoveAll(d); err != nil {
			return err
		}
	}
	if err := l.bootstrap(ctx, suite, tmp); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	for _, f := range files {
		if err := placeImageFile(tmp, f); err != nil {
			return fmt.Errorf("place %s: %w", f.Path, err)
		}
	}
	if err := run(ctx, "chroot", tmp, "depmod", "-a", kernelRelease()); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}

func placeImageFile(root string, f imageFile) error {
	path := filepath.Join(root, f.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if f.Link {
		return os.Symlink(f.Text, path)
	}
	if err := os.WriteFile(path, []byte(f.Text), f.Mode); err != nil {
		return err
	}
	return os.Chmod(path, f.Mode)
}

// bootstrap runs mmdebstrap and tells how far it is.
func (l *Lab) bootstrap(ctx context.Context, suite, dir string) error {
	src, err := findSources(ctx)
	if err != nil {
		return err
	}
	// In namespaces of its own, so that it ends, with every mount it makes, when this process does, however that ends.
	argv := []string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", "--include=" + strings.Join(append(imagePackages(), l.cfg.Packages...), ","),
		`--aptopt=Acquire::Languages "none"`}
	for _, p := range src.proxies {
		argv = append(argv, "--aptopt="+p)
	}
	for _, p := range []string{"path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*", "path-include=/usr/share/doc/*/copyright", "path-exclude=/usr/share/locale/*"} {
		argv = append(argv, "--dpkgopt="+p)
	}
	argv = append(argv, "--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_* \"$1\"/var/cache/apt/*.bin \"$1\"/var/cache/apt/archives/*.deb", suite, dir)
	argv = append(argv, src.lines(suite)...)
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	runtime.LockOSThread() // the death signal is tied to the thread that starts it
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	talk, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	said := l.follow(suite, talk)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("mmdebstrap %s: %w: %s", suite, err, strings.Join(said, " | "))
	}
	return nil
}

// follow turns mmdebstrap's talk into progress, and keeps its last lines for an error.
func (l *Lab) follow(suite string, talk io.Reader) (last []string) {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(talk); s.Scan(); {
			lines <- s.Text()
		}
	}()
	start, total, stage := time.Now(), l.expected(suite), "starting"
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return last
			}
			if last = append(last, line); len(last) > 20 {
				last = last[1:]
			}
			if s, ok := strings.CutPrefix(line, "I: "); ok && !strings.Contains(s, "--customize-hook") {
				stage = s
			}
		case <-tick.C:
		}
		if l.cfg.Progress != nil {
			gone := time.Since(start)
			l.cfg.Progress(Progress{Subject: "image " + suite, Text: stage, Done: min(float64(gone)/float64(total), 0.99), ETA: max(total-gone, 0)})
		}
	}
}

func (l *Lab) expected(suite string) time.Duration {
	b, err := os.ReadFile(l.imagePath(suite + ".seconds"))
	if err != nil {
		return typicalBuild
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return typicalBuild
}

// sources are the Debian mirrors of this machine.
type sources struct {
	main, security string
	proxies        []string // apt options
}

func (s sources) lines(suite string) []string {
	return []string{
		fmt.Sprintf("deb %s %s main", s.main, suite),
		fmt.Sprintf("deb %s %s-updates main", s.main, suite),
		fmt.Sprintf("deb %s %s-security main", s.security, suite),
	}
}

func findSources(ctx context.Context) (sources, error) {
	targets, err := output(ctx, "apt-get", "indextargets", "--format", "$(LABEL)|$(SITE)")
	if err != nil {
		return sources{}, err
	}
	dump, err := output(ctx, "apt-config", "dump", "--no-empty", "Acquire")
	if err != nil {
		return sources{}, err
	}
	return parseSources(targets, dump)
}

func parseSources(targets, dump string) (sources, error) {
	var s sources
	for line := range strings.Lines(targets) {
		label, site, _ := strings.Cut(strings.TrimSpace(line), "|")
		switch label {
		case "Debian":
			s.main = site
		case "Debian-Security":
			s.security = site
		}
	}
	if s.main == "" || s.security == "" {
		return s, crowbar.Errorf(crowbar.Unavailable, "this machine's apt knows no Debian mirror with its security archive: run `apt-get update` on a Debian system, then try again")
	}
	for line := range strings.Lines(dump) {
		key, _, _ := strings.Cut(line, " ")
		if k := strings.ToLower(key); strings.HasSuffix(k, "::proxy") && strings.HasPrefix(k, "acquire::http") {
			s.proxies = append(s.proxies, strings.TrimSuffix(strings.TrimSpace(line), ";"))
		}
	}
	return s, nil
}

// kernelFacts gives the kernel's release and the options that it has built in.
func kernelFacts() (string, map[string]bool, error) {
	release := kernelRelease()
	text, err := kernelConfig(release)
	if err != nil {
		return "", nil, err
	}
	config := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutSuffix(strings.TrimSpace(line), "=y"); ok {
			config[strings.TrimPrefix(name, "CONFIG_")] = true
		} else if name, ok := strings.CutSuffix(strings.TrimSpace(line), "=m"); ok {
			// A node cannot load a module into its host's kernel: it counts when the host has it loaded.
			config[strings.TrimPrefix(name, "CONFIG_")] = loaded(strings.TrimPrefix(name, "CONFIG_"))
		}
	}
	return release, config, nil
}

func loaded(option string) bool {
	for path, o := range moduleOptions() {
		if o == option {
			if _, err := os.Stat("/sys/module/" + strings.TrimSuffix(filepath.Base(path), ".ko")); err == nil {
				return true
			}
		}
	}
	return false
}

func kernelConfig(release string) (string, error) {
	if b, err := os.ReadFile("/boot/config-" + release); err == nil {
		return string(b), nil
	}
	f, err := os.Open("/proc/config.gz")
	if err != nil {
		return "", crowbar.Errorf(crowbar.Unavailable, "this kernel's options are not to be read (no /boot/config-%s, no /proc/config.gz): %w", release, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", fmt.Errorf("read /proc/config.gz: %w", err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return "", fmt.Errorf("read /proc/config.gz: %w", err)
	}
	return string(b), nil
}

func kernelRelease() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}
