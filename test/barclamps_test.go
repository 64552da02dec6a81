package test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// orders are the comment lines by which a document of test/barclamps says what is to come of it:
//
//	# needs: FILE FILE       what is imported before it
//	# as: NAME               the name by which it is read, if not its own
//	# warn: LINE: WORDS      a warning; there are no others
//	# want: LINE: WORDS      a complaint; there must be one of these words at this line
type orders struct {
	file              barclamp.File
	needs, warn, want []string
}

var orderRule = regexp.MustCompile(`(?m)^# (needs|as|warn|want): (.*)$`)

func documentAt(t *testing.T, name string) orders {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	o := orders{file: barclamp.File{Path: filepath.ToSlash(name), Data: data}}
	for _, m := range orderRule.FindAllStringSubmatch(string(data), -1) {
		switch m[1] {
		case "needs":
			o.needs = strings.Fields(m[2])
		case "as":
			o.file.Path = path.Join(path.Dir(o.file.Path), strings.TrimSuffix(path.Base(o.file.Path), ".yml"), m[2])
		case "warn":
			o.warn = append(o.warn, m[2])
		case "want":
			o.want = append(o.want, m[2])
		}
	}
	return o
}

func documents(t *testing.T, pattern string, least int) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) < least {
		t.Fatalf("%s: %d documents, want at least %d (%v)", pattern, len(names), least, err)
	}
	return names
}

// imported is a state into which the documents that another one needs have been taken.
func imported(t *testing.T, needs []string) *crowbar.Snapshot {
	t.Helper()
	s := crowbar.NewSnapshot()
	for _, n := range needs {
		c, err := barclamp.Parse(documentAt(t, "barclamps/good/"+n).file)
		if err != nil {
			t.Fatal(err)
		}
		s = take(t, s, c)
	}
	return s
}

func take(t *testing.T, s *crowbar.Snapshot, c *crowbar.Catalog) *crowbar.Snapshot {
	t.Helper()
	changes, err := graph.Import(s, c)
	if err != nil {
		t.Fatal(err)
	}
	s = s.Apply(s.Rev()+1, changes...)
	if again, err := graph.Import(s, c); err != nil || len(again) > 0 {
		t.Errorf("the second import of %s changes %d objects: %v", c.Barclamp.Name, len(again), err)
	}
	return s
}

// matches says whether a line "path:LINE: text" is the wanted "LINE: words".
func matches(got string, file barclamp.File, want string) bool {
	line, words, _ := strings.Cut(want, ": ")
	text, ok := strings.CutPrefix(got, file.Path+":"+line+": ")
	return ok && strings.Contains(text, words)
}

func TestGoodBarclamps(t *testing.T) {
	for _, name := range documents(t, "barclamps/good/*.yml", 25) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			o := documentAt(t, name)
			c, err := barclamp.Parse(o.file)
			if err != nil {
				t.Fatal(err)
			}
			s := take(t, imported(t, o.needs), c)
			b := s.BarclampNamed(c.Barclamp.Name)
			if len(b.Warnings) != len(o.warn) {
				t.Errorf("%d warnings, want %d:\n%s", len(b.Warnings), len(o.warn), strings.Join(b.Warnings, "\n"))
			}
			for _, w := range o.warn {
				if !slices.ContainsFunc(b.Warnings, func(got string) bool { return matches(got, o.file, w) }) {
					t.Errorf("no warning %q in\n%s", w, strings.Join(b.Warnings, "\n"))
				}
			}
			for _, r := range c.Roles {
				if s.RoleNamed(r.Name) == nil {
					t.Errorf("role %s is lost", r.Name)
				}
			}
			for _, a := range c.Attribs {
				if s.AttribNamed(a.Name) == nil {
					t.Errorf("attrib %s is lost", a.Name)
				}
				if a.Default != nil {
					if err := attrib.Check(&a.Attrib, a.Default); err != nil {
						t.Errorf("its default: %v", err)
					}
				}
			}
		})
	}
}

