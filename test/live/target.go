package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// catalog is the barclamp as seen from one role.
type catalog struct {
	*crowbar.Catalog
	role crowbar.Role
}

func loadCatalog(path, name string) (*catalog, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := barclamp.Parse(barclamp.File{Path: path, Data: data})
	if err != nil {
		return nil, err
	}
	for _, r := range c.Roles {
		if r.Name == name {
			return &catalog{c, r}, nil
		}
	}
	return nil, fmt.Errorf("%s has no role %q", path, name)
}

// ancestors is the role and every role that it asks for, transitively.
func (c *catalog) ancestors() map[string]bool {
	seen := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, r := range c.Roles {
			if r.Name == name {
				for _, p := range r.Requires {
					visit(p)
				}
			}
			if r.Name != name && slices.Contains(r.Preceeds, c.role.Name) && name == c.role.Name {
				visit(r.Name)
			}
		}
	}
	visit(c.role.Name)
	return seen
}

// given is the attribs of the role: its own and those it wants.
func (c *catalog) given() []crowbar.CatalogAttrib {
	var out []crowbar.CatalogAttrib
	for _, a := range c.Attribs {
		if a.RoleName == c.role.Name || slices.Contains(c.role.Wants, a.Name) {
			out = append(out, a)
		}
	}
	return out
}

func (c *catalog) byName(name string) (crowbar.CatalogAttrib, bool) {
	for _, a := range c.Attribs {
		if a.Name == name {
			return a, true
		}
	}
	return crowbar.CatalogAttrib{}, false
}

func buildTarget(ctx context.Context, o options, c *catalog, st *state, rec *recorder) (role.Target, error) {
	arch := runtime.GOARCH
	on := role.Target{Node: o.node, Address: o.addr, Deployment: "live", Arch: arch, Conn: rec, DryRun: o.dry,
		Log: func(f string, a ...any) {
			fmt.Printf("%s log: %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(f, a...))
		}}
	over := map[string]any{}
	if err := readJSON(o.attribs, &over); err != nil {
		return on, err
	}
	if old := st.peer(o.role, o.node); old != nil {
		on.Again, on.First = true, old.First
	} else {
		on.First = o.first || !slices.ContainsFunc(st.Peers, func(p crowbar.Peer) bool { return p.Role == o.role })
	}
	if err := findPeers(&on, o, c, st); err != nil {
		return on, err
	}
	var err error
	if on.Attribs, err = attribs(o, c, st, on, over); err != nil {
		return on, err
	}
	on.Artifacts = &folder{dir: o.artifacts, st: st, conn: rec, rec: rec}
	return on, nil
}

func findPeers(on *role.Target, o options, c *catalog, st *state) error {
	if o.peers != "" {
		return readJSON(o.peers, &on.Peers)
	}
	wanted := c.ancestors()
	for _, p := range st.Peers {
		if wanted[p.Role] && !(p.Role == o.role && p.Node == o.node) {
			on.Peers = append(on.Peers, p)
		}
	}
	self := crowbar.Peer{Role: o.role, Node: o.node, Address: o.addr, State: crowbar.Transition, Settled: on.Again, First: on.First, Alive: true}
	if old := st.peer(o.role, o.node); old != nil {
		self.Wall = old.Wall
	}
	on.Peers = append(on.Peers, self)
	for _, p := range o.extra {
		if !slices.ContainsFunc(on.Peers, func(q crowbar.Peer) bool { return q.Role == p.Role && q.Node == p.Node }) {
			on.Peers = append(on.Peers, p)
		}
	}
	return nil
}

// attribs gives defaults, computed values, walls of peers (this node's last), then what the file says.
func attribs(o options, c *catalog, st *state, on role.Target, over map[string]any) (crowbar.Data, error) {
	words := func(text string) string {
		text = strings.NewReplacer("{{node}}", o.node, "{{address}}", o.addr).Replace(text)
		for strings.Contains(text, "{{attrib ") {
			before, rest, _ := strings.Cut(text, "{{attrib ")
			name, after, _ := strings.Cut(rest, "}}")
			value := over[name]
			if a, ok := c.byName(name); ok && value == nil {
				value = a.Default
			}
			text = before + fmt.Sprint(value) + after
		}
		return text
	}
	out := crowbar.Data{}
	for _, a := range c.given() {
		v, err := value(a, o.node, words, st)
		if err != nil {
			return nil, err
		}
		out[a.Name] = v
		for _, p := range on.Peers {
			if w, ok := p.Wall[a.Name]; ok {
				out[a.Name] = w
			}
		}
		if w, ok := over[a.Name]; ok {
			out[a.Name] = w
		}
	}
	for name := range over {
		if _, ok := c.byName(name); !ok {
			return nil, fmt.Errorf("%s sets %q, which the barclamp does not have", o.attribs, name)
		}
	}
	return plain(out)
}

func value(a crowbar.CatalogAttrib, node string, words func(string) string, st *state) (any, error) {
	w := crowbar.Computed{Attrib: a.Name, Generate: a.Generate, Authority: a.Authority}
	switch {
	case a.Leaf != nil:
		leaf := *a.Leaf
		leaf.CommonName = words(leaf.CommonName)
		leaf.DNS, leaf.IP = each(leaf.DNS, words), each(leaf.IP, words)
		w.Leaf, w.Node = &leaf, node
	case a.Generate == "" && a.Authority == "":
		return a.Default, nil
	}
	return st.compute(w)
}

func each(in []string, f func(string) string) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = f(s)
	}
	return out
}

// plain turns data into what comes out of the plugin's wire: JSON types alone.
func plain(d crowbar.Data) (out crowbar.Data, err error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(b, &out)
}

func readJSON(path string, into any) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// peerFlags is the repeated flag -peer role/node/address.
type peerFlags []crowbar.Peer

func (p *peerFlags) String() string { return "" }

func (p *peerFlags) Set(s string) error {
	part := strings.Split(s, "/")
	if len(part) != 3 {
		return fmt.Errorf("%q is not role/node/address", s)
	}
	*p = append(*p, crowbar.Peer{Role: part[0], Node: part[1], Address: part[2], State: crowbar.Todo, Alive: true})
	return nil
}
