package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// moved is the file that is added to Go's package time.
//
//go:embed moved.go.txt
var moved []byte

const (
	asks  = "\tsec, nsec, mono := runtimeNow()\n" // in time.Now, once
	moves = asks + "\tsec += moved()\n"
)

// build makes all programs of a cluster with the other clock, this one too, and becomes that. They stay beside the other artifacts.
func build(ctx context.Context, on site.Cluster) error {
	dir := filepath.Join(on.Cache, "years")
	goCmd, err := overlay(ctx, filepath.Join(dir, "go"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(on.Dir); os.IsNotExist(err) { // the time of the last cluster
		if err := os.Remove(filepath.Join(dir, "bin", clockName)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	say("build the programs")
	if err := run(ctx, []string{"CGO_ENABLED=0"}, goCmd, "build", "-o", filepath.Join(dir, "bin")+"/", "./cmd/...", "./test/years"); err != nil {
		return err
	}
	for _, name := range []string{"barclamp.yaml", "go.mod"} { // of a source tree, by which programs know theirs
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(on.Cache, "images"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join("..", "images"), filepath.Join(dir, "images")); err != nil && !os.IsExist(err) {
		return err
	}
	say("build what clusters are made of")
	path := "PATH=" + filepath.Dir(goCmd) + ":" + os.Getenv("PATH")
	if err := run(ctx, []string{path}, filepath.Join(dir, "bin", "kubeclampd"), "artifacts", "--artifact-cache", filepath.Join(dir, "artifacts")); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil {
		return err
	}
	return syscall.Exec("bin/years", append(os.Args, "--built", "--dir", on.Dir, "--cache", dir), append(os.Environ(), path))
}

// overlay writes a go command that builds with the other clock, and says where it is. What was built with another one is thrown away.
func overlay(ctx context.Context, dir string) (goCmd string, err error) {
	goReal, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, goReal, "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	pkg := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	text, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), asks); n != 1 {
		return "", fmt.Errorf("%s asks for the time in %d places, not in one: look at test/years/build.go", filepath.Join(pkg, "time.go"), n)
	}
	text = []byte(strings.Replace(string(text), asks, moves, 1))
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(pkg, "time.go"):  filepath.Join(dir, "time.go"),
		filepath.Join(pkg, "moved.go"): filepath.Join(dir, "moved.go"),
	}})
	if err != nil {
		return "", err
	}
	script := fmt.Sprintf("#!/bin/sh\nGOFLAGS=\"$GOFLAGS '-overlay=%s'\" exec '%s' \"$@\"\n", filepath.Join(dir, "overlay.json"), goReal)
	goCmd = filepath.Join(dir, "go")
	files := map[string][]byte{"time.go": text, "moved.go": moved, "overlay.json": list, "go": []byte(script)}
	same := true
	for name, text := range files {
		was, err := os.ReadFile(filepath.Join(dir, name))
		same = same && err == nil && bytes.Equal(was, text)
	}
	if same {
		return goCmd, nil
	}
	if err := os.RemoveAll(filepath.Dir(dir)); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			return "", err
		}
	}
	return goCmd, nil
}

func run(ctx context.Context, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}
