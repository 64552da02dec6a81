package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles"
)

func shipped(t *testing.T) *crowbar.Catalog {
	t.Helper()
	b, err := os.ReadFile("../barclamp.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: b})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// everyRole runs a test for each role of barclamp.yaml.
func everyRole(t *testing.T, f func(t *testing.T, c *crowbar.Catalog, r crowbar.Role)) {
	c := shipped(t)
	for _, r := range c.Roles {
		t.Run(r.Name, func(t *testing.T) { f(t, c, r) })
	}
}

func TestRolesAndTheirCodeAgree(t *testing.T) {
	var named []string
	everyRole(t, func(t *testing.T, c *crowbar.Catalog, r crowbar.Role) {
		named = append(named, r.Name)
		code, ok := roles.New(r.Name)
		if !ok {
			t.Fatal("roles/roles.go makes no such role")
		}
		info := code.Describe()
		if info.Name != r.Name {
			t.Errorf("it says that it is %q", info.Name)
		}
		if info.Version == "" {
			t.Error("it does not say its version")
		}
		given := slices.Clone(r.Wants)
		for _, a := range c.Attribs {
			if a.RoleName == r.Name {
				given = append(given, a.Name)
			}
		}
		for _, w := range info.Wants {
			if !slices.Contains(given, w) {
				t.Errorf("it reads attrib %q, which barclamp.yaml does not give it", w)
			}
		}
		for _, g := range r.Wants {
			if !slices.Contains(info.Wants, g) {
				t.Errorf("barclamp.yaml gives it attrib %q, which it does not read", g)
			}
		}
		if _, ok := code.(role.Remover); !ok && !r.Flags.Service {
			t.Error("it has no Remove: it cannot be taken off a node")
		}
	})
	for _, n := range roles.Names() {
		if !slices.Contains(named, n) {
			t.Errorf("roles/roles.go has %q, which barclamp.yaml does not name", n)
		}
	}
}

// TestRolesHaveTheirRoom: the folder is named like the role, has a README that a stranger can read, and a test that asserts
// that the second run does nothing.
func TestRolesHaveTheirRoom(t *testing.T) {
	everyRole(t, func(t *testing.T, _ *crowbar.Catalog, r crowbar.Role) {
		dir := filepath.Join("..", "roles", r.Name)
		readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil {
			t.Error(err)
		} else if !strings.HasPrefix(string(readme), "# "+r.Name) || len(readme) < 300 {
			t.Error("README.md does not begin with the role's name, or says next to nothing")
		}
		tests, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
		asserted, rehearsed := false, !touches(t, dir)
		for _, f := range tests {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			asserted = asserted || regexp.MustCompile(`roletest\.(Suite|NothingToDo)\(|func TestNothingToDo|nothing to do`).Match(b)
			rehearsed = rehearsed || regexp.MustCompile(`roletest\.(Suite|Rehearsed)\(|DryRun = true\n.*roletest\.Apply\(`).Match(b)
		}
		if !rehearsed {
			t.Error("no test of it shows that a dry run changes nothing: use roletest.Suite")
		}
		if !asserted {
			t.Error("no test of it asserts that there is nothing to do the second time: use roletest.Suite")
		}
	})
	folders, err := os.ReadDir("../roles")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if _, ok := roles.New(f.Name()); f.IsDir() && !ok {
			t.Errorf("roles/%s is no role that roles.go makes", f.Name())
		}
	}
}

// TestRetriesOfShippedRoles: who fails for reasons that go away is tried again by itself, and a person hears of what does not
// within minutes.
func TestRetriesOfShippedRoles(t *testing.T) {
	want := []string{"docker", "etcd", "k8s-minion"}
	everyRole(t, func(t *testing.T, _ *crowbar.Catalog, r crowbar.Role) {
		if has := r.Retry.Times > 0; has != slices.Contains(want, r.Name) {
			t.Errorf("it is retried %d times; those that are: %v", r.Retry.Times, want)
		}
		if wait := time.Duration(r.Retry.Limit) * time.Duration(r.Retry.Times); r.Retry.Times > 3 || wait > 5*time.Minute || r.Retry.Times > 0 && time.Duration(r.Retry.Backoff) < 5*time.Second {
			t.Errorf("%d times after %s, %s at the most: a person would hear of it too late, or it has no time to go away", r.Retry.Times, time.Duration(r.Retry.Backoff), time.Duration(r.Retry.Limit))
		}
	})
}

// touches says whether a role's code reaches its node at all.
func touches(t *testing.T, dir string) bool {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && regexp.MustCompile(`\.(Conn|Artifacts)\b|role/linux`).Match(b) {
			return true
		}
	}
	return false
}

