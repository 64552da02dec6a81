// Package test holds the tests that look at the whole house. It does not know what any room does.
package test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kubeclamp/kubeclamp/"

// doors says which of our rooms each room may import; every room may import pkg/crowbar. "x/*" is every room below x, and
// a row "x/*" is for every room below x that has no row of its own. A new room is a decision: it needs a row.
var doors = map[string][]string{
	// nouns
	"pkg/crowbar":   {},
	"proto/role/v1": {},
	// pure logic, contracts
	"pkg/barclamp": {}, "pkg/graph": {}, "pkg/attrib": {}, "pkg/zone": {}, "pkg/jig": {},
	"pkg/network":            {},
	"pkg/skew":               {"pkg/attrib"}, // which versions of a cluster's programs go together; the daemon gives it to the engine
	"pkg/event":              {"pkg/graph"},  // the reason why a node-role waits
	"pkg/picture":            {},             // of graphs, for the CLI and the UI
	"pkg/jig/jigtest":        {"pkg/jig"},
	"pkg/role":               {"pkg/jig"},
	"pkg/role/linux":         {"pkg/jig", "pkg/role"},
	"pkg/role/kube":          {"pkg/jig", "pkg/role", "pkg/role/linux"},
	"pkg/role/kube/kubetest": {"pkg/role/kube"},
	"pkg/role/roletest":      {"pkg/jig", "pkg/role", "pkg/role/linux"},
	// adapters
	"pkg/store": {}, "pkg/store/embedded": {"pkg/store"}, "pkg/store/storetest": {},
	"pkg/client": {}, "pkg/artifact": {}, "pkg/pki": {}, "pkg/lb": {},
	"pkg/backup":               {}, // a folder of copies of clusters
	"pkg/artifact/catalogue/*": {}, // programs that go into images
	"pkg/plugin":               {"pkg/jig", "pkg/role", "proto/role/v1"},
	// verbs
	"pkg/engine": {"pkg/barclamp", "pkg/graph", "pkg/attrib", "pkg/network", "pkg/zone"}, // zone says whether a DNS name filter is right
	// loops and doors
	"pkg/annealer":   {"pkg/graph", "pkg/jig", "pkg/role"},
	"pkg/nameserver": {"pkg/zone"},
	"pkg/webhook":    {"pkg/event"}, // tells sinks of events
	"pkg/api":        {"pkg/engine", "pkg/graph", "pkg/jig", "pkg/zone", "pkg/ui", "pkg/api/openapi", "pkg/event"},
	"pkg/api/*":      {"pkg/api/openapi"}, // its description, and apitest, which holds exchanges of tests against it
	"docs":           {},                  // the documentation's own files
	"pkg/ui":         {"pkg/picture", "docs"},
	// roof
	"pkg/lab":            {"pkg/client", "pkg/artifact"},
	"cmd/kubeclampd":     {"pkg/*", "jigs/*"},
	"pkg/native":         {"pkg/barclamp", "pkg/jig", "pkg/pki", "pkg/role"},                                     // a role on its own node, without an engine
	"cmd/kubeclamp":      {"pkg/client", "pkg/lab", "pkg/picture", "pkg/barclamp", "pkg/artifact", "pkg/native"}, // the last three: native packages
	"cmd/kubeclamp-role": {"pkg/plugin", "pkg/native", "roles", "jigs/local"},
	"cmd/kubeclamp-node": {"pkg/lb", "pkg/nameserver", "pkg/zone"},
	// outbuildings
	"jigs/*":                {"pkg/jig"},
	"jigs/script":           {"pkg/jig", "pkg/role"}, // a folder of scripts is a role, done by the jig
	"roles":                 {"pkg/role", "roles/*"},
	"roles/*":               {"pkg/jig", "pkg/role", "pkg/role/linux", "pkg/role/kube"},
	"roles/etcd/etcdclient": {"pkg/jig"},
	"roles/etcd/etcdtest":   {}, // an etcd for tests of roles
	"roles/etcd":            {"pkg/jig", "pkg/role", "pkg/role/linux", "roles/etcd/etcdclient"},
	"roles/flannel":         {"pkg/jig", "pkg/role", "pkg/role/linux", "roles/etcd/etcdclient"},
	"test/failover":         {"test/site"},
	"test/upgrade":          {"test/site"},
	"test/failover/probe":   {"test/site/kubeapi"}, // runs on nodes of the lab
	"test/restore":          {"test/site"},
	"test/site":             {"pkg/lb", "test/site/kubeapi"}, // a lab cluster and the load that it is under
	"test/site/kubeapi":     {},
	"test/beside":           {"pkg/lab", "test/beside/work"},
	"test/beside/role":      {"pkg/jig", "pkg/plugin", "pkg/role", "pkg/role/linux", "test/beside/work"},
	"test/beside/work":      {}, // what both tools have to do
	"test/*":                {"pkg/*", "jigs/*", "roles/*", "roles", "test/site", "test/site/kubeapi"},
}

