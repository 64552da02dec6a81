// Package script is the script jig of OpenCrowbar and Digital Rebar: it runs a folder of a barclamp, script/roles/ROLE/*.sh, on a
// node, and brings back what the scripts wrote. It does not know what they do, nor how the node is reached.
//
// What passes between here and the node is those servers' protocol, step by step: a folder made by mktemp, the data in attrs.json,
// a runner that sources the scripts in turn, and files named wall for what is given back.
package script

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Name is the jig's, and says in a barclamp that a role is a folder of scripts.
const Name = "script"

// Source is where a role's scripts lie, and whose they are.
type Source struct {
	Role  string
	Dir   string // of the barclamp: it has script/roles/ROLE
	Rebar bool   // run them as Digital Rebar does, else as OpenCrowbar
	// Scripts are in place of those of the folder (metadata.scripts of Digital Rebar).
	Scripts []string
}

// New is the role that is such a folder.
func New(from Source) role.Role { return &scripts{from} }

type scripts struct{ Source }

// Describe names it.
func (s *scripts) Describe() role.Info { return role.Info{Name: s.Role, Version: "script"} }

// limits of what comes back: far above what people give back, far below what the state holds in one commit.
const (
	mostWall  = 1 << 20
	keptLines = 64 << 10 // bytes of the end of the output that a failure says
)

// Apply runs the scripts on the node. Each run runs all of them: they look themselves whether there is anything to do.
func (s *scripts) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	parts, err := s.parts(on)
	if err != nil {
		return role.Result{}, err
	}
	if err := ready(ctx, on); err != nil {
		return role.Result{}, err
	}
	if on.DryRun {
		return role.Result{Changes: []role.Change{{What: "scripts", Name: s.Role, Do: "run", Diff: "what they change is known when they have run"}}}, nil
	}
	made, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"mktemp", "-d", "/tmp/scriptjig-XXXXXX"}})
	if err != nil {
		return role.Result{}, err
	}
	dir := strings.TrimSpace(made)
	if !strings.HasPrefix(dir, "/tmp/scriptjig-") {
		return role.Result{}, fmt.Errorf("mktemp on %s gave %q", on.Node, dir)
	}
	wall, err := s.run(ctx, on, dir, parts)
	late := context.WithoutCancel(ctx) // what is secret in attrs.json does not stay behind
	if _, bad := jig.Run(late, on.Conn, jig.Cmd{Argv: []string{"rm", "-rf", "--", dir}, Timeout: removeLimit}); err == nil && bad != nil {
		err = bad
	}
	if err != nil {
		return role.Result{}, err
	}
	return role.Result{Wall: wall, Changes: []role.Change{{What: "scripts", Name: s.Role, Do: "run"}}}, nil
}

// Remove leaves the node as it is: the protocol has no removal.
func (s *scripts) Remove(_ context.Context, on role.Target) error {
	on.Logf("the scripts of a role have no removal: they leave the node as it is")
	return nil
}

// ready looks, in the one command that changes nothing, whether the node has what the runner needs.
func ready(ctx context.Context, on role.Target) error {
	lacks, err := jig.Run(ctx, on.Conn, jig.Look(`for p in bash jq tar mktemp tee; do command -v "$p" >/dev/null || printf '%s ' "$p"; done`))
	if err != nil {
		return err
	}
	if lacks = strings.TrimSpace(lacks); lacks != "" {
		return crowbar.Errorf(crowbar.Invalid, "node %s lacks %s, which scripts of a barclamp are run with: install it there, or bind a role that does", on.Node, strings.ReplaceAll(lacks, " ", ", "))
	}
	return nil
}

// part is one file that is put into the folder on the node.
type part struct {
	name string
	mode fs.FileMode
	data []byte // or
	path string // a file here
}

// parts is everything that goes onto the node.
func (s *scripts) parts(on role.Target) ([]part, error) {
	attrs, err := json.Marshal(on.Tree)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "the attribs of %s: %w", s.Role, err)
	}
	parts := []part{{name: "attrs.json", mode: 0o600, data: attrs}, {name: "runner", mode: 0o700, data: runner(s.Rebar)}}
	if s.Rebar {
		maps, err := json.Marshal(on.Maps)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{name: "maps.json", mode: 0o600, data: maps})
	}
	if len(s.Scripts) > 0 {
		for i, text := range s.Scripts {
			parts = append(parts, part{name: fmt.Sprintf("%s/%02d-script.sh", s.Role, i), mode: 0o700, data: []byte(text)})
		}
		return parts, nil
	}
	own, err := s.folder()
	return append(parts, own...), err
}

