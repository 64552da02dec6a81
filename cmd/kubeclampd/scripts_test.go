package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// foreign is a barclamp of scripts, as people have it for OpenCrowbar, in one graph with a role that is a plugin (k8s-config).
var foreign = map[string]string{
	"crowbar.yml": `
barclamp: { name: shop }
crowbar: { layout: 2.0 }
attribs:
  - { name: shop-site, map: shop/site, schema: { type: str } }
roles:
  - name: shop-base
    jig: script
    flags: [implicit]
    attribs: [{ name: shop-port, map: shop/port, default: 8080, schema: { type: int } }]
  - name: shop-db
    jig: script
    flags: [cluster]
    requires: [shop-base]
    attribs: [{ name: shop-dsn, map: shop/dsn }]
  - name: shop-app
    jig: script
    requires: [shop-base, k8s-config]
    wants-attribs: [shop-dsn, shop-site, kubernetes-cluster-name]
  - { name: shop-bad, jig: script, requires: [shop-base] }
`,
	"script/roles/shop-base/10-a.sh": "write_attribute shop/base/seen yes\n",
	"script/roles/shop-db/10-a.sh":   "write_attribute shop/dsn \"db://$(read_attribute shop/port)/żółw\"\n",
	"script/roles/shop-app/10-a.sh":  "cp \"$TMPDIR/attrs.json\" OUT\necho 'hält ✓'\n",
	"script/roles/shop-bad/10-a.sh":  "echo first\n",
	"script/roles/shop-bad/20-b.sh":  "echo to stderr >&2\nexit 3\n",
	"script/roles/shop-bad/30-c.sh":  "echo never\n",
}

// Facts 68 and 69 of OpenCrowbar's reference, of a whole daemon: foreign roles of scripts run beside plugins.
func TestForeignScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("scripts of a barclamp are run as root")
	}
	dir := dataDir(t)
	root, seen := filepath.Join(dir, "shop"), filepath.Join(dir, "attrs.json")
	for name, text := range foreign {
		file := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(strings.ReplaceAll(text, "OUT", seen)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	c := start(t, dir, "--barclamp", "../../barclamp.yaml", "--barclamp", root).ready(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Create(t.Context(), crowbar.KindDeployment, map[string]any{"name": "shop"}, nil))
	for i, n := range []string{"db", "web"} {
		must(c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": n, "address": fmt.Sprintf("192.0.2.%d", 9+i), "jig_name": "local", "deployment": "shop", "alive": true, "available": true}, nil))
	}
	for _, b := range [][2]string{{"shop-db", "db"}, {"shop-app", "web"}, {"shop-bad", "db"}} {
		_, err := c.Bind(t.Context(), b[0], b[1], "shop")
		must(err)
	}
	must(c.SetAttrib(t.Context(), crowbar.KindNode, "web", "shop-site", "hall 7"))
	must(c.Do(t.Context(), crowbar.KindDeployment, "shop", "commit", nil))
	app := rests(t, c, "web/shop-app", crowbar.Active)
	bad := rests(t, c, "db/shop-bad", crowbar.Error)
	if !strings.HasPrefix(bad.Failure, "Script jig run for shop-bad on db failed! (status = 3)\nOut: ") || strings.Contains(bad.Failure, "never\n") {
		t.Errorf("failure: %s", bad.Failure)
	}
	db := rests(t, c, "db/shop-db", crowbar.Active)
	if diff := cmp.Diff(crowbar.Data{"shop": crowbar.Data{"dsn": "db://8080/żółw"}}, db.Wall); diff != "" {
		t.Error(diff)
	}
	b, err := os.ReadFile(seen)
	must(err)
	for _, want := range []string{`"site":"hall 7"`, `"dsn":"db://8080/żółw"`, `"port":8080`, `"seen":"yes"`, `"name":"kubernetes"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("attrs.json has no %s: %s", want, b)
		}
	}
	var log bytes.Buffer
	must(c.Log(t.Context(), "web/shop-app", 0, false, &log))
	if app.Status == "" || !strings.Contains(log.String(), "hält ✓") {
		t.Errorf("status %q, log:\n%s", app.Status, log.String())
	}
}

// rests waits until a node-role has come to a state.
func rests(t *testing.T, c *client.Client, key string, state crowbar.State) (nr crowbar.NodeRole) {
	t.Helper()
	err := role.Await(t.Context(), fmt.Sprintf("%s to be %s", key, state), time.Minute, func(ctx context.Context) (bool, error) {
		nr = crowbar.NodeRole{}
		err := c.Show(ctx, crowbar.KindNodeRole, key, &nr)
		return err == nil && nr.State == state, errors.Join(err, fmt.Errorf("it is %s: %s %s", nr.State, nr.Status, nr.Failure))
	})
	if err != nil {
		t.Fatal(err)
	}
	return nr
}
