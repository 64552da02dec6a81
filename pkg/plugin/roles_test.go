package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

var testRoles = map[string]func() role.Role{
	"mirror":   func() role.Role { return mirror{} },
	"misnamed": func() role.Role { return mirror{} },
	"checks": func() role.Role {
		return struct {
			named
			checkRole
		}{named{"checks"}, checkRole{}}
	},
	"removes": func() role.Role {
		return struct {
			named
			removeRole
		}{named{"removes"}, removeRole{}}
	},
	"all": func() role.Role {
		return struct {
			named
			checkRole
			removeRole
		}{named{"all"}, checkRole{}, removeRole{}}
	},
	"acts":  func() role.Role { return actRole{} },
	"hands": func() role.Role { return handsRole{named{"hands"}} },
}

type named struct{ name string }

func (n named) Describe() role.Info { return role.Info{Name: n.name} }
func (n named) Apply(context.Context, role.Target) (role.Result, error) {
	return role.Result{}, nil
}

type checkRole struct{}

func (checkRole) Check(_ context.Context, on role.Target) (role.Drift, error) {
	return role.Drift{Changes: []role.Change{{Name: "drift on " + on.Node}}}, nil
}

type removeRole struct{}

func (removeRole) Remove(_ context.Context, on role.Target) error {
	return crowbar.Errorf(crowbar.Conflict, "cannot remove from %s", on.Node)
}

// actRole knows one action that gives out a lot and then says how it ended, and one that fails after having given out a part.
type actRole struct{ named }

func (actRole) Describe() role.Info {
	return role.Info{Name: "acts", Actions: []string{"copy", "break"}}
}

func (actRole) Act(_ context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	n, _ := do.Args["bytes"].(float64)
	if _, err := do.Out.Write(bytes.Repeat([]byte("x"), int(n))); err != nil {
		return nil, err
	}
	if do.Name == "break" {
		return nil, crowbar.Errorf(crowbar.Conflict, "broken on %s", on.Node)
	}
	return crowbar.Data{"node": on.Node}, nil
}

// mirror gives back what it was given.
type mirror struct{}

func (mirror) Describe() role.Info {
	return role.Info{Name: "mirror", Version: "v7", Wants: []string{"a", "b"}}
}

func (mirror) Apply(_ context.Context, on role.Target) (role.Result, error) {
	on.Logf("a line with 100%%")
	on.Logf("second")
	return role.Result{Changes: []role.Change{{What: "file", Name: "/x", Do: "create", Diff: "d"}}, Wall: crowbar.Data{"target": fmt.Sprintf("%+v", plainTarget(on))}}, nil
}

// plainTarget leaves out what is an object on each side.
func plainTarget(on role.Target) role.Target {
	on.Conn, on.Artifacts, on.Log, on.Hold = nil, nil, nil, nil
	return on
}

// handsRole does the one thing that attrib "do" says.
type handsRole struct{ named }

func (handsRole) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	what, _ := on.Attribs["do"].(string)
	res := role.Result{Wall: crowbar.Data{"node": on.Node}}
	if what == "half done" {
		res.Changes = []role.Change{{Do: "create"}}
	}
	return res, handsTests[what](ctx, on)
}

func expect(ok bool, format string, a ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, a...)
}

var errBroken = errors.New("the reader broke")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