// TestBadBarclamps has each broken document complained of, at its line.
func TestBadBarclamps(t *testing.T) {
	for _, name := range documents(t, "barclamps/bad/*.yml", 30) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			o := documentAt(t, name)
			if len(o.want) == 0 {
				t.Fatal("it does not say what is wanted: add '# want: LINE: WORDS'")
			}
			c, err := barclamp.Parse(o.file)
			if err == nil {
				_, err = graph.Import(imported(t, o.needs), c)
			}
			if err == nil {
				t.Fatal("nobody complains")
			}
			got := strings.Split(err.Error(), "\n")
			for _, w := range o.want {
				if !slices.ContainsFunc(got, func(line string) bool { return matches(line, o.file, w) }) {
					t.Errorf("no complaint %q in\n%v", w, err)
				}
			}
			if len(got) != len(o.want) {
				t.Errorf("%d complaints, want %d:\n%v", len(got), len(o.want), err)
			}
		})
	}
}

// TestGoodBarclampsCoverEveryKey compares the documents, as they are kept, with the list of every key that OpenCrowbar's,
// Digital Rebar's and their workloads' documents have.
func TestGoodBarclampsCoverEveryKey(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range documents(t, "barclamps/good/*.yml", 25) {
		c, err := barclamp.Parse(documentAt(t, name).file)
		if err != nil {
			t.Fatal(err)
		}
		walkKeys(c.Barclamp.Document, "", seen)
	}
	keys, err := os.ReadFile("barclamps/keys")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range strings.Fields(string(keys)) {
		if !seen[k] {
			t.Errorf("no document below test/barclamps/good has the key %s", k)
		}
	}
}

func walkKeys(v any, at string, seen map[string]bool) {
	switch v := v.(type) {
	case crowbar.Data:
		for k, e := range v {
			if at == "debs" || at == "rpms" || at == "gems" {
				k = "<os>"
			}
			path := strings.TrimPrefix(at+"."+k, ".")
			seen[path] = true
			walkKeys(e, path, seen)
		}
	case []any:
		for _, e := range v {
			walkKeys(e, at+"[]", seen)
		}
	}
}

func TestAFolderOfBarclamps(t *testing.T) {
	var files []barclamp.File
	for _, name := range []string{"barclamps/workload/barclamps/a-front.yml", "barclamps/workload/rebar.yml", "barclamps/workload/barclamps/b-back.yml"} {
		files = append(files, documentAt(t, name).file)
	}
	all, err := barclamp.Folder(files...)
	if err != nil {
		t.Fatal(err)
	}
	s, order := crowbar.NewSnapshot(), ""
	for _, c := range all {
		s = take(t, s, c)
		order += c.Barclamp.Name + " from " + c.Barclamp.SourcePath + "\n"
	}
	want := "shop from barclamps/workload/rebar.yml\nshop_back from barclamps/workload\nshop_front from barclamps/workload\n"
	if order != want {
		t.Errorf("order is\n%swant\n%s", order, want)
	}
	if b := s.BarclampNamed("shop_back"); b.Parent != s.BarclampNamed("shop").ID || len(b.Warnings) != 1 {
		t.Errorf("shop_back has parent %s and warnings %v", b.Parent, b.Warnings)
	}
	if r := s.RoleNamed("shop-back"); !slices.Equal(r.Requires, []string{"shop-base", "shop-probe"}) {
		t.Errorf("shop-back requires %v", r.Requires)
	}
	files[0].Data = append(files[0].Data, "  - { name: shop-back, jig: noop }\n"...)
	_, err = barclamp.Folder(files...)
	if err == nil || !strings.Contains(err.Error(), `b-back.yml:3: role "shop-back" is there already, at barclamps/workload/barclamps/a-front.yml:4`) {
		t.Errorf("a role in two files: %v", err)
	}
	files[0].Path = "elsewhere/a.yml"
	if _, err = barclamp.Folder(files...); err == nil || !strings.Contains(err.Error(), "elsewhere/a.yml:1: it does not lie in barclamps/") {
		t.Errorf("a file from elsewhere: %v", err)
	}
}

