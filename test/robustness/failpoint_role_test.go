package robustness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// barclampText is what the roles under test are; the folder and a number that changes at each start are filled in.
const barclampText = `barclamp: { name: recorded, version: "%[2]d" }
crowbar: { layout: 2.0 }
jigs:
  - { name: local, class: Local }
  - { name: noop, class: Noop }
attribs:
  - { name: rec-dir, map: rec/dir, default: %[1]q, schema: { type: str } }
  - { name: rec-zone, map: rec/zone, default: none, schema: { type: str } }
  - { name: rec-password, map: rec/password, secret: true, schema: { type: str } }
roles:
  - name: rec-config
    jig: noop
    flags: [service]
    attribs:
      - { name: rec-color, map: rec/color, default: none, schema: { type: str } }
  - name: rec-pki
    jig: noop
    flags: [service]
    attribs:
      - { name: rec-ca, map: rec/ca, authority: rec }
  - name: rec-base
    jig: local
    flags: [implicit]
    wants-attribs: [rec-dir, rec-zone]
  - name: rec-member
    jig: local
    flags: [cluster]
    requires: [rec-base, rec-config]
    wants-attribs: [rec-dir, rec-color]
    exclusive: [{ name: membership, limit: 1 }]
  - name: rec-app
    jig: local
    requires: [rec-member, rec-pki]
    wants-attribs: [rec-dir, rec-zone, rec-color, rec-ca]
    attribs:
      - { name: rec-secret, map: rec/secret, generate: random-32, secret: true }
      - { name: rec-leaf, map: rec/leaf, secret: true, leaf: { authority: rec, common_name: "{{node}}", dns: ["{{node}}"], usages: [server] } }
  - name: rec-flaky
    jig: local
    requires: [rec-base]
    wants-attribs: [rec-dir, rec-password]
    retry: { times: 5, backoff: 1s }
`

// recorded is the roles of barclampText.
var recorded = []string{"rec-config", "rec-pki", "rec-base", "rec-member", "rec-app", flaky}

// recorder is every role: it writes down when it begins and ends on a node, and what it was given.
type recorder struct {
	name string
	life string // of the daemon whose plugin this is
}

// lifeOfParent names the process that started this one. Its number is not enough: numbers are used again.
func lifeOfParent() string {
	pid := os.Getppid()
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	born := "?"
	if f := strings.Fields(after); len(f) > 19 {
		born = f[19]
	}
	return fmt.Sprintf("%d.%s", pid, born)
}

func (r recorder) Describe() role.Info { return role.Info{Name: r.name, Version: "1"} }

// seen is what a role leaves on its node: the attribs it was given, secrets as their hash.
type seen map[string]string

func seenBy(on role.Target) seen {
	s := seen{}
	for name, v := range on.Attribs {
		if name == "rec-dir" {
			continue
		}
		text, ok := v.(string)
		if !ok {
			b, _ := json.Marshal(v) // it came as JSON
			text = string(b)
		}
		if len(text) > 16 {
			sum := sha256.Sum256([]byte(text))
			text = hex.EncodeToString(sum[:8])
		}
		s[name] = text
	}
	return s
}

// Apply puts one file on the node, between a line that it began and a line that it ended.
func (r recorder) Apply(ctx context.Context, on role.Target) (res role.Result, err error) {
	dir, ok := on.Attribs["rec-dir"].(string)
	if r.name == flaky {
		return res, r.fail(ctx, on, dir)
	}
	if !ok { // a service role
		_, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"true"}})
		return res, err
	}
	file := fmt.Sprintf("%s/nodes/%s/%s", dir, on.Node, r.name)
	had, err := jig.Run(ctx, on.Conn, r.mark("begin", on, dir, `mkdir -p "${4%/*}"; cat "$4" 2>/dev/null || true`, file))
	if err != nil {
		return res, err
	}
	on.Logf("role %s is at work on %s", r.name, on.Node)
	if _, err := jig.Run(ctx, on.Conn, r.mark("step", on, dir, "sleep 0.02", file)); err != nil {
		return res, err
	}
	want, err := json.Marshal(seenBy(on))
	if err != nil {
		return res, err
	}
	if had != string(want) {
		if err := on.Conn.Put(ctx, file, 0o600, strings.NewReader(string(want))); err != nil {
			return res, err
		}
		res.Changes = append(res.Changes, role.Change{What: "file", Name: file, Do: "change"})
	}
	_, err = jig.Run(ctx, on.Conn, r.mark("end", on, dir, "", file))
	return res, err
}

// Remove takes the file away.
func (r recorder) Remove(ctx context.Context, on role.Target) error {
	dir, ok := on.Attribs["rec-dir"].(string)
	if !ok || r.name == flaky {
		return nil
	}
	file := fmt.Sprintf("%s/nodes/%s/%s", dir, on.Node, r.name)
	if _, err := jig.Run(ctx, on.Conn, r.mark("begin", on, dir, `sleep 0.02; rm -f "$4"`, file)); err != nil {
		return err
	}
	_, err := jig.Run(ctx, on.Conn, r.mark("end", on, dir, "", file))
	return err
}

// flaky is a role whose runs hang for a while and fail, then fail at once, then end well, in turn. It leaves nothing on the
// node and no line in the record, whose runs begin and end.
const flaky = "rec-flaky"

func (r recorder) fail(ctx context.Context, on role.Target, dir string) error {
	if password, _ := on.Attribs["rec-password"].(string); password != "" && password != flakyPassword {
		return fmt.Errorf("it was given %q, which nobody set", password)
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Cmd{Argv: []string{"true"}, Reads: true}); err != nil {
		return err
	}
	_, err := jig.Run(ctx, on.Conn, jig.Script(`set -eu
n=$(cat "$1/flaky" 2>/dev/null || echo 0)
echo $(( (n + 1) % 3 )) >"$1/flaky"
case $n in
0) sleep 3; echo "it hung" >&2; exit 1 ;;
1) echo "not today" >&2; exit 1 ;;
esac`, dir))
	return err
}

const flakyPassword = "flaky's password"

// mark is a command that writes one line of the record: what, which daemon, which run, role and node.
func (r recorder) mark(what string, on role.Target, dir, then, file string) jig.Cmd {
	script := `set -eu
echo "$1 $6 $KUBECLAMP_FENCE $2 $3" >>"$5/record"
` + then
	return jig.Script(script, what, r.name, on.Node, file, dir, r.life)
}