// lodgers says which room each library lives with. The longest prefix counts.
var lodgers = map[string][]string{
	"go.etcd.io/etcd":                            {"pkg/store", "pkg/store/embedded", "roles/etcd", "roles/etcd/etcdclient", "roles/flannel"},
	"go.etcd.io/etcd/server":                     {"pkg/store/embedded", "test/scale"},                                                     // which measures on an etcd of its own process
	"go.etcd.io/etcd/etcdutl":                    {"pkg/store/embedded"},                                                                   // snapshots of the embedded one
	"go.uber.org/zap":                            {"pkg/store/embedded", "pkg/store", "roles/etcd/etcdclient", "roles/etcd", "test/scale"}, // etcd's own logger
	"github.com/hashicorp":                       {"pkg/plugin"},
	"filippo.io/age":                             {"pkg/native"},                                                                                             // what is sealed for one node
	"google.golang.org/grpc":                     {"pkg/plugin", "proto/role/v1", "pkg/store", "roles/etcd/etcdclient", "roles/etcd", "roles/etcd/etcdtest"}, // dial options of clientv3, and a server of tests
	"google.golang.org/protobuf":                 {"pkg/plugin", "proto/role/v1"},
	"github.com/miekg/dns":                       {"pkg/nameserver"},
	"golang.org/x/crypto/ssh":                    {"jigs/ssh"},
	"golang.org/x/crypto/bcrypt":                 {"pkg/engine"}, // passwords of users
	"github.com/go-viper/mapstructure":           {"pkg/api"},    // requests as Rails reads them: texts for numbers, forms for JSON
	"github.com/evanphx/json-patch":              {"pkg/api"},    // RFC 6902
	"gopkg.in/yaml.v3":                           {"pkg/barclamp", "cmd/kubeclamp", "cmd/kubeclampd", "pkg/api/openapi", "test/site/kubeapi"},
	"github.com/spf13/cobra":                     {"cmd/kubeclamp", "cmd/kubeclampd"},
	"github.com/spf13/pflag":                     {"cmd/kubeclamp", "cmd/kubeclampd"},
	"github.com/google/rpmpack":                  {"cmd/kubeclamp"}, // a barclamp's tree as an RPM package
	"github.com/schollz/progressbar":             {"cmd/kubeclamp", "cmd/kubeclampd"},
	"golang.org/x/term":                          {"cmd/kubeclamp", "cmd/kubeclampd"},
	"golang.org/x/sys":                           {"jigs/local", "pkg/lab", "pkg/plugin", "pkg/store/embedded", "cmd/kubeclampd", "cmd/kubeclamp"},
	"github.com/cenkalti/backoff":                {"pkg/plugin", "pkg/annealer", "pkg/store", "pkg/webhook"},
	"github.com/coreos/go-systemd":               {"cmd/kubeclampd", "cmd/kubeclamp-node"},
	"github.com/santhosh-tekuri/jsonschema":      {"pkg/attrib", "pkg/api/apitest"},
	"github.com/prometheus/client_golang":        {"cmd/kubeclampd"},
	"github.com/yuin/goldmark":                   {"pkg/ui"}, // the documentation as pages
	"github.com/google/go-cmp":                   nil,        // tests alone
	"github.com/rogpeppe/go-internal/testscript": nil,
	"github.com/rogpeppe/go-internal/diff":       {"pkg/role/linux", "pkg/ui"}, // what changes in a file, or from one log to the next
	"pgregory.net/rapid":                         nil,
	"github.com/chromedp":                        nil, // a browser, for the tests of the pages
	"go.uber.org/goleak":                         nil,
	"go.etcd.io/gofail":                          nil,
}

