package barclamp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Server is whose barclamps a native package is for.
type Server string

// The servers that there are.
const (
	OpenCrowbar Server = "opencrowbar"
	Rebar       Server = "rebar"
)

// Document is the name of a workload's root document there.
func (s Server) Document() string { return s.word() + ".yml" }

// Installed is the milestone of a node that has its operating system.
func (s Server) Installed() string { return s.word() + "-installed-node" }

func (s Server) word() string {
	if s == Rebar {
		return "rebar"
	}
	return "crowbar"
}

// NativeFile is one file of a native package.
type NativeFile struct {
	Path string // below the package's root
	Mode fs.FileMode
	Data []byte
}

// The roles and attribs that a native package has besides, since there is no engine that knows of nodes and keys.
const (
	FilesRole  = "kubeclamp-files" // puts the program that does the roles onto a node
	PKIRole    = "cluster-pki"     // makes all keys, on one node
	ConfigRole = "k8s-config"      // has the lists of nodes
	filesURL   = "kubeclamp-files-url"

	AttribAuthorities = "cluster-pki-authorities" // certificates
	AttribSealed      = "cluster-pki-sealed"      // node -> what only that node can open
	AttribFounder     = "cluster-pki-founder"     // node that begins etcd
	AttribHostKeys    = "cluster-pki-host-keys"   // node -> its SSH host key
)

// NodeList is an attrib that says which nodes have a role: a map of their short names to their addresses.
type NodeList struct{ Role, Attrib, Map string }

// NodeLists are those of the roles that others ask for by address. The first two have the names of 2015.
var NodeLists = []NodeList{{"etcd", "etcd-nodes", "etcd/nodes"}, {"k8s-master", "kubernetes-masters", "kubernetes/masters"},
	{"k8s-minion", "kubernetes-minions", "kubernetes/minions"}, {"dns-pool", "dns-pool-nodes", "dns_pool/nodes"}}

// Native makes of our catalog the package that such a server imports unchanged: its document, and a folder of scripts for each
// role. Programs and artifacts are not in it: they go beside what is there of FilesRole.
func Native(c *crowbar.Catalog, to Server) ([]NativeFile, error) {
	n := nativeCatalog(c, to)
	doc, err := Export(n, to)
	if err != nil {
		return nil, err
	}
	known, err := json.MarshalIndent(nativeCatalog(c, to), "", " ")
	if err != nil {
		return nil, err
	}
	files := []NativeFile{{to.Document(), 0o644, doc},
		{scriptsOf(FilesRole) + "/10-install.sh", 0o755, []byte(installScript)}, {scriptsOf(FilesRole) + "/package.json", 0o644, append(known, '\n')}}
	for _, r := range n.Roles {
		if r.Jig == "script" && r.Name != FilesRole {
			files = append(files, NativeFile{scriptsOf(r.Name) + "/10-apply.sh", 0o755, []byte(applyScript)})
		}
	}
	return files, nil
}

func scriptsOf(role string) string { return "script/roles/" + role }

// nativeCatalog is our catalog with what changes there.
func nativeCatalog(c *crowbar.Catalog, to Server) *crowbar.Catalog {
	out := *c
	out.Jigs, out.Hammers, out.Roles, out.Attribs = nil, nil, nil, slices.Clone(c.Attribs)
	out.Lines = nil
	out.Roles = append(out.Roles, crowbar.Role{Name: FilesRole, Description: "The program that does kubeclamp's roles on a node", Jig: "script",
		Flags: crowbar.Flags{Implicit: true}, Requires: []string{to.Installed()}})
	for _, r := range c.Roles {
		out.Roles = append(out.Roles, nativeRole(c, r, to))
	}
	text := func(role, name, at, about string) {
		out.Attribs = append(out.Attribs, crowbar.CatalogAttrib{RoleName: role, Attrib: crowbar.Attrib{Name: name, Map: at, Description: about, Default: "",
			Schema: crowbar.Data{"type": "str"}, Writable: true, Order: 10000}})
	}
	nodes := func(role, name, at, about string, rule crowbar.Data) {
		out.Attribs = append(out.Attribs, crowbar.CatalogAttrib{RoleName: role, Attrib: crowbar.Attrib{Name: name, Map: at, Description: about, Default: crowbar.Data{},
			Schema: crowbar.Data{"type": "map", "mapping": crowbar.Data{"=": rule}}, Writable: true, Order: 10000}})
	}
	text(FilesRole, filesURL, "kubeclamp/files", "Where nodes fetch binaries and images from: the address of a folder that 'barclamp package --artifacts' made, such as http://ADMIN:8091/files/kubeclamp")
	for _, l := range NodeLists {
		nodes(ConfigRole, l.Attrib, l.Map, "Nodes with role "+l.Role+": short name to address", crowbar.Data{"type": "str", "pattern": "/^[0-9a-f:.]*$/"})
	}
	nodes(PKIRole, AttribHostKeys, "pki/host_keys", "SSH host keys of nodes (ssh-ed25519 AAAA...): what a node is not in this, is asked for its key at the first contact", crowbar.Data{"type": "str"})
	for _, a := range []crowbar.Attrib{{Name: AttribAuthorities, Map: "pki/authorities", Description: "Certificates of the authorities"},
		{Name: AttribSealed, Map: "pki/sealed", Description: "Keys and certificates, sealed for each node"}, {Name: AttribFounder, Map: "pki/founder", Description: "Node that begins the cluster's etcd"}} {
		a.Order = 10000
		out.Attribs = append(out.Attribs, crowbar.CatalogAttrib{RoleName: PKIRole, Attrib: a})
	}
	return &out
}

