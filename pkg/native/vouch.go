package native

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// kept is what the node of cluster-pki keeps between runs; secrets in it are sealed by the key file beside it.
type kept struct {
	Secrets  []*crowbar.Secret `json:"secrets"`
	HostKeys map[string]string `json:"host_keys"` // node -> as it was at the first contact, or as it was given
	Founder  string            `json:"founder"`   // node that began etcd
}

const scanLimit = time.Minute

// sealMark begins what is sealed for a node.
const sealMark = "age:"

// vouch makes what the nodes of the lists need of certificates and keys, each sealed for its own node alone: to whoever sees the
// server's data, or another node's, it says nothing. The authorities' keys stay on this node.
func (n *node) vouch(ctx context.Context) (map[string]any, error) {
	dir := filepath.Join(n.StateDir, "pki")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ring, err := pki.OpenRing(filepath.Join(dir, "key"), true)
	if err != nil {
		return nil, err
	}
	var was kept
	if err := readJSON(filepath.Join(dir, "state.json"), &was); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	v := &voucher{node: n, pki: pki.Over(ring), state: crowbar.NewSnapshot(), kept: was}
	v.state = v.state.Apply(0, crowbar.Change{Put: &crowbar.Deployment{ID: 1, Name: "kubeclamp"}})
	for _, s := range was.Secrets {
		v.state = v.state.Apply(0, crowbar.Change{Put: s})
	}
	out, err := v.all(ctx)
	if err != nil {
		return nil, err
	}
	v.kept.Secrets = nil
	for o := range v.state.All(crowbar.KindSecret) {
		v.kept.Secrets = append(v.kept.Secrets, o.(*crowbar.Secret))
	}
	b, err := json.Marshal(v.kept)
	if err == nil {
		err = writeFile(filepath.Join(dir, "state.json"), b) // before anybody is given any of it
	}
	return out, err
}

type voucher struct {
	*node
	pki   *pki.PKI
	state *crowbar.Snapshot
	kept  kept
}

func (v *voucher) all(ctx context.Context) (map[string]any, error) {
	authorities := crowbar.Data{}
	for _, a := range v.catalog.Attribs {
		if a.Authority == "" {
			continue
		}
		text, err := v.value(crowbar.Computed{Deployment: 1, Attrib: a.Name, Authority: a.Authority})
		if err != nil {
			return nil, err
		}
		authorities[a.Authority] = text
	}
	nodes := map[string]string{}
	for _, l := range barclamp.NodeLists {
		maps.Copy(nodes, v.lists[l.Role])
	}
	if len(nodes) == 0 {
		return nil, crowbar.Errorf(crowbar.Invalid, "no node is in attrib %s or another list of nodes: name those that shall have the roles", barclamp.NodeLists[0].Attrib)
	}
	if err := v.hostKeys(ctx, nodes); err != nil {
		return nil, err
	}
	out := map[string]any{v.mapOf(barclamp.AttribAuthorities): authorities}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		values, err := v.of(name, nodes[name])
		if err != nil {
			return nil, err
		}
		sealed, err := seal(v.kept.HostKeys[name], values)
		if err != nil {
			return nil, fmt.Errorf("seal for %s: %w", name, err)
		}
		out[v.mapOf(barclamp.AttribSealed)+"/"+name] = sealed
		fmt.Fprintf(v.Out, "%s: %s\n", name, strings.Join(slices.Sorted(maps.Keys(values)), " "))
	}
	if members := slices.Sorted(maps.Keys(v.lists["etcd"])); v.kept.Founder == "" && len(members) > 0 {
		v.kept.Founder = members[0] // once and for all: who is called so later, joins
	}
	out[v.mapOf(barclamp.AttribFounder)] = v.kept.Founder
	return out, nil
}

func (v *voucher) mapOf(name string) string {
	for _, a := range v.catalog.Attribs {
		if a.Name == name {
			return a.Map
		}
	}
	return name
}

// value makes one, or finds it as it was made.
func (v *voucher) value(c crowbar.Computed) (any, error) {
	out, changes, err := v.pki.Value(v.state, c)
	if err != nil {
		return nil, err
	}
	v.state = v.state.Apply(0, changes...)
	return out, nil
}

