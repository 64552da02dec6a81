package k8smaster

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube/kubetest"
	"github.com/kubeclamp/kubeclamp/pkg/role/roletest"
)

// The scripts of both actions, with a systemd that only says what it is told.
func TestHold(t *testing.T) {
	for name, tt := range map[string]struct {
		active, want string
		action       string
		fails        bool
	}{
		"it runs":      {active: "exit 0", action: role.Hold, want: "run --quiet --collect --unit kubeclamp-hold --property ExecStartPre=CTL kill -s STOP kube-apiserver.service --property ExecStopPost=CTL kill -s CONT kube-apiserver.service sleep 0.7"},
		"it does not":  {active: "exit 3", action: role.Hold},
		"held already": {active: "exit 0", action: role.Hold, fails: true, want: "run"},
		"release":      {active: "exit 0", action: role.Release, want: "ctl stop kubeclamp-hold.service"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			code := "0"
			if tt.fails {
				code = "1"
			}
			for file, text := range map[string]string{
				"systemctl":   "#!/bin/sh\n[ \"$1\" = is-active ] && " + tt.active + "\necho ctl \"$@\" >>" + dir + "/said\n",
				"systemd-run": "#!/bin/sh\necho run \"$@\" >>" + dir + "/said\nexit " + code + "\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			api := kubetest.New(t)
			n := roletest.NewNode()
			on := onNode(n, api, attribs(t, api))
			n.Handle = func(_ *roletest.Node, c jig.Cmd) jig.Exit {
				cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
				cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
				cmd.Stdin = c.Stdin
				out, err := cmd.CombinedOutput()
				if err != nil {
					return jig.Exit{Code: 1, Stderr: out}
				}
				return jig.Exit{Stdout: out}
			}
			_, err := New().(role.Actor).Act(t.Context(), on, role.Action{Name: tt.action, Out: new(bytes.Buffer)})
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			said, _ := os.ReadFile(filepath.Join(dir, "said"))
			got := strings.ReplaceAll(strings.TrimSpace(string(said)), filepath.Join(dir, "systemctl"), "CTL")
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("systemd was told %q", got)
			}
		})
	}
}
