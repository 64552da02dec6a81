// Command packaging builds the Debian and RPM packages of kubeclamp, and says of what they are made (CycloneDX). The same
// commit gives the same bytes, wherever and whenever it is built. It is a module of its own: nothing of it is shipped.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	b := build{}
	var archs string
	flag.StringVar(&b.source, "source", "..", "root of the source: a clone")
	flag.StringVar(&b.out, "out", "../dist", "folder for the packages")
	flag.StringVar(&archs, "arch", "amd64", "architectures, by commas: amd64, arm64")
	flag.StringVar(&b.version, "version", "", "version; default: the commit's tag, else 0.0.0~TIME.COMMIT")
	flag.Parse()
	if err := run(&b, strings.Split(archs, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

func run(b *build, archs []string) error {
	var err error
	if b.source, err = filepath.Abs(b.source); err != nil {
		return err
	}
	if b.out, err = filepath.Abs(b.out); err != nil {
		return err
	}
	if err := b.ask(); err != nil {
		return err
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	if b.stage, err = os.MkdirTemp("", "kubeclamp-packaging-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.stage)
	if err := b.pages(); err != nil {
		return err
	}
	var made []string
	for _, arch := range archs {
		files, err := b.packages(arch)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		made = append(made, files...)
	}
	return b.sums(made)
}

// sums writes SHA256SUMS, and says what was made.
func (b *build) sums(made []string) error {
	var text strings.Builder
	for _, f := range made {
		c, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(c), filepath.Base(f))
	}
	fmt.Print(text.String())
	return os.WriteFile(filepath.Join(b.out, "SHA256SUMS"), []byte(text.String()), 0o644)
}