// nativeRole is a role of ours as it is there.
func nativeRole(c *crowbar.Catalog, r crowbar.Role, to Server) crowbar.Role {
	r.Requires, r.Wants = slices.Clone(r.Requires), slices.Clone(r.Wants)
	if r.Name == PKIRole { // a program on one node, that has to know the others
		r.Jig, r.Flags = "script", crowbar.Flags{Milestone: true}
		r.Requires = append(r.Requires, FilesRole, ConfigRole)
		for _, l := range NodeLists {
			r.Wants = append(r.Wants, l.Attrib)
		}
		r.Wants = append(r.Wants, wordsOfLeaves(c)...)
	}
	if r.Jig != "noop" {
		r.Jig = "script"
		if r.Name != PKIRole {
			for _, l := range NodeLists {
				if sees(c, r, l.Role) || sees(c, r, ConfigRole) {
					r.Wants = append(r.Wants, l.Attrib)
				}
			}
			if slices.Contains(r.Requires, PKIRole) {
				r.Wants = append(r.Wants, AttribAuthorities, AttribSealed, AttribFounder)
			}
		}
		if !slices.Contains(r.Requires, FilesRole) {
			r.Requires = append([]string{FilesRole}, r.Requires...)
		}
		r.Wants = append(r.Wants, filesURL)
	}
	if len(r.Requires) == 0 || r.Jig == "script" && !slices.Contains(r.Requires, to.Installed()) {
		if !r.Flags.Service {
			r.Requires = append([]string{to.Installed()}, r.Requires...)
		}
	}
	if to == OpenCrowbar {
		r.Preceeds = nil // which it does not know
	}
	return r
}

// sees says that a role comes after another one.
func sees(c *crowbar.Catalog, r crowbar.Role, other string) bool {
	seen := map[string]bool{}
	var after func(names []string) bool
	after = func(names []string) bool {
		for _, n := range names {
			if n == other {
				return true
			}
			if seen[n] {
				continue
			}
			seen[n] = true
			for _, p := range c.Roles {
				if p.Name == n && after(p.Requires) {
					return true
				}
			}
		}
		return false
	}
	return after(r.Requires)
}