var forbidden = []string{"util", "utils", "common", "helpers", "helper", "types", "base", "manager", "misc"}

func TestDoors(t *testing.T) {
	sources(t, func(file, room string, imports []string) {
		if strings.HasSuffix(file, "_test.go") || strings.HasPrefix(room, "pkg/jig/jigtest") {
			return
		}
		allowed, ok := row(room)
		if !ok {
			t.Errorf("%s: room %s has no row in doors_test.go: decide who it may import, and add it", file, room)
			return
		}
		for _, i := range imports {
			if ours, is := strings.CutPrefix(i, module); is {
				if ours != "pkg/crowbar" && !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, ours) }) {
					t.Errorf("%s imports %s: there is no door from %s to %s (doors_test.go lists its doors: %s)", file, i, room, ours, strings.Join(allowed, ", "))
				}
			} else if strings.Contains(strings.SplitN(i, "/", 2)[0], ".") {
				landlords, known := landlord(i)
				if !known {
					t.Errorf("%s imports %s: the library has no landlord in doors_test.go: decide which one room may use it", file, i)
				} else if !slices.Contains(landlords, room) {
					t.Errorf("%s imports %s: the library lives with %s, not with %s", file, i, strings.Join(landlords, ", "), room)
				}
			}
		}
	})
}

func TestNoRoomForEverything(t *testing.T) {
	sources(t, func(file, room string, _ []string) {
		if slices.Contains(forbidden, path.Base(room)) {
			t.Errorf("%s: a room named %s takes anything in: name it after what it is for", file, path.Base(room))
		}
	})
}

func row(room string) ([]string, bool) {
	if allowed, ok := doors[room]; ok {
		return allowed, true
	}
	for at := path.Dir(room); at != "."; at = path.Dir(at) {
		if allowed, ok := doors[at+"/*"]; ok {
			return allowed, true
		}
	}
	return nil, false
}

func covers(door, room string) bool {
	below, all := strings.CutSuffix(door, "/*")
	return door == room || all && strings.HasPrefix(room, below+"/")
}

func landlord(library string) ([]string, bool) {
	for at := library; at != "."; at = path.Dir(at) {
		if rooms, ok := lodgers[at]; ok {
			return rooms, true
		}
	}
	return nil, false
}

// sources parses the imports of every Go file of this module.
func sources(t *testing.T, each func(file, room string, imports []string)) {
	t.Helper()
	const root = ".."
	files := 0
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		file, _ := filepath.Rel(root, name)
		file = filepath.ToSlash(file)
		if d.IsDir() {
			_, stat := os.Stat(filepath.Join(name, "go.mod"))
			if other := file != "." && stat == nil; other || strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata" || file == "cmd/kubeclamp/scaffold" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || path.Dir(file) == "test" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files++
		var imports []string
		for _, i := range f.Imports {
			text, _ := strconv.Unquote(i.Path.Value)
			imports = append(imports, text)
		}
		each(file, path.Dir(file), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d files were found", files)
	}
}
