// Package native does one role on the node that it stands on, for a script of a native barclamp: with what the server's script jig put
// into attrs.json, without an engine. It does not know what the role does, nor whose server it is.
//
// What an engine would say of others comes from attribs: lists of nodes, and what cluster-pki made. What the node itself knows of
// earlier runs is in Config.StateDir.
package native

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Config is where things are on the node.
type Config struct {
	Package  string // folder with package.json and artifacts.json
	StateDir string // what is known of earlier runs, and the authorities' keys on the node of cluster-pki
	HostKey  string // private SSH host key of the node, which opens what is sealed for it
	Jig      jig.Jig
	Roles    func(name string) (role.Role, bool)
	Out      io.Writer // what is done, line by line
	Getenv   func(string) string
	Scan     func(ctx context.Context, address string) (hostKey string, err error) // asks a node for its SSH host key
}

// Turner is a role of which one node at a time may do something, where no engine holds the others back.
type Turner interface {
	// Turn is nil once this node may go on: those before it are done. The error says for what it waits.
	Turn(ctx context.Context, on role.Target, before []role.Peer) error
}

const turnLimit = 10 * time.Minute

// Apply does a role with the data of a script jig, and writes what it gives back as lines PATH<tab>VALUE, in a form that the jig's
// guesses leave whole.
func Apply(ctx context.Context, c Config, name, attribs, walls string) error {
	n, err := open(c, name, attribs)
	if err != nil {
		return err
	}
	var out map[string]any
	if name == barclamp.PKIRole {
		out, err = n.vouch(ctx)
	} else {
		out, err = n.apply(ctx)
	}
	if err != nil {
		return fmt.Errorf("role %s on %s: %w", name, n.name, err)
	}
	return writeWalls(walls, out)
}

// node is the node that this is, with what it was given.
type node struct {
	Config
	catalog crowbar.Catalog
	role    crowbar.Role
	tree    crowbar.Data
	name    string
	address string
	lists   map[string]map[string]string // role -> node -> address
}