// wordsOfLeaves is the attribs that stand in names of certificates.
func wordsOfLeaves(c *crowbar.Catalog) []string {
	var out []string
	for _, a := range c.Attribs {
		if a.Leaf == nil {
			continue
		}
		for _, text := range append(append([]string{a.Leaf.CommonName}, a.Leaf.DNS...), a.Leaf.IP...) {
			if _, after, ok := strings.Cut(text, "{{attrib "); ok {
				name, _, _ := strings.Cut(after, "}}")
				if name = strings.TrimSpace(name); !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// Export writes a catalog as a document of such a server, with no other keys than that server has.
func Export(c *crowbar.Catalog, to Server) ([]byte, error) {
	said, _ := c.Barclamp.Document["barclamp"].(crowbar.Data)
	head := list("name", c.Barclamp.Name)
	for _, key := range []string{"display", "description", "version", "license", "source_url"} {
		if v, ok := said[key]; ok {
			head = append(head, pair{key, v})
		}
	}
	doc := list("barclamp", head, to.word(), list("layout", 2.0))
	if own := attribsOf(c, ""); len(own) > 0 {
		doc = append(doc, pair{"attribs", own})
	}
	var roles []any
	for _, r := range c.Roles {
		roles = append(roles, exportRole(c, r, to))
	}
	doc = append(doc, pair{"roles", roles})
	if w, ok := c.Barclamp.Document["wizard"]; ok && to == Rebar {
		doc = append(doc, pair{"wizard", w})
	}
	var b bytes.Buffer
	b.WriteString("---\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	node, err := doc.node()
	if err != nil {
		return nil, err
	}
	if err := e.Encode(node); err != nil {
		return nil, fmt.Errorf("write %s: %w", to.Document(), err)
	}
	return b.Bytes(), e.Close()
}

// icons are Digital Rebar's, of Google's material set.
var icons = map[string]string{"etcd": "storage", "k8s-master": "dns", "k8s-minion": "memory", "dns-pool": "language", "k8s-addons": "extension", "k8s-ready": "verified_user",
	"docker": "directions_boat", "flannel": "settings_ethernet", PKIRole: "vpn_key", "proxy": "swap_horiz", "proxy-server": "swap_horiz", "node-prep": "build"}

func exportRole(c *crowbar.Catalog, r crowbar.Role, to Server) ordered {
	out := list("name", r.Name, "description", r.Description, "jig", r.Jig)
	if icon := icons[r.Name]; icon != "" && to == Rebar {
		out = append(out, pair{"icon", icon})
	}
	var flags []string
	f := r.Flags
	for _, one := range []struct {
		name string
		on   bool
	}{{"library", f.Library}, {"implicit", f.Implicit}, {"bootstrap", f.Bootstrap}, {"discovery", f.Discovery}, {"cluster", f.Cluster}, {"destructive", f.Destructive},
		{"abstract", f.Abstract}, {"milestone", f.Milestone}, {"powersave", f.Powersave}, {"service", f.Service}} {
		if one.on {
			flags = append(flags, one.name)
		}
	}
	lists := []struct {
		key   string
		names []string
	}{{"flags", flags}, {"requires", r.Requires}, {"attaches", r.Attaches}, {"preceeds", r.Preceeds}, {"conflicts", r.Conflicts}, {"provides", r.Provides}, {"wants-attribs", r.Wants}}
	for _, l := range lists {
		if len(l.names) > 0 && (l.key != "preceeds" || to == Rebar) {
			out = append(out, pair{l.key, l.names})
		}
	}
	if own := attribsOf(c, r.Name); len(own) > 0 {
		out = append(out, pair{"attribs", own})
	}
	return out
}

func attribsOf(c *crowbar.Catalog, role string) (out []any) {
	for _, a := range c.Attribs {
		if a.RoleName != role {
			continue
		}
		one := list("name", a.Name, "description", a.Description, "map", a.Map)
		if a.Default != nil {
			one = append(one, pair{"default", a.Default})
		}
		if a.Schema != nil {
			one = append(one, pair{"schema", a.Schema})
		}
		out = append(out, one)
	}
	return out
}

// ordered is a map that is written in the order in which it was made.
type ordered []pair

type pair struct {
	key   string
	value any
}

func list(keysAndValues ...any) (out ordered) {
	for i := 0; i+1 < len(keysAndValues); i += 2 {
		out = append(out, pair{keysAndValues[i].(string), keysAndValues[i+1]})
	}
	return out
}

// node is the YAML of it. Whole numbers are written as such; texts that YAML would take for something else are quoted.
func (o ordered) node() (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range o {
		v, err := nodeOf(p.value)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: p.key}, v)
	}
	return n, nil
}

func nodeOf(v any) (*yaml.Node, error) {
	switch v := v.(type) {
	case ordered:
		return v.node()
	case crowbar.Data:
		var o ordered
		for _, key := range slices.Sorted(maps.Keys(v)) {
			o = append(o, pair{key, v[key]})
		}
		return o.node()
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, one := range v {
			e, err := nodeOf(one)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, e)
		}
		return n, nil
	case float64:
		if v == float64(int64(v)) {
			return nodeOf(int64(v))
		}
	case string:
		if strings.ContainsAny(v, "\n") {
			break
		}
		n := &yaml.Node{}
		err := n.Encode(v)
		// Ruby's YAML is of 1.1: 3:4 is a number, = a value, ~ nothing, yes a boolean.
		if err == nil && n.Style == 0 && !plainWord(v) {
			n.Style = yaml.DoubleQuotedStyle
		}
		return n, err
	}
	n := &yaml.Node{}
	err := n.Encode(v)
	if n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	return n, err
}

// plainWord says that no YAML takes a text for anything else.
func plainWord(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_/ .,()", c)) {
			return false
		}
	}
	return s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z') &&
		!slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, strings.ToLower(s))
}
