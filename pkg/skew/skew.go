// Package skew knows which versions of a cluster's programs go together: how far one may be from the other, and in which steps
// each may move. It does not know where binaries come from, or how a role replaces one.
package skew

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Versions is the versions of a component that the catalogue has, its default first.
type Versions func(component string) ([]string, error)

// program is something of which an attrib says the version.
type program struct {
	what, role, attrib, component string
	wall                          string // what a run gives back: the version that the node has
}

var programs = []program{
	{"etcd", "etcd", "etcd-version", "etcd", "etcd-server-version"},
	{"the API server", "k8s-master", "kubernetes-version", "kubernetes", "k8s-version"},
	{"the kubelet", "k8s-minion", "kubernetes-version", "kubernetes", "kubelet-version"},
	{"Docker", "docker", "docker-version", "moby", "docker-engine-version"},
	{"flannel", "flannel", "flannel-version", "flannel", ""},
}

// found is one node's version of a program: what it has, and what it is to have.
type found struct {
	nr        *crowbar.NodeRole
	node      string
	has, want string // has is "" where nothing is known
}

// Check says what of a deployment has another version than it is to have, and why what is wanted cannot be: a version that the
// catalogue has not, or a step that Kubernetes or etcd does not allow. Such an error is of kind Invalid and says what to do.
func Check(s *crowbar.Snapshot, deployment crowbar.ID, versions Versions) (behind []crowbar.ID, err error) {
	all := map[string][]found{}
	for _, p := range programs {
		list, err := p.look(s, deployment, versions)
		if err != nil {
			return nil, err
		}
		all[p.role] = list
		for _, f := range list {
			if f.has != "" && !same(f.has, f.want) {
				behind = append(behind, f.nr.ID)
			}
		}
	}
	for _, role := range []string{"etcd", "k8s-master"} {
		if err := steps(role, all[role]); err != nil {
			return nil, err
		}
	}
	return behind, kubelets(all["k8s-master"], all["k8s-minion"])
}

// look finds out what every node of a deployment has of a program, and is to have.
func (p program) look(s *crowbar.Snapshot, deployment crowbar.ID, versions Versions) ([]found, error) {
	r, a := s.RoleNamed(p.role), s.AttribNamed(p.attrib)
	if r == nil || a == nil {
		return nil, nil
	}
	var out []found
	for nr := range s.EachOf(deployment, r.ID) {
		n := s.Node(nr.Node)
		if n == nil || nr.Removing || p.foreign(s, nr) {
			continue
		}
		v, _, err := attrib.Value(s, nr, a)
		if err != nil {
			return nil, err
		}
		f := found{nr: nr, node: n.Short()}
		f.has, _ = nr.Wall[p.wall].(string)
		if f.want, err = p.choose(crowbar.Text(v), f.node, versions); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// foreign says that a node's program comes from the distribution: the catalogue has nothing to say of its version.
func (p program) foreign(s *crowbar.Snapshot, nr *crowbar.NodeRole) bool {
	a := s.AttribNamed(p.role + "-source")
	if a == nil {
		return false
	}
	v, _, err := attrib.Value(s, nr, a)
	return err == nil && v == "distribution"
}

// choose is the version that a value of the attrib means.
func (p program) choose(value, node string, versions Versions) (string, error) {
	have, err := versions(p.component)
	if err != nil {
		return "", err
	}
	switch {
	case value == "":
		return have[0], nil
	case slices.Contains(have, value):
		return value, nil
	}
	return "", crowbar.Errorf(crowbar.Invalid, "%s is %q for %s: the artifact catalogue has %s: choose one of these, or give the daemon a catalogue of the site's own (--catalogue)",
		p.attrib, value, node, strings.Join(have, ", "))
}

// steps keeps a program that has a store behind it to one minor version at a time, and forward. The oldest of its members decides:
// until all have taken a version over, those that have may go back.
func steps(role string, list []found) error {
	p := programs[slices.IndexFunc(programs, func(p program) bool { return p.role == role })]
	oldest, at := version{}, ""
	for _, f := range list {
		if v, ok := parse(f.has); ok && (at == "" || v.less(oldest)) {
			oldest, at = v, f.node
		}
	}
	for _, f := range list {
		want, ok := parse(f.want)
		switch {
		case at == "" || !ok:
		case want.less(oldest):
			return crowbar.Errorf(crowbar.Invalid, "%s cannot go back from %s to %s: what it stores is of the newer version. Set %s to a version %s.x; the way back is a restore of a snapshot that was made before",
				p.what, oldest, f.want, p.attrib, oldest)
		case oldest.next().less(want):
			return crowbar.Errorf(crowbar.Invalid, "%s goes up one minor version at a time, and %s has %s: set %s to a version v%s.x first, and to %s when all nodes have that",
				p.what, at, oldest, p.attrib, oldest.next(), f.want)
		}
	}
	return nil
}

// kubelets keeps kubelets between the API servers' version and three minor versions before that.
func kubelets(masters, minions []found) error {
	for _, m := range masters {
		api, ok := parse(m.want)
		if !ok {
			continue
		}
		for _, k := range minions {
			if want, ok := parse(k.want); ok && api.less(want) {
				return crowbar.Errorf(crowbar.Invalid, "the kubelet on %s would be %s, and the API server on %s %s: a kubelet is never newer than an API server: set kubernetes-version of the masters first",
					k.node, k.want, m.node, m.want)
			}
			if has, ok := parse(k.has); ok && (has.major != api.major || api.minor-has.minor > 3) {
				return crowbar.Errorf(crowbar.Invalid, "the API server on %s would be %s, and the kubelet on %s has %s: it may be three minor versions older at most: upgrade that node first",
					m.node, m.want, k.node, k.has)
			}
		}
	}
	return nil
}

// version is the first two numbers of one.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }
func (v version) next() version  { return version{v.major, v.minor + 1} }
func (v version) less(o version) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}

func parse(text string) (v version, ok bool) {
	parts := strings.SplitN(strings.TrimPrefix(text, "v"), ".", 3)
	if len(parts) < 2 {
		return v, false
	}
	var bad1, bad2 error
	v.major, bad1 = strconv.Atoi(parts[0])
	v.minor, bad2 = strconv.Atoi(parts[1])
	return v, bad1 == nil && bad2 == nil
}

// same compares versions as programs and the catalogue write them.
func same(a, b string) bool { return strings.TrimPrefix(a, "v") == strings.TrimPrefix(b, "v") }