// folder is the files of the role's folder.
func (s *scripts) folder() ([]part, error) {
	dir := filepath.Join(s.Dir, "script", "roles", s.Role)
	if i, err := os.Stat(dir); err != nil || !i.IsDir() {
		return nil, crowbar.Errorf(crowbar.NotFound, "No local scripts @ %s: put the barclamp's folder there, on the daemon's machine, or import it from where it lies", dir)
	}
	var parts []part
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := os.Stat(path) // as scp, through links
		if err != nil {
			return err
		}
		if !i.Mode().IsRegular() {
			return crowbar.Errorf(crowbar.Invalid, "%s is no file: take it out of the role's folder", path)
		}
		name, err := filepath.Rel(dir, path)
		parts = append(parts, part{name: s.Role + "/" + filepath.ToSlash(name), mode: i.Mode().Perm(), path: path})
		return err
	})
	return parts, err
}

// run puts everything into dir on the node, runs it, and brings the walls back.
func (s *scripts) run(ctx context.Context, on role.Target, dir string, parts []part) (crowbar.Data, error) {
	if err := send(ctx, on, dir, parts); err != nil {
		return nil, fmt.Errorf("put the scripts of %s onto %s: %w", s.Role, on.Node, err)
	}
	out := &lines{say: on.Logf}
	errs := &lines{say: on.Logf}
	exit, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"/bin/bash", dir + "/runner", dir, s.Role}, Stdout: out, Stderr: errs})
	out.end()
	errs.end()
	if err != nil {
		return nil, err
	}
	if exit.Code != 0 {
		//lint:ignore ST1005 OpenCrowbar's words, to the letter
		return nil, fmt.Errorf("Script jig run for %s on %s failed! (status = %d)\nOut: %s\nErr: %s", s.Role, on.Node, exit.Code, out.kept(), errs.kept())
	}
	back, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"tar", "-C", dir, "-cf", "-", "attrs"}, Secret: true})
	if err != nil {
		return nil, err
	}
	wall, err := walls(strings.NewReader(back))
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "what %s gave back on %s: %w", s.Role, on.Node, err)
	}
	return wall, nil
}

// send packs the parts and has the node unpack them.
func send(ctx context.Context, on role.Target, dir string, parts []part) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(w, parts)) }()
	defer r.Close()
	_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"tar", "-C", dir, "-xpf", "-", "--no-same-owner"}, Stdin: r, Secret: true})
	return err
}

func pack(w io.Writer, parts []part) error {
	t := tar.NewWriter(w)
	for _, p := range parts {
		if err := p.add(t); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return t.Close()
}

func (p part) add(t *tar.Writer) error {
	from, size := io.Reader(bytes.NewReader(p.data)), int64(len(p.data))
	if p.path != "" {
		f, err := os.Open(p.path)
		if err != nil {
			return err
		}
		defer f.Close()
		i, err := f.Stat()
		if err != nil {
			return err
		}
		from, size = f, i.Size()
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: p.name, Mode: int64(p.mode), Size: size, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.CopyN(t, from, size)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// lines hands an output on, line by line, while it comes, and keeps its end.
type lines struct {
	say  func(format string, a ...any)
	rest []byte
	last []byte
}

// Write takes some of it.
func (l *lines) Write(b []byte) (int, error) {
	l.last = append(l.last, b...)
	if over := len(l.last) - keptLines; over > keptLines {
		l.last = append([]byte(nil), l.last[over:]...)
	}
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		l.say("%s", text(line))
		l.rest = rest
	}
}

func (l *lines) end() {
	if len(l.rest) > 0 {
		l.say("%s", text(l.rest))
		l.rest = nil
	}
}

func (l *lines) kept() string {
	b := l.last
	if over := len(b) - keptLines; over > 0 {
		b = b[over:]
		for len(b) > 0 && !utf8.RuneStart(b[0]) {
			b = b[1:]
		}
	}
	return strings.TrimRight(text(b), "\n")
}

// text is bytes of an output in a form that a log, a page and the state can hold: what is no UTF-8 is marked.
func text(b []byte) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(b), "\x00", "\uFFFD"), "\uFFFD")
}
