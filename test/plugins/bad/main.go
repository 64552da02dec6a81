// Command bad is a plugin that misbehaves in the way that its file's name says: kubeclamp-role-KIND. It does not know how it is
// contained.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

func main() {
	kind := strings.TrimPrefix(filepath.Base(os.Args[0]), "kubeclamp-role-")
	if kind == "child" { // of another one
		forever()
	}
	if do := before[kind]; do != nil {
		do()
	}
	plugin.Serve(bad{kind})
}

// before is what is done instead of serving, or before it.
var before = map[string]func(){
	"exit-at-once": func() { os.Exit(3) },
	"exit-after-output": func() {
		fmt.Println("Welcome to my plugin!")
		fmt.Fprintln(os.Stderr, "there is no file /etc/plugin.conf")
		os.Exit(1)
	},
	"hang-before-handshake": forever,
	"wrong-cookie":          func() { os.Setenv("KUBECLAMP_ROLE_COOKIE", "another product's") },
	"wrong-version": func() {
		fmt.Println("1|7|unix|/nowhere|grpc||true")
		forever()
	},
	"json-on-stderr":  func() { fmt.Fprintln(os.Stderr, `{"@message":5}`) },
	"broken-for-long": func() { fmt.Fprintln(os.Stderr, "I never work"); os.Exit(4) },
}

// forever sleeps: a runtime without cgo finds select {} out.
func forever() { time.Sleep(24 * time.Hour) }

type bad struct{ kind string }

func (b bad) Describe() role.Info {
	switch b.kind {
	case "panic-in-describe":
		panic("no idea what I am")
	case "disagrees":
		return role.Info{Name: b.kind, Wants: []string{"an-attrib-that-the-file-does-not-have"}}
	case "misnamed":
		return role.Info{Name: "something-else"}
	}
	return role.Info{Name: b.kind}
}

func (b bad) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	if do := during[b.kind]; do != nil {
		return do(ctx, on)
	}
	_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"true"}})
	return role.Result{}, err
}

// during is what is done instead of the work.
var during = map[string]func(context.Context, role.Target) (role.Result, error){
	"hang-in-apply": func(context.Context, role.Target) (role.Result, error) {
		fmt.Fprintln(os.Stderr, "I take my time")
		select {}
	},
	"cheats-by-command": func(ctx context.Context, on role.Target) (role.Result, error) {
		_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"touch", "/cheated"}}) // and does not ask whether it may
		return role.Result{}, err
	},
	"cheats-by-file": func(ctx context.Context, on role.Target) (role.Result, error) {
		_ = on.Conn.Put(ctx, "/cheated", 0o644, strings.NewReader("x")) // nor hears the answer
		return role.Result{}, nil
	},
	"honest": func(ctx context.Context, on role.Target) (role.Result, error) {
		if _, err := jig.Run(ctx, on.Conn, jig.Look("cat /etc/os-release")); err != nil {
			return role.Result{}, err
		}
		res := role.Result{Changes: []role.Change{{What: "file", Name: "/honest", Do: "change", Diff: "content", Unified: "@@ -1,1 +1,1 @@\n-a\n+b\n", More: 3}}}
		if !on.DryRun {
			return res, on.Conn.Put(ctx, "/honest", 0o644, strings.NewReader("b\n"))
		}
		return res, nil
	},
	"sleeper": func(ctx context.Context, on role.Target) (role.Result, error) {
		_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"/bin/sh", "-c", `sleep "$1" & wait`, "sleeper", "3601.5"}})
		return role.Result{}, err
	},
	"deaf-sleeper": func(ctx context.Context, on role.Target) (role.Result, error) {
		_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"/bin/sh", "-c", `(trap "" TERM; sleep "$1") >/dev/null 2>&1 & wait`, "sleeper", "3602.5"}})
		return role.Result{}, err
	},
	"panic-in-apply": func(context.Context, role.Target) (role.Result, error) { panic("this cannot be") },
	"stdout-noise": func(context.Context, role.Target) (role.Result, error) {
		fmt.Println("1|1|unix|/somewhere|grpc||true") // goes to the SDK
		for range 100 {
			say(1, strings.Repeat("noise ", 20_000))
			say(1, "\n1|1|unix|/somewhere|grpc||true\n")
		}
		return role.Result{}, nil
	},
	"gigabyte-line": func(context.Context, role.Target) (role.Result, error) {
		mebi := strings.Repeat("x", 1<<20)
		for range 1 << 10 {
			say(2, mebi)
		}
		return role.Result{}, nil
	},
	"memory-hog": func(context.Context, role.Target) (role.Result, error) {
		var all [][]byte
		for range 1 << 10 { // a GiB
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			all = append(all, b)
		}
		return role.Result{}, fmt.Errorf("nobody stopped me at %d MiB", len(all))
	},
	"fork-bomb": func(context.Context, role.Target) (role.Result, error) {
		const bound = 300 // for a machine where nobody stops it
		for n := range bound {
			if err := child(); err != nil {
				return role.Result{}, fmt.Errorf("child %d: %w", n, err)
			}
		}
		return role.Result{}, fmt.Errorf("nobody stopped me at %d children", bound)
	},
	"leaves-children": func(context.Context, role.Target) (role.Result, error) {
		for range 3 {
			if err := child(); err != nil {
				return role.Result{}, err
			}
		}
		os.Exit(5)
		return role.Result{}, nil
	},
	"slow-stream": func(_ context.Context, on role.Target) (role.Result, error) {
		r, err := on.Conn.Get(context.Background(), "/flood")
		if err != nil {
			return role.Result{}, err
		}
		_, err = r.Read(make([]byte, 1))
		if err != nil {
			return role.Result{}, err
		}
		select {}
	},
	"giant-answer": func(context.Context, role.Target) (role.Result, error) {
		return role.Result{Wall: crowbar.Data{"answer": strings.Repeat("42", 16<<20)}}, nil
	},
	"hangs-up": func(context.Context, role.Target) (role.Result, error) {
		open, _ := filepath.Glob("/proc/self/fd/*")
		for _, f := range open {
			var fd int
			if to, _ := os.Readlink(f); strings.HasPrefix(to, "socket:") {
				_, _ = fmt.Sscan(filepath.Base(f), &fd)
				_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
			}
		}
		select {}
	},
}

// say writes past the SDK, on what the daemon reads itself.
func say(fd int, text string) {
	for len(text) > 0 {
		n, err := syscall.Write(fd, []byte(text))
		if err != nil && !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.EAGAIN) {
			panic(err)
		}
		text = text[max(n, 0):]
	}
}

// child starts a process that wants nothing to do with this one any more.
func child() error {
	c := exec.Command("/proc/self/exe")
	c.Args = []string{"kubeclamp-role-child"}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c.Start()
}
