package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// build is one making of packages.
type build struct {
	source, out, version string

	stage string    // what goes into packages, until they are made
	time  time.Time // of the commit: everything in the packages is as old as that
}

// programs are what cmd/ has.
var programs = []string{"kubeclamp", "kubeclampd", "kubeclamp-node", "kubeclamp-role"}

// ask has git say when the commit was made, and which version it is. SOURCE_DATE_EPOCH counts above the commit's time.
func (b *build) ask() error {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		out, err := b.command("git", "log", "-1", "--format=%ct")
		if err != nil {
			return err
		}
		epoch = out
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970", epoch)
	}
	b.time = time.Unix(seconds, 0).UTC()
	if b.version != "" {
		return nil
	}
	if tag, err := b.command("git", "describe", "--tags", "--exact-match"); err == nil {
		b.version = strings.TrimPrefix(tag, "v")
		return nil
	}
	commit, err := b.command("git", "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return err
	}
	b.version = "0.0.0~" + b.time.Format("20060102150405") + "." + commit
	return nil
}

// programsFor builds the programs for an architecture into a folder.
func (b *build) programsFor(arch string) (string, error) {
	dir := filepath.Join(b.stage, arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	args := []string{"build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", dir + "/"}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	_, err := b.command("go", args...)
	return dir, err
}

// pages has this machine's programs write manual pages and completions.
func (b *build) pages() error {
	dir, err := b.programsFor(runtime.GOARCH)
	if err != nil {
		return err
	}
	if _, err := b.command(filepath.Join(dir, "kubeclamp"), "man", filepath.Join(b.stage, "man1")); err != nil {
		return err
	}
	if _, err := b.command(filepath.Join(dir, "kubeclampd"), "man", filepath.Join(b.stage, "man8")); err != nil {
		return err
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		text, err := b.command(filepath.Join(dir, "kubeclamp"), "completion", shell)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.stage, "completion."+shell), []byte(text+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program in the source's folder and gives what it says, without the last line's end.
func (b *build) command(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = b.source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+b.arch(args), "GOAMD64=v1", "GOWORK=off", "LC_ALL=C", "TZ=UTC")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.Bytes())
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// arch is the one of the folder that a build goes into.
func (b *build) arch(args []string) string {
	for i, a := range args {
		if a == "-o" {
			return filepath.Base(args[i+1])
		}
	}
	return runtime.GOARCH
}

// squeeze is a text for /usr/share/man and /usr/share/doc, without a name or a time in it.
func squeeze(text []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}
