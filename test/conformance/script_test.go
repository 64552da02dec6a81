//go:build linux

package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

func scriptFacts() []fact {
	return []fact{{68, "the script jig runs a role's scripts in turn, and brings walls back", fact68}, {69, "attrs.json has what a role wants", fact69}}
}

// scripts imports a barclamp whose roles are folders of scripts: path -> text.
func (d *daemon) scripts(name, roles string, files map[string]string) (dir string) {
	d.t.Helper()
	if os.Geteuid() != 0 {
		d.t.Skip("scripts of a barclamp are run as root")
	}
	dir = d.t.TempDir()
	for path, text := range files {
		path = filepath.Join(dir, "script", "roles", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
	d.good("POST barclamps", fmt.Sprintf(`{"value":{"barclamp":{"name":%q,"source_path":%q},"crowbar":{"layout":2.0},"jigs":[{"name":"script","class":"BarclampScript::Jig"}],"roles":%s}}`, name, dir, roles))
	return dir
}

func fact68(d *daemon) {
	dir := d.scripts("f68", `[{"name":"f68-role","jig":"script"}]`, map[string]string{
		"f68-role/10-a.sh": `echo "a of $ROLE as $(id -un)"; [[ -d $TMPDIR ]]; write_attribute old 1`,
		"f68-role/20-b.sh": "echo b of it; write_attribute a/b/c 5",
	})
	n := d.ready("a68", `"jig_name":"local"`)
	d.deployment("f68")
	d.bind("f68-role", n, "f68")
	d.good("PUT deployments/f68/commit")
	nr := d.reach(n, "f68-role", 0)
	log := d.log(n, "f68-role")
	if a, b := strings.Index(log, "a of f68-role as root"), strings.Index(log, "b of it"); a < 0 || b < a {
		d.t.Errorf("the runlog is %s", log)
	}
	if want := map[string]any{"old": 1.0, "a": map[string]any{"b": map[string]any{"c": 5.0}}}; !reflect.DeepEqual(d.wall(nr), want) {
		d.t.Errorf("the wall is %v", d.wall(nr))
	}
	a := filepath.Join(dir, "script/roles/f68-role/10-a.sh")
	if err := os.WriteFile(a, []byte("true"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.good("PUT node_roles/" + id(nr) + "/retry")
	await(d.t, "the second run", func() error {
		if nr = d.nodeRole(n, "f68-role"); num(nr, "run_count") != 2 || num(nr, "state") != 0 {
			return fmt.Errorf("%v", nr)
		}
		return nil
	})
	if want := map[string]any{"a": map[string]any{"b": map[string]any{"c": 5.0}}}; !reflect.DeepEqual(d.wall(nr), want) {
		d.t.Errorf("the wall is %v, and the one before shall be gone", d.wall(nr))
	}
	if err := os.WriteFile(a, []byte("exit 3"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.good("PUT node_roles/" + id(nr) + "/retry")
	log = fmt.Sprint(d.reach(n, "f68-role", -1)["runlog"])
	if !strings.Contains(log, "(status = 3)") || strings.Contains(log, "b of it") {
		d.t.Errorf("the runlog is %s", log)
	}
}

func fact69(d *daemon) {
	d.scripts("f69", `[{"name":"f69-server","jig":"script","flags":["cluster"],"attribs":[{"name":"f69-address","map":"f69/address"},{"name":"f69-port","map":"f69/port","default":80}]},
		{"name":"f69-client","jig":"script","requires":["f69-server"],"wants-attribs":["f69-address","f69-port","test-marker"]}]`, map[string]string{
		"f69-server/10-a.sh": "write_attribute f69/address 10.9.8.7",
		"f69-client/10-a.sh": `set +x; echo "ATTRS $(read_attribute f69) $(read_attribute test/marker)"`,
	})
	s, c := d.ready("s69", `"jig_name":"local"`), d.ready("c69", `"jig_name":"local"`)
	d.deployment("f69")
	d.bind("f69-server", s, "f69")
	d.bind("f69-client", c, "f69")
	d.good("PUT deployments/f69/commit")
	d.reach(c, "f69-client", 0)
	log := d.log(c, "f69-client")
	_, after, ok := strings.Cut(log, "ATTRS {")
	text, _, _ := strings.Cut(after, "\n")
	var got map[string]any
	if err := json.Unmarshal([]byte("{"+strings.TrimSuffix(text, " cool")), &got); !ok || err != nil || !strings.HasSuffix(text, " cool") {
		d.t.Fatalf("%v in the runlog: %s", err, log)
	}
	if want := map[string]any{"address": "10.9.8.7", "port": 80.0}; !reflect.DeepEqual(got, want) {
		d.t.Errorf("attrs.json has %v", got)
	}
}

// wall is what a node-role's last run gave back, as kubeclamp's own clients see it.
func (d *daemon) wall(nr map[string]any) any {
	d.t.Helper()
	return d.good("GET node_roles/"+id(nr), "", "Accept: application/vnd.kubeclamp+json").obj()["wall"]
}