var handsTests = map[string]func(context.Context, role.Target) error{
	"invalid":     func(context.Context, role.Target) error { return crowbar.Errorf(crowbar.Invalid, "x") },
	"conflict":    func(context.Context, role.Target) error { return crowbar.Errorf(crowbar.Conflict, "x") },
	"unavailable": func(context.Context, role.Target) error { return crowbar.Errorf(crowbar.Unavailable, "x") },
	"plain":       func(context.Context, role.Target) error { return errors.New("x") },
	"half done":   func(context.Context, role.Target) error { return errors.New("x") },
	"panic":       func(context.Context, role.Target) error { panic("a role that panics") },
	"held": func(ctx context.Context, on role.Target) error {
		done := false
		on.Held(ctx, func() { done = true })
		return expect(done, "what those that write were held up for was not done")
	},
	"get missing": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Get(ctx, "/missing")
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the role saw %v", err)
		}
		return err
	},
	"daemon panics": func(ctx context.Context, on role.Target) error {
		_, err := on.Artifacts.Stat(ctx, "pan/ic")
		if err == nil || !strings.Contains(err.Error(), "a daemon that panics") {
			return crowbar.Errorf(crowbar.Invalid, "the role saw %v", err)
		}
		return err
	},
	"no artifact": func(ctx context.Context, on role.Target) error {
		_, err := on.Artifacts.Stat(ctx, "no/such")
		return err
	},
	"dead node": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"dead"}})
		return err
	},
	"exit error": func(ctx context.Context, on role.Target) error {
		_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"false", "--really"}})
		return fmt.Errorf("wrapped: %w", err)
	},
	"exec echo": func(ctx context.Context, on role.Target) error {
		out, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"cat", "a b", "\n"}, Stdin: strings.NewReader("in")})
		return errors.Join(err, expect(out == `["cat" "a b" "\n"] in`, "got %q", out))
	},
	"env": func(ctx context.Context, on role.Target) error {
		out, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"env"}, Env: map[string]string{"A": "b"}, Secret: true, Timeout: time.Second})
		return errors.Join(err, expect(out == "map[A:b] true 1s", "got %q", out))
	},
	"exec writers": func(ctx context.Context, on role.Target) error {
		var out, bad bytes.Buffer
		exit, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"both"}, Stdout: &out, Stderr: &bad})
		return errors.Join(err, expect(out.String() == "out" && bad.String() == "err" && exit.Code == 9, "got %q %q %d", &out, &bad, exit.Code))
	},
	"exec big": func(ctx context.Context, on role.Target) error {
		want := bytes.Repeat([]byte("x"), 3_000_001)
		exit, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"raw"}, Stdin: bytes.NewReader(want)})
		return errors.Join(err, expect(bytes.Equal(exit.Stdout, want), "%d bytes came back", len(exit.Stdout)))
	},
	"put big": func(ctx context.Context, on role.Target) error {
		return on.Conn.Put(ctx, "/put", 0o640|fs.ModeSetgid, bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 1<<18)))
	},
	"put broken": func(ctx context.Context, on role.Target) error {
		err := on.Conn.Put(ctx, "/broken", 0o600, io.MultiReader(strings.NewReader("half"), failing{}))
		return expect(errors.Is(err, errBroken), "the error is %v", err)
	},
	"stdin broken": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"raw"}, Stdin: io.MultiReader(strings.NewReader("half"), failing{})})
		return expect(err != nil && strings.Contains(err.Error(), errBroken.Error()), "the error is %v", err)
	},
	"get big": func(ctx context.Context, on role.Target) error {
		r, err := on.Conn.Get(ctx, "/big")
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		return errors.Join(err, expect(len(b) == 4<<20, "%d bytes", len(b)))
	},
	"get part": func(ctx context.Context, on role.Target) error {
		r, err := on.Conn.Get(ctx, "/big")
		if err != nil {
			return err
		}
		_, err = io.ReadFull(r, make([]byte, 10))
		return errors.Join(err, r.Close())
	},
	"dial": func(ctx context.Context, on role.Target) error {
		short, cancel := context.WithCancel(ctx)
		c, err := on.Conn.Dial(short, "tcp", "echo:1")
		cancel() // the stream outlives the dialling
		if err != nil {
			return err
		}
		defer c.Close()
		want := bytes.Repeat([]byte("y"), 1_000_000)
		go c.Write(want)
		got := make([]byte, len(want))
		_, err = io.ReadFull(c, got)
		if err = errors.Join(err, expect(bytes.Equal(got, want), "echo differs")); err != nil {
			return err
		}
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err = c.Read(got)
		return expect(errors.Is(err, os.ErrDeadlineExceeded), "deadline: %v", err)
	},
	"dial refused": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Dial(ctx, "tcp", "nobody:1")
		return expect(crowbar.KindOf(err) == crowbar.Unavailable, "the error is %v", err)
	},
	"artifact": func(ctx context.Context, on role.Target) error {
		a, err := on.Artifacts.Stat(ctx, "etcd/etcd")
		want := role.Artifact{Name: "etcd/etcd", Version: "3", SHA256: "ab", Size: 7}
		return errors.Join(err, expect(a == want, "got %v", a), on.Artifacts.Put(ctx, "etcd/etcd", "/usr/local/bin/etcd", 0o755))
	},
	"hang": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"hang"}})
		return err
	},
	"never stop": func(ctx context.Context, on role.Target) error {
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"hang"}})
		fmt.Fprintln(os.Stderr, "I do not care:", err)
		select {}
	},
	"hang up": func(context.Context, role.Target) error {
		open, _ := filepath.Glob("/proc/self/fd/*")
		for _, f := range open {
			if to, _ := os.Readlink(f); strings.HasPrefix(to, "socket:") {
				if fd, err := strconv.Atoi(filepath.Base(f)); err == nil {
					_ = syscall.Shutdown(fd, syscall.SHUT_RDWR)
				}
			}
		}
		select {}
	},
	"own timeout": func(ctx context.Context, on role.Target) error {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"hang"}})
		return expect(errors.Is(err, context.DeadlineExceeded), "the error is %v", err)
	},
	"noise": func(context.Context, role.Target) error {
		fmt.Println("on stdout")
		fmt.Fprintln(os.Stderr, "on stderr")
		return nil
	},
}

