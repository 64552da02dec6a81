package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// TestInstallBarclamp puts a tree into an old server, again, anew, and takes it out.
func TestInstallBarclamp(t *testing.T) {
	for mode, own := range map[api.Compat]string{api.CompatCrowbar: "crowbar", api.CompatRebar: "rebar"} {
		t.Run(string(mode), func(t *testing.T) {
			o, r := anOld(t, mode)
			into := os.Getenv(strings.ToUpper(own) + "_ENDPOINT")
			tree := t.TempDir()
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(filepath.Join(tree, own+".yml"), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			document := "barclamp: { name: shop, version: 1.1, parent: base }\n" + own + ": { layout: 2.0 }\nroles:\n" +
				"- { name: shop-db, jig: kitchen, requires: [" + own + "-installed-node], attribs: [{ name: shop-port, map: shop/port, default: 1, schema: { type: int } }] }\n" +
				"- { name: shop-front, jig: kitchen, requires: [shop-db], wants-attribs: [shop-port, base-domain] }\n"
			said := func(code int, want []string, args ...string) {
				t.Helper()
				out, errs, got := cli(t, append(append([]string{"barclamps"}, args...), "--into", into)...)
				for _, w := range want {
					if !strings.Contains(out+errs, w) {
						t.Errorf("%v does not say %q", args, w)
					}
				}
				if got != code || t.Failed() {
					t.Fatalf("%v: %d, want %d\n%s%s", args, got, code, out, errs)
				}
			}
			said(3, []string{"has no " + own + ".yml"}, "install", tree)
			write(document)
			said(4, []string{"barclamp base, which barclamp shop asks for", "jig kitchen, which role shop-db asks for", "role " + own + "-installed-node, which role shop-db asks for", "attrib base-domain, which role shop-front asks for", "nothing was changed"}, "install", tree)
			if d := cmp.Diff([]string(nil), o.said(&o.writes)); d != "" {
				t.Fatal(d)
			}
			base, err := barclamp.Parse(barclamp.File{Path: "base.yml", Data: []byte("barclamp: { name: base }\njigs:\n- { name: kitchen, class: X }\nroles:\n- { name: " + own + "-installed-node, jig: noop, flags: [milestone], attribs: [{ name: base-domain, map: base/domain, default: x }] }\n")})
			if err == nil {
				err = r.engine.Import(context.Background(), base)
			}
			if err == nil {
				_, err = r.engine.UpdateJig(context.Background(), r.engine.View().JigNamed("kitchen").ID, func(j *crowbar.Jig) { j.Active = true })
			}
			if err != nil {
				t.Fatal(err)
			}
			said(0, nil, "install", tree, "--check")
			if r.engine.View().RoleNamed("shop-db") != nil {
				t.Error("--check has installed it")
			}
			said(0, []string{"shop", "/opt/kubeclamp/barclamp"}, "install", tree)
			if r.engine.View().RoleNamed("shop-front") == nil {
				t.Error("it is not there")
			}
			o.said(&o.writes)
			said(0, []string{"has it already"}, "install", tree)
			if d := cmp.Diff([]string(nil), o.said(&o.writes)); d != "" {
				t.Errorf("the second time it wrote:\n%s", d)
			}
			write(strings.Replace(document, "default: 1", "default: 2", 1))
			said(4, []string{"say --upgrade"}, "install", tree)
			said(0, []string{"shop"}, "install", tree, "--upgrade")
			if at := r.engine.View().AttribNamed("shop-port"); at == nil || str(at.Default) != "2" {
				t.Errorf("after the upgrade the attrib is %+v", at)
			}
			write("barclamp: { name: other }\nroles:\n- { name: shop-db, jig: kitchen }\n")
			said(4, []string{"role shop-db is there already, of another barclamp"}, "install", tree)
			for _, args := range []string{`nodes create {"name":"n1.example.com"}`, "deployments create d", "bind n1 shop-db -d d"} {
				words := strings.Fields(args)
				if out, errs, code := cli(t, words...); code != 0 {
					t.Fatalf("%s: %s%s", args, out, errs)
				}
			}
			said(4, []string{"n1.example.com/shop-db", "nothing was changed"}, "uninstall", "shop")
			if out, errs, code := cli(t, "unbind", "n1", "shop-db"); code != 0 {
				t.Fatal(out, errs)
			}
			said(0, []string{"out of their deployments"}, "uninstall", "shop")
			for dr := range r.engine.View().DeploymentRoles() {
				if strings.HasPrefix(r.engine.View().Role(dr.Role).Name, "shop-") {
					t.Error("a role of it is still in a deployment")
				}
			}
			if d := cmp.Diff([]string(nil), o.said(&o.asked)); d != "" {
				t.Errorf("it was asked for what it has not:\n%s", d)
			}
		})
	}
}
