package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

// settings reads a file as the program does, after flags and environment.
func settings(t *testing.T, text string, env map[string]string, args ...string) (*config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeclampd.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &config{}
	f := pflag.NewFlagSet("kubeclampd", pflag.ContinueOnError)
	c.add(f)
	if err := f.Parse(append(args, "--config-file", file)); err != nil {
		t.Fatal(err)
	}
	return c, c.read(f, func(k string) (string, bool) { v, ok := env[k]; return v, ok })
}

func TestConfigFile(t *testing.T) {
	c, err := settings(t, "# ours\nlisten: 0.0.0.0:3443\ndata-dir: /file\nname: file\nssh-key: [/a, '/b,c']\ntls-san: one\nparallel: 7\nssh-agent: true\nsnapshot-every: 2h\n",
		map[string]string{"KUBECLAMP_NAME": "environment", "KUBECLAMP_DATA_DIR": "/environment"}, "--name", "flag")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.listen, c.dataDir, c.name, c.sshKeys, c.tlsSAN, c.parallel, c.agent, c.snapshotEvery}
	want := []any{"0.0.0.0:3443", "/environment", "flag", []string{"/a", "/b,c"}, []string{"one"}, 7, true, 2 * time.Hour}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, empty := range []string{"", "# nothing\n"} {
		if _, err := settings(t, empty, nil); err != nil {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestConfigFileIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 0.0.0.0:1\nlisten-on: x\n": `kubeclampd.yaml:2: there is no "listen-on"`,
		"config-file: x\n":                  `:1: there is no "config-file"`,
		"- listen\n":                        ":1: want a map of flags",
		"name: a\nname: b\n":                `:2: "name" is in line 1 too`,
		"parallel: many\n":                  ":1: parallel: ",
		"listen: [a, b]\n":                  ":1: listen: want one value",
		"listen:\n":                         ":1: listen: want one value",
		"ssh-key: { a: b }\n":               ":1: ssh-key: want a list, or one value",
		"listen: 'a\n":                      "kubeclampd.yaml: yaml:",
	} {
		if _, err := settings(t, text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
