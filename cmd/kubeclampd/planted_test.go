package main

import (
	"context"
	"crypto/md5" //nolint:gosec // what HTTP digest stands on
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

const (
	plantedSecret   = "pl4nted\"Secret+of/the 'Site'=="
	newSecret       = "given-Back/by+the <role> & others"
	viewerPassword  = "vera's \"pass\" word/9"
	operPassword    = "0tto+keeps & hides it"
	sinkPassword    = "s1nk/password<>\"x\""
	sinkSigns       = "what+signs/the hooks=1"
	hammerSecret    = "c4lvin & \"hobbes\"/bmc"
	blabOut         = "blab-out"
	blabbed         = "PASSWORD="
	hiddenInTheLogs = "(secret)"
)

// blab is a role that says the secrets that it is given wherever a role can say something. It is a plugin: this test's own
// program, in the daemon's plugin folder.
type blab struct{}

func (blab) Describe() role.Info {
	return role.Info{Name: "blab", Wants: []string{"blab-password", "blab-leaf", "blab-key", blabOut}}
}

func (blab) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	secret, _ := on.Attribs["blab-password"].(string)
	if secret != plantedSecret {
		return role.Result{}, fmt.Errorf("it was given %d bytes, not the planted value", len(secret))
	}
	made := madeByTheHost(on.Attribs)
	if path, _ := on.Attribs[blabOut].(string); path != "" && !on.DryRun {
		b, err := json.Marshal(made)
		if err = errors.Join(err, os.WriteFile(filepath.Join(path, on.Node), b, 0o600)); err != nil {
			return role.Result{}, err
		}
	}
	if _, err := on.Conn.Exec(ctx, jig.Cmd{Argv: []string{"look"}, Reads: true}); err != nil {
		return role.Result{}, err
	}
	all := append([]string{secret}, made...)
	for _, text := range all {
		if err := say(ctx, on, text); err != nil {
			return role.Result{}, err
		}
	}
	res := role.Result{Wall: crowbar.Data{"blab-password": newSecret, "blab-shown": "open"},
		Changes: []role.Change{{What: "file", Name: "/etc/blab", Do: "create", Diff: "password " + secret + " then " + newSecret + " and " + made[0],
			Unified: "@@ -1,2 +1,2 @@\n-password=" + secret + "\n-" + made[0] + "\n+password=" + newSecret + "\n+ok\n"}}}
	if strings.HasSuffix(on.Node, "2") {
		return res, fmt.Errorf("it refused, with this in its environment:\n%s%s\nKEY=%s\nHEX=%s", blabbed, secret, made[0], hex.EncodeToString([]byte(secret)))
	}
	return res, nil
}

// say says a secret in all its forms.
func say(ctx context.Context, on role.Target, secret string) error {
	for _, form := range forms(secret) {
		on.Logf("the password is %s", form)
		fmt.Fprintln(os.Stderr, "stderr has", form)
		fmt.Fprintf(os.Stderr, "{\"level\":\"warn\",\"msg\":%q}\n", form)
		fmt.Println("stdout has", form)
		if on.DryRun {
			continue
		}
		for _, pad := range []string{"", strings.Repeat("x", 370)} { // where a line is cut, it is cut in a secret
			cmd := jig.Cmd{Argv: []string{"set", pad, "--password=" + form}, Env: map[string]string{"PASSWORD": form}, Stdin: strings.NewReader(form)}
			if _, err := on.Conn.Exec(ctx, cmd); err != nil {
				return err
			}
		}
		if err := on.Conn.Put(ctx, "/etc/blab/"+form, 0o600, strings.NewReader(form)); err != nil {
			return err
		}
	}
	return nil
}

// madeByTheHost is the secrets that nobody set.
func madeByTheHost(in crowbar.Data) []string {
	leaf, _ := in["blab-leaf"].(map[string]any)
	return append(crowbar.Texts(nil, leaf["key"]), crowbar.Texts(nil, in["blab-key"])...)
}