func open(c Config, name, attribs string) (*node, error) {
	n := &node{Config: c, lists: map[string]map[string]string{}}
	if err := readJSON(filepath.Join(c.Package, "package.json"), &n.catalog); err != nil {
		return nil, fmt.Errorf("what role %s put here: %w", barclamp.FilesRole, err)
	}
	if err := readJSON(attribs, &n.tree); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(n.catalog.Roles, func(r crowbar.Role) bool { return r.Name == name })
	if i < 0 {
		return nil, crowbar.Errorf(crowbar.NotFound, "there is no role %q in the package", name)
	}
	n.role = n.catalog.Roles[i]
	for _, l := range barclamp.NodeLists {
		list, err := n.list(l.Attrib)
		if err != nil {
			return nil, err
		}
		n.lists[l.Role] = list
	}
	return n, n.identify()
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// value is an attrib's, as the data has it, else its default.
func (n *node) value(name string) any {
	for _, a := range n.catalog.Attribs {
		if a.Name != name {
			continue
		}
		if v, ok := crowbar.Dig(n.tree, a.Map); ok {
			return decode(v)
		}
		return a.Default
	}
	return nil
}

// list is an attrib that maps names to texts.
func (n *node) list(name string) (map[string]string, error) {
	out := map[string]string{}
	m, ok := n.value(name).(map[string]any)
	if !ok && n.value(name) != nil && n.value(name) != "" {
		return nil, crowbar.Errorf(crowbar.Invalid, "attrib %s: want a map, such as {\"n1\": \"10.0.0.1\"}", name)
	}
	for key, v := range m {
		text, ok := decode(v).(string)
		if !ok {
			return nil, crowbar.Errorf(crowbar.Invalid, "attrib %s: %s is no text: quote it", name, key)
		}
		out[key] = text
	}
	return out, nil
}

func (n *node) apply(ctx context.Context) (map[string]any, error) {
	code, ok := n.Roles(n.role.Name)
	if !ok {
		return nil, crowbar.Errorf(crowbar.NotFound, "this program has no role %q: the package and the program are of different versions", n.role.Name)
	}
	on, err := n.target(ctx)
	if err != nil {
		return nil, err
	}
	defer on.Conn.Close()
	if t, ok := code.(Turner); ok {
		before := n.before(on)
		err := role.Await(ctx, "the nodes before this one: "+names(before), turnLimit, func(ctx context.Context) (bool, error) {
			err := t.Turn(ctx, on, before)
			return err == nil, err
		})
		if err != nil {
			return nil, err
		}
	}
	res, err := code.Apply(ctx, on)
	for _, change := range res.Changes {
		on.Logf("changed: %s", change)
	}
	if err != nil {
		return nil, err
	}
	if len(res.Changes) == 0 {
		on.Logf("nothing to do")
	}
	if err := n.remember(res.Wall); err != nil {
		return nil, err
	}
	out := map[string]any{}
	for key, v := range res.Wall {
		out[n.wallPath(key)] = v
	}
	return out, nil
}

// wallPath is where something that a role gives back lies there.
func (n *node) wallPath(key string) string {
	for _, a := range n.catalog.Attribs {
		if a.Name == key {
			return a.Map
		}
	}
	return "kubeclamp/" + n.role.Name + "/" + key
}

func (n *node) target(ctx context.Context) (role.Target, error) {
	attribs, err := n.attribs()
	if err != nil {
		return role.Target{}, err
	}
	if net.ParseIP(n.address) == nil {
		return role.Target{}, crowbar.Errorf(crowbar.Invalid, "the node's address is not known: name it in attrib %s or another list of nodes", barclamp.NodeLists[2].Attrib)
	}
	conn, err := n.Jig.Dial(ctx, &crowbar.Node{Name: n.name, Address: n.address})
	if err != nil {
		return role.Target{}, err
	}
	_, known := n.remembered(n.role.Name)
	on := role.Target{Node: n.name, Address: n.address, Deployment: "native", Arch: runtime.GOARCH, Attribs: attribs, Peers: n.peers(), Again: known, Conn: conn,
		Log: func(format string, a ...any) { fmt.Fprintf(n.Out, format+"\n", a...) }}
	for _, p := range on.Peers {
		if p.Node == n.name && p.Role == n.role.Name {
			on.First = p.First
		}
	}
	url, _ := n.value("kubeclamp-files-url").(string)
	on.Artifacts, err = openFiles(n.Package, url, conn)
	return on, err
}

// attribs is what the role has and wants, flat by name.
func (n *node) attribs() (crowbar.Data, error) {
	out := crowbar.Data{}
	var given crowbar.Data
	for _, a := range n.catalog.Attribs {
		if a.RoleName != n.role.Name && !slices.Contains(n.role.Wants, a.Name) {
			continue
		}
		v := n.value(a.Name)
		switch {
		case a.Name == barclamp.AttribSealed || a.Name == barclamp.AttribAuthorities || a.Name == barclamp.AttribFounder:
			continue
		case a.Authority != "":
			all, _ := n.value(barclamp.AttribAuthorities).(map[string]any)
			if v, _ = all[a.Authority]; v == nil {
				return nil, crowbar.Errorf(crowbar.Unavailable, "role %s has given no certificate of authority %s: bind it to one node, and run it", barclamp.PKIRole, a.Authority)
			}
		case a.Leaf != nil || a.Generate != "":
			if given == nil {
				var err error
				if given, err = n.unseal(); err != nil {
					return nil, err
				}
			}
			if v = given[a.Name]; v == nil && !withheld(a.Name) {
				return nil, crowbar.Errorf(crowbar.Unavailable, "role %s has made no %s for %s: name the node in the lists of nodes, and run %[1]s again", barclamp.PKIRole, a.Name, n.name)
			}
		}
		if v != nil {
			out[a.Name] = v
		}
	}
	return out, nil
}

// withheld are keys of the engine's own hands, which are not put onto nodes.
func withheld(attrib string) bool { return attrib == "k8s-minion-admin-leaf" }

// remember writes what a run gave back.
func (n *node) remember(wall crowbar.Data) error {
	b, err := json.Marshal(wall)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(n.StateDir, "roles", n.role.Name+".json"), b)
}

// remembered is what the last good run of a role here gave back; false if there was none.
func (n *node) remembered(name string) (wall crowbar.Data, known bool) {
	err := readJSON(filepath.Join(n.StateDir, "roles", name+".json"), &wall)
	return wall, err == nil
}

// writeFile writes a file that only root may read, all of it or nothing.
func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func names(peers []role.Peer) string {
	var out []string
	for _, p := range peers {
		out = append(out, p.Node)
	}
	return strings.Join(out, ", ")
}