// fake is a node in the daemon's process.
type fake struct {
	mu      sync.Mutex
	files   map[string][]byte
	modes   map[string]fs.FileMode
	entered chan struct{}
	left    chan error
}

func (f *fake) Exec(ctx context.Context, c jig.Cmd) (jig.Exit, error) {
	switch c.Argv[0] {
	case "cat":
		in, err := io.ReadAll(c.Stdin)
		fmt.Fprintf(c.Stdout, "%q %s", c.Argv, in)
		return jig.Exit{}, err
	case "raw":
		_, err := io.Copy(c.Stdout, c.Stdin)
		return jig.Exit{}, err
	case "env":
		fmt.Fprint(c.Stdout, c.Env, c.Secret, c.Timeout)
	case "both":
		fmt.Fprint(c.Stdout, "out")
		fmt.Fprint(c.Stderr, "err")
		return jig.Exit{Code: 9}, nil
	case "false":
		fmt.Fprint(c.Stderr, "bad")
		return jig.Exit{Code: 3}, nil
	case "dead":
		return jig.Exit{}, crowbar.Errorf(crowbar.Unavailable, "no route")
	case "hang":
		if f.entered != nil {
			f.entered <- struct{}{}
		}
		<-ctx.Done()
		if f.left != nil {
			f.left <- ctx.Err()
		}
		return jig.Exit{}, ctx.Err()
	}
	return jig.Exit{}, nil
}

func (f *fake) file(path string) []byte { f.mu.Lock(); defer f.mu.Unlock(); return f.files[path] }

func (f *fake) Put(_ context.Context, path string, mode fs.FileMode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files == nil {
		f.files = map[string][]byte{}
	}
	if f.modes == nil {
		f.modes = map[string]fs.FileMode{}
	}
	f.files[path], f.modes[path] = b, mode
	return nil
}

func (f *fake) Get(_ context.Context, path string) (io.ReadCloser, error) {
	b := f.file(path)
	if b == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "get %s: %w", path, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (f *fake) Dial(_ context.Context, _, addr string) (net.Conn, error) {
	if addr != "echo:1" {
		return nil, crowbar.Errorf(crowbar.Unavailable, "refused")
	}
	a, b := net.Pipe()
	go func() { defer b.Close(); io.Copy(b, b) }()
	return a, nil
}

func (f *fake) Close() error { return nil }

type artifactsOf struct{}

func (artifactsOf) Stat(_ context.Context, name string) (role.Artifact, error) {
	if name == "pan/ic" {
		panic("a daemon that panics")
	}
	if name != "etcd/etcd" {
		return role.Artifact{}, crowbar.Errorf(crowbar.NotFound, "no artifact %q", name)
	}
	return role.Artifact{Name: name, Version: "3", SHA256: "ab", Size: 7}, nil
}

func (artifactsOf) Put(_ context.Context, name, path string, mode fs.FileMode) error {
	return expect(name == "etcd/etcd" && path == "/usr/local/bin/etcd" && mode == 0o755, "%s %s %v", name, path, mode)
}