const blabBarclamp = `
barclamp: { name: blabbing }
roles:
  - name: blab
    jig: noop
    attribs:
      - { name: blab-ca, map: blab/ca, authority: blab }
      - { name: blab-password, map: blab/password, secret: true, schema: { type: str } }
      - { name: blab-leaf, map: blab/leaf, secret: true, leaf: { authority: blab, common_name: "{{node}}", usages: [client] } }
      - { name: blab-key, map: blab/key, secret: true, generate: random-32 }
      - { name: blab-out, map: blab/out, schema: { type: str } }
`

// TestAPlantedSecretIsNowhere sets a secret in each place, has a role blab it out, rotates the keys, and then looks for it in
// everything that the daemon has written, answered or started.
func TestAPlantedSecretIsNowhere(t *testing.T) {
	dir, site, plugins, out := dataDir(t), filepath.Join(t.TempDir(), "site.yml"), t.TempDir(), t.TempDir()
	self, err := os.Executable()
	if err := errors.Join(err, os.WriteFile(site, []byte(blabBarclamp), 0o600), copyFile(self, filepath.Join(plugins, "kubeclamp-role-blab"))); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--barclamp", site, "--plugin-dir", plugins, "--log-level", "debug")
	c := p.ready(t)
	argv := p.watchArguments(t)
	since := p.asker(t, "admin").nextEvent(t)
	token := plantAccess(t, c)
	places := live(t, c, out)
	rotateTwice(t, c)
	answers, cookie := p.ask(t, since, token)
	maps.Copy(places, answers)
	places["arguments and environments of processes"] = argv()
	places["the daemon's log"] = p.said.String()
	proveItBlabbed(t, places)
	files(t, dir, places)
	secrets := map[string]string{"set": plantedSecret, "given back": newSecret, "viewer's password": viewerPassword, "operator's password": operPassword,
		"sink's password": sinkPassword, "sink's secret": sinkSigns, "hammer's": hammerSecret, "viewer's HA1": ha1("vera", crowbar.Realm, viewerPassword), "viewer's other HA1": ha1("vera", crowbar.RebarRealm, viewerPassword),
		"operator's token": token, "viewer's session": cookie}
	for i, made := range blabbedOut(t, out) {
		secrets[fmt.Sprintf("made by the host %d", i)] = made
	}
	if len(secrets) < 14 {
		t.Errorf("only %d secrets are known", len(secrets))
	}
	lookFor(t, secrets, places)
}

