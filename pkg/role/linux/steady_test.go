package linux_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// timed runs scripts as a host does whose clock is ahead by so much.
type timed struct {
	*shell
	ahead time.Duration
	last  string // answer
}

func (c *timed) Exec(ctx context.Context, cmd jig.Cmd) (jig.Exit, error) {
	exec := exec.CommandContext(ctx, c.sh, cmd.Argv[1:]...)
	exec.Stdin = cmd.Stdin
	exec.Env = append(os.Environ(), "KUBECLAMP_WAITED=3000", "KUBECLAMP_NOW="+strconv.FormatInt(time.Now().Add(c.ahead-3*time.Second).UnixNano(), 10))
	out, err := exec.Output()
	c.last = string(out)
	return jig.Exit{Stdout: out}, err
}

// TestAnswersCanBeCompared: the same node says the same, byte for byte, unless its clock is wrong.
func TestAnswersCanBeCompared(t *testing.T) {
	for _, sh := range []string{"dash", "bash"} {
		path, err := exec.LookPath(sh)
		if err != nil {
			t.Logf("no %s here", sh)
			continue
		}
		t.Run(sh, func(t *testing.T) { steady(t, path) })
	}
}

func steady(t *testing.T, sh string) {
	dir := filepath.Join(t.TempDir(), "a b")
	if err := os.MkdirAll(dir+"/sub", 0o700); err != nil {
		t.Fatal(err)
	}
	want := linux.State{Dirs: []linux.Dir{{Path: dir, Mode: 0o700}, {Path: dir + "/sub", Mode: 0o700}}, Files: []linux.File{{Path: dir + "/f"}}, Links: []linux.Link{{Path: "/etc/mtab"}}}
	on := &timed{shell: &shell{sh: sh}}
	read := func(ahead time.Duration) (linux.Facts, string) {
		t.Helper()
		on.ahead = ahead
		have, err := linux.Read(t.Context(), role.Target{Node: "here", Conn: on}, want)
		if err != nil {
			t.Fatal(err)
		}
		return have, on.last
	}
	have, first := read(0)
	if have.Skew() != 0 || have.Now.IsZero() {
		t.Errorf("a clock that agrees is %s off", have.Skew())
	}
	if have.Paths[dir].Kind != "dir" || have.Paths[dir].Mode != 0o700 || have.Paths[dir].Owner == "" || have.Paths[dir+"/f"].Kind != "" {
		t.Errorf("paths: %+v", have.Paths)
	}
	if err := os.WriteFile(dir+"/other", nil, 0o600); err != nil { // somebody else's
		t.Fatal(err)
	}
	if _, again := read(0); again != first {
		t.Errorf("it said\n%s\nand then\n%s", first, again)
	}
	for _, off := range []time.Duration{5 * time.Second, -5 * time.Second} {
		if have, said := read(-off); said == first || have.Now.IsZero() {
			t.Errorf("a clock that is %s off is not told:\n%s", off, said)
		}
	}
	if err := os.WriteFile(dir+"/f", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, changed := read(0); changed == first {
		t.Error("a new file is not told")
	}
}