// TestTheOriginalWorkload binds the roles of 2015 as its readme says: masters first, then minions.
func TestTheOriginalWorkload(t *testing.T) {
	c, err := barclamp.Parse(documentAt(t, "barclamps/good/kubernetes-2015.yml").file)
	if err != nil {
		t.Fatal(err)
	}
	s := take(t, imported(t, []string{"core.yml"}), c)
	dep := &crowbar.Deployment{ID: s.Next(), Name: "k8s"}
	s = s.Apply(s.Rev()+1, crowbar.Change{Put: dep})
	nodes := map[string]crowbar.ID{}
	for _, n := range []string{"m1", "m2", "w1"} {
		one := &crowbar.Node{ID: s.Next(), Name: n, Alive: true, Available: true}
		s = s.Apply(s.Rev()+1, crowbar.Change{Put: one})
		nodes[n] = one.ID
	}
	binding := func(role, node string) graph.Binding {
		return graph.Binding{Role: s.RoleNamed(role).ID, Node: nodes[node], Deployment: dep.ID}
	}
	if _, err := graph.Bind(s, binding("kubernetes-master", "m1")); err == nil || !strings.Contains(err.Error(), "cannot be bound without 'chef' being active") {
		t.Fatalf("a role of a jig that there is not: %v", err)
	}
	for _, name := range []string{"chef"} { // as if there were hands for it
		j := *s.JigNamed(name)
		j.Active = true
		s = s.Apply(s.Rev()+1, crowbar.Change{Put: &j})
	}
	for _, at := range []string{"etcd m1", "etcd m2", "kubernetes-master m1", "kubernetes-master m2", "kubernetes-minion w1"} {
		role, node, _ := strings.Cut(at, " ")
		changes, err := graph.Bind(s, binding(role, node))
		if err != nil {
			t.Fatal(err)
		}
		s = s.Apply(s.Rev()+1, changes...)
	}
	var on []string
	for _, nr := range s.NodeRolesOn(nodes["w1"]) {
		on = append(on, s.Role(nr.Role).Name)
	}
	slices.Sort(on)
	want := "[chef-client crowbar-access crowbar-installed-node crowbar-managed-node docker etcd-install flannel flannel-install kubernetes-install kubernetes-minion script-client]"
	if got := fmt.Sprint(on); got != want {
		t.Errorf("w1 has %s\nwant   %s", got, want)
	}
	minion := s.NodeRoleOn(nodes["w1"], s.RoleNamed("kubernetes-minion").ID)
	for _, m := range []string{"m1", "m2"} {
		master := s.NodeRoleOn(nodes[m], s.RoleNamed("kubernetes-master").ID)
		if !slices.ContainsFunc(minion.Parents, func(l crowbar.Link) bool { return l.ID == master.ID }) || master.Cohort >= minion.Cohort {
			t.Errorf("the minion does not wait for %s: %+v", m, minion)
		}
	}
}

func TestReimport(t *testing.T) {
	s := imported(t, []string{"core.yml", "late.yml"})
	parse := func(text string) *crowbar.Catalog {
		t.Helper()
		c, err := barclamp.Parse(barclamp.File{Path: "crowbar.yml", Data: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	requires := func(role string, want ...string) {
		t.Helper()
		if got := s.RoleNamed(role).Requires; !slices.Equal(got, want) {
			t.Errorf("%s requires %v, want %v", role, got, want)
		}
	}
	const head = "barclamp: { name: again }\nroles:\n"
	s = take(t, s, parse(head+"  - { name: tomorrow, jig: noop, requires: [crowbar-access, crowbar-managed-node], attaches: [provisioner-os-install] }\n"))
	if a, b := s.RoleNamed("tomorrow"), s.RoleNamed("late-app"); a.Cohort >= b.Cohort {
		t.Errorf("late-app, cohort %d, does not come after what it required late, cohort %d", b.Cohort, a.Cohort)
	}
	was := s.RoleNamed("tomorrow").ID
	requires("provisioner-os-install", "crowbar-managed-node", "tomorrow", "script-client")
	s = take(t, s, must(barclamp.Parse(documentAt(t, "barclamps/good/core.yml").file))(t))
	requires("provisioner-os-install", "crowbar-managed-node", "tomorrow", "script-client")
	s = take(t, s, parse(head+"  - { name: tomorrow, jig: noop, requires: [crowbar-access] }\n"))
	requires("provisioner-os-install", "crowbar-managed-node", "script-client")
	requires("tomorrow", "crowbar-access")
	if got := s.RoleNamed("tomorrow").ID; got != was {
		t.Errorf("its id was %s, and is %s", was, got)
	}
	s = take(t, s, parse(head))
	if s.RoleNamed("tomorrow") != nil {
		t.Error("a role that the document no longer has is still there")
	}
	noop := s.JigNamed("noop")
	s = take(t, s, parse("barclamp: { name: other }\njigs: [{ name: noop, class: Else }]\n"))
	if s.JigNamed("noop") != noop {
		t.Error("another barclamp's jig was overwritten")
	}
}

func must(c *crowbar.Catalog, err error) func(*testing.T) *crowbar.Catalog {
	return func(t *testing.T) *crowbar.Catalog {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}
