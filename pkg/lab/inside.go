package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The parts that the program runs of itself, in processes of their own.
const (
	stageSupervise = "supervise" // DIR NODE: watches one node
	stageEnter     = "enter"     // DIR NODE: joins the node's cgroups, makes its namespaces
	stageInit      = "init"      // DIR NODE: is the node's first process; ends by becoming systemd
	stageRunc      = "runc"      // ARGUMENTS: stands before the node's runc
)

var plainArg = regexp.MustCompile(`^[A-Za-z0-9_./=@:+-]+$`)

// Inside runs one of the lab's own parts; args are what follows Config.Self on the command line. People never call it.
func Inside(args []string) error {
	if len(args) == 0 {
		return crowbar.Errorf(crowbar.Invalid, "lab inside: it is for the lab's own use; see `kubeclamp lab --help`")
	}
	if args[0] == stageRunc {
		return runc(args[1:])
	}
	if len(args) != 3 {
		return crowbar.Errorf(crowbar.Invalid, "lab inside %s: wants a folder and a node", args[0])
	}
	self := append([]string(nil), os.Args[:len(os.Args)-len(args)]...)
	if exe, err := os.Executable(); err == nil && len(self) > 0 {
		self[0] = exe
	}
	l, err := Open(Config{Dir: args[1], Self: self})
	if err != nil {
		return err
	}
	l.self = self
	rec, err := l.load()
	if err != nil {
		return err
	}
	n, err := rec.node(args[2])
	if err != nil {
		return err
	}
	switch args[0] {
	case stageSupervise:
		return l.supervise(n)
	case stageEnter:
		return l.enter(n)
	case stageInit:
		return l.becomeInit(n)
	}
	return crowbar.Errorf(crowbar.Invalid, "lab inside: no part %q", args[0])
}

// join puts this process into the node's groups. Whoever clears up after an earlier boot may take a group away between its
// making and the joining; then it is made again.
func (l *Lab) join(n nodeRecord) error {
	var last error
	err := await(context.Background(), 5*time.Second, "joining the control groups of "+n.Name, func() bool {
		last = l.joinOnce(n)
		return !errors.Is(last, syscall.ENODEV) && !errors.Is(last, fs.ErrNotExist)
	})
	return errors.Join(last, err)
}

func (l *Lab) joinOnce(n nodeRecord) error {
	dirs, err := l.makeGroups(n)
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return nil
}

// enter puts this process into the node's cgroups and turns it into the chain nsenter, unshare, init.
func (l *Lab) enter(n nodeRecord) error {
	if err := l.join(n); err != nil {
		return err
	}
	path, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	argv := []string{"nsenter", "--net=" + netnsPath(l.netns(n.Name)), "unshare"}
	if fileExists("/proc/self/ns/time") {
		b, err := os.ReadFile("/proc/uptime")
		if err != nil {
			return err
		}
		up, _, _ := strings.Cut(string(b), ".")
		secs, err := strconv.Atoi(up)
		if err != nil {
			return fmt.Errorf("read /proc/uptime: %w", err)
		}
		argv = append(argv, "--time", "--boottime", strconv.Itoa(1-secs))
	}
	argv = append(argv, "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child=SIGKILL", "--propagation=slave")
	argv = append(append(argv, l.self...), stageInit, l.cfg.Dir, n.Name)
	return fmt.Errorf("run nsenter: %w", syscall.Exec(path, argv, os.Environ()))
}

// wrapperScript stands before runc on a node's PATH.
func wrapperScript(program string, self []string) (string, error) {
	args := append(append([]string{program}, self[1:]...), stageRunc)
	for _, a := range args {
		if !plainArg.MatchString(a) {
			return "", fmt.Errorf("own command line holds %q: letters, digits and _./=@:+- only", a)
		}
	}
	return "#!/bin/sh\nexec " + strings.Join(args, " ") + " \"$@\"\n", nil
}