// plantAccess makes users, a token, and a sink of all events.
func plantAccess(t *testing.T, c *client.Client) (token string) {
	t.Helper()
	for kind, bodies := range map[crowbar.Kind][]map[string]any{
		crowbar.KindUser:      {{"username": "vera", "right": "viewer", "password": viewerPassword, "digest": true}, {"username": "otto", "right": "operator", "password": operPassword}},
		crowbar.KindEventSink: {{"endpoint": "http://127.0.0.1:9/hook", "username": "hook", "authenticator": sinkPassword, "secret": sinkSigns}},
	} {
		for _, body := range bodies {
			if err := c.Create(t.Context(), kind, body, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.Create(t.Context(), crowbar.KindEventSelector, map[string]any{"event_sink": "http://127.0.0.1:9/hook", "selector": map[string]any{"event": "*"}}, nil); err != nil {
		t.Fatal(err)
	}
	var made struct {
		Text string `json:"token"`
	}
	if err := c.Create(t.Context(), crowbar.KindToken, map[string]any{"name": "for-otto", "username": "otto", "right": "operator"}, &made); err != nil || made.Text == "" {
		t.Fatal(err, made)
	}
	return made.Text
}

// live sets the secret for a deployment, a node and a node-role, and lets the role run, fail, and run again.
func live(t *testing.T, c *client.Client, outDir string) map[string]string {
	t.Helper()
	doc := crowbar.Cluster{Deployment: "k", Attribs: map[string]any{"blab-password": plantedSecret, blabOut: outDir}}
	for _, n := range []string{"n1", "n2"} {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: n, Address: "192.0.2." + n[1:], Jig: "noop", Roles: []string{"blab"}})
	}
	out := map[string]string{}
	plan, err := c.Plan(t.Context(), crowbar.PlanFor{Deployment: "k", Document: &doc, Seal: true}, true)
	keep(t, out, "plan of the document", plan, err)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Apply(t.Context(), doc, false))
	must(c.Create(t.Context(), crowbar.KindAvailableHammer, map[string]any{"name": "bmc", "klass": "IpmiHammer", "priority": 5}, nil))
	must(c.Create(t.Context(), crowbar.KindHammer, map[string]any{"node": "n1", "available_hammer": "bmc", "username": "root", "authenticator": hammerSecret}, nil))
	for k, key := range map[crowbar.Kind]string{crowbar.KindNode: "n1", crowbar.KindNodeRole: "n1/blab", crowbar.KindDeployment: "k", crowbar.KindRole: "blab"} {
		must(c.SetAttrib(t.Context(), k, key, "blab-password", plantedSecret))
	}
	if err := c.SetAttrib(t.Context(), crowbar.KindDeployment, "k", "blab-password", map[string]any{"not": plantedSecret}); err == nil || strings.Contains(err.Error(), plantedSecret) {
		t.Errorf("a value that is not right: %v", err)
	}
	must(c.Do(t.Context(), crowbar.KindDeployment, "k", "commit", nil))
	bothEnd(t, c, 1)
	why, err := c.Why(t.Context(), "n2/blab")
	keep(t, out, "why, once", why, err)
	must(c.Do(t.Context(), crowbar.KindNodeRole, "n2/blab", "retry", nil))
	bothEnd(t, c, 2)
	must(c.Do(t.Context(), crowbar.KindNode, "n1", "redeploy", nil))
	must(c.Do(t.Context(), crowbar.KindDeployment, "k", "commit", nil))
	bothEnd(t, c, 2)
	plan, err = c.Plan(t.Context(), crowbar.PlanFor{Deployment: "k", Rerun: true, Force: true}, true)
	keep(t, out, "plan of a rerun with dry runs", plan, err)
	drift, err := c.Drift(t.Context(), "k")
	keep(t, out, "drift", drift, err)
	return out
}

// bothEnd waits until n1's run has ended well and n2's in error, and each has had its attempts.
func bothEnd(t *testing.T, c *client.Client, attempts uint64) {
	t.Helper()
	err := role.Await(t.Context(), "the runs to end", time.Minute, func(context.Context) (bool, error) {
		var all []crowbar.NodeRole
		if err := c.List(t.Context(), crowbar.KindNodeRole, &all); err != nil {
			return false, err
		}
		ended := 0
		for _, nr := range all {
			if nr.State == crowbar.Active && nr.Attempt > 0 || nr.State == crowbar.Error && nr.Attempt >= attempts {
				ended++
			}
		}
		return ended == 2 && len(all) == 2, fmt.Errorf("%+v", all)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// rotateTwice seals everything anew, forgets the oldest key, and seals again.
func rotateTwice(t *testing.T, c *client.Client) {
	t.Helper()
	for range 2 {
		before, err := c.RotateKeys(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		err = role.Await(t.Context(), "the end of the rotation", time.Minute, func(context.Context) (bool, error) {
			st, err := c.SealStatus(t.Context())
			return !st.Busy && st.Left == 0 && st.Error == "", err
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.ForgetKey(t.Context(), before.Keys[1].ID); err != nil {
			t.Fatal(err)
		}
	}
}

func ha1(user, realm, password string) string {
	sum := md5.Sum([]byte(user + ":" + realm + ":" + password)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// blabbedOut is what the role was given that the host had made.
func blabbedOut(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	for _, n := range []string{"n1", "n2"} {
		b, err := os.ReadFile(filepath.Join(dir, n))
		var made []string
		if err = errors.Join(err, json.Unmarshal(b, &made)); err != nil {
			t.Fatal(err)
		}
		all = append(all, made...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