// hostKeys finds a key for each node: as it was given, as it is known, or as the node itself says at the first contact.
func (v *voucher) hostKeys(ctx context.Context, nodes map[string]string) error {
	given, err := v.list(barclamp.AttribHostKeys)
	if err != nil {
		return err
	}
	if v.kept.HostKeys == nil {
		v.kept.HostKeys = map[string]string{}
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		switch key := given[name]; {
		case key != "":
			v.kept.HostKeys[name] = key
		case v.kept.HostKeys[name] == "":
			err := role.Await(ctx, "the SSH host key of "+name+" at "+nodes[name], scanLimit, func(ctx context.Context) (bool, error) {
				key, err := v.Scan(ctx, nodes[name])
				v.kept.HostKeys[name] = key
				return err == nil, err
			})
			if err != nil {
				return fmt.Errorf("%w: see that the node is up, or give its key in attrib %s", err, barclamp.AttribHostKeys)
			}
			fmt.Fprintf(v.Out, "%s has host key %s\n", name, v.kept.HostKeys[name])
		}
	}
	return nil
}

// of is what one node needs: leaves and keys of the roles that it has.
func (v *voucher) of(name, address string) (map[string]any, error) {
	out := map[string]any{}
	for _, a := range v.catalog.Attribs {
		if a.Leaf == nil && a.Generate == "" || withheld(a.Name) || !v.has(name, a.RoleName) {
			continue
		}
		c := crowbar.Computed{Deployment: 1, Attrib: a.Name, Generate: a.Generate}
		if a.Leaf != nil {
			c.Node, c.Leaf = name, v.fill(a.Leaf, name, address)
		}
		value, err := v.value(c)
		if err != nil {
			return nil, err
		}
		out[a.Name] = value
	}
	return out, nil
}

// has says that a node has a role: it is in its list, or in that of a role that brings this one with it.
func (v *voucher) has(name, of string) bool {
	for _, l := range barclamp.NodeLists {
		if _, in := v.lists[l.Role][name]; !in {
			continue
		}
		if l.Role == of || v.implicit(of) && slices.Contains(v.ancestors(l.Role), of) {
			return true
		}
	}
	return false
}

func (v *voucher) implicit(name string) bool {
	return slices.ContainsFunc(v.catalog.Roles, func(r crowbar.Role) bool { return r.Name == name && r.Flags.Implicit })
}

var words = regexp.MustCompile(`\{\{\s*(node|address|attrib\s+([-_.a-zA-Z0-9]+))\s*\}\}`)

// fill replaces the words in a leaf's names.
func (v *voucher) fill(l *crowbar.Leaf, name, address string) *crowbar.Leaf {
	text := func(in string) string {
		return words.ReplaceAllStringFunc(in, func(word string) string {
			switch m := words.FindStringSubmatch(word); {
			case m[1] == "node":
				return name
			case m[1] == "address":
				return address
			default:
				return crowbar.Text(v.node.value(m[2]))
			}
		})
	}
	texts := func(in []string) (out []string) {
		for _, one := range in {
			out = append(out, text(one))
		}
		return out
	}
	filled := *l
	filled.CommonName, filled.Organization, filled.DNS, filled.IP = text(l.CommonName), texts(l.Organization), texts(l.DNS), texts(l.IP)
	return &filled
}

// seal closes values for the holder of an SSH host key.
func seal(hostKey string, values map[string]any) (string, error) {
	to, err := agessh.ParseRecipient(hostKey)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to)
	if err != nil {
		return "", err
	}
	if _, err = w.Write(plain); err == nil {
		err = w.Close()
	}
	return sealMark + base64.StdEncoding.EncodeToString(b.Bytes()), err
}

// unseal opens what cluster-pki sealed for this node.
func (n *node) unseal() (crowbar.Data, error) {
	all, _ := n.value(barclamp.AttribSealed).(map[string]any)
	text, _ := decode(all[n.name]).(string)
	in, ok := strings.CutPrefix(text, sealMark)
	if !ok {
		return nil, crowbar.Errorf(crowbar.Unavailable, "role %s has made nothing for %s: name the node in the lists of nodes (%s...), and run %[1]s again", barclamp.PKIRole, n.name, barclamp.NodeLists[0].Attrib)
	}
	sealed, err := base64.StdEncoding.DecodeString(in)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "what %s sealed for %s came in pieces: %w", barclamp.PKIRole, n.name, err)
	}
	pem, err := os.ReadFile(n.HostKey)
	if err != nil {
		return nil, err
	}
	who, err := agessh.ParseIdentity(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.HostKey, err)
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), who)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "what %s sealed for %s is for another host key than %s: give the present one in attrib %s, and run %[1]s again: %[5]w", barclamp.PKIRole, n.name, n.HostKey, barclamp.AttribHostKeys, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	var out crowbar.Data
	return out, json.Unmarshal(b, &out)
}