// TestRolesAreGivenThePeersTheyAskFor: who names its peers in barclamp.yaml names all of whom its code speaks, and nobody else.
func TestRolesAreGivenThePeersTheyAskFor(t *testing.T) {
	call := regexp.MustCompile(`\.(?:PeersOf|Beside)\("([a-z0-9-]+)"`)
	everyRole(t, func(t *testing.T, _ *crowbar.Catalog, r crowbar.Role) {
		asked := map[string]bool{}
		files, _ := filepath.Glob(filepath.Join("..", "roles", r.Name, "*.go"))
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range call.FindAllSubmatch(b, -1) {
				asked[string(m[1])] = true
			}
		}
		if r.Peers == nil {
			return
		}
		for name := range asked {
			if !slices.Contains(r.Peers, name) {
				t.Errorf("it asks for its peers of role %s, which barclamp.yaml does not give it: add them to peers", name)
			}
		}
		for _, name := range r.Peers {
			if !asked[name] {
				t.Errorf("barclamp.yaml gives it its peers of role %s, for which it does not ask", name)
			}
		}
	})
}

// theirs are units of the distribution that roles look at, or ask to read a file anew.
var theirs = []string{"NetworkManager.service", "systemd-resolved.service", "squid.service"}

// TestOwnersOwnWhatTheyUse compares owns of barclamp.yaml with the words in the role's code.
func TestOwnersOwnWhatTheyUse(t *testing.T) {
	owner := map[string]string{}
	for _, r := range shipped(t).Roles {
		for _, u := range r.Owns.Units {
			owner[u] = r.Name
		}
	}
	unit := regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9@-]*\.service$`)
	everyRole(t, func(t *testing.T, _ *crowbar.Catalog, r crowbar.Role) {
		words := literals(t, filepath.Join("..", "roles", r.Name))
		says := func(w string) bool {
			return slices.ContainsFunc(words, func(l string) bool { return strings.Contains(l, w) })
		}
		for _, u := range r.Owns.Units {
			if !says(u) && !says(strings.TrimSuffix(u, ".service")) {
				t.Errorf("it owns unit %s, and its code never speaks of it", u)
			}
		}
		for _, p := range append(slices.Clone(r.Owns.Ports), r.Owns.Paths...) {
			if !says(p) && !says(strings.TrimPrefix(p, "/")) {
				t.Errorf("it owns %s, and its code never speaks of it", p)
			}
		}
		for _, w := range words {
			if unit.MatchString(w) && owner[w] == "" && !slices.Contains(theirs, w) {
				t.Errorf("it uses unit %s, which no role owns: say so under owns in barclamp.yaml", w)
			}
		}
	})
}

func TestNoTwoRolesOwnTheSame(t *testing.T) {
	c := shipped(t)
	value := map[string]string{}
	for _, a := range c.Attribs {
		if a.Default != nil {
			value[a.Name] = text(a.Default)
		}
	}
	owner := map[string]string{}
	claim := func(r, what string) {
		if was, had := owner[what]; had {
			t.Errorf("roles %s and %s both own %s", was, r, what)
		}
		owner[what] = r
	}
	for _, r := range c.Roles {
		for _, p := range r.Owns.Ports {
			if v, ok := value[p]; ok {
				p = v
			}
			if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
				t.Errorf("role %s owns port %q, which is neither a port nor an attrib with one as its default", r.Name, p)
			}
			claim(r.Name, "port "+p)
		}
		for _, u := range r.Owns.Units {
			claim(r.Name, "unit "+u)
		}
		for _, p := range r.Owns.Paths {
			if v, ok := value[p]; ok {
				p = v
			}
			claim(r.Name, "path "+p)
		}
	}
	if len(owner) < 20 {
		t.Errorf("only %d things are owned", len(owner))
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// literals is every text in the code of a folder, tests left out, and its templates and scripts.
func literals(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		switch {
		case strings.HasSuffix(f, "_test.go"), strings.HasSuffix(f, ".md"):
		case strings.HasSuffix(f, ".go"):
			parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(n ast.Node) bool {
				if l, ok := n.(*ast.BasicLit); ok {
					if s, err := strconv.Unquote(l.Value); err == nil {
						out = append(out, s)
					} else {
						out = append(out, l.Value)
					}
				}
				return true
			})
		default:
			if b, err := os.ReadFile(f); err == nil {
				out = append(out, string(b))
			}
		}
	}
	return out
}
