package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// world is one seed: a catalog, nodes, the state, and the daemons that worked on it.
type world struct {
	t      *testing.T
	seed   uint64
	bug    string
	salt   int         // other dice for the same wishes
	mild   atomic.Bool // roles fail although it is calm
	rng    *rand.Rand  // of the driver alone; all else throws dice by what it is, so that a seed is one history
	mem    *storetest.Memory
	logDir string
	pki    *pki.PKI
	began  time.Time
	calm   atomic.Bool  // no more faults
	calls  atomic.Int64 // of roles
	// meddled says that there are changes that a rerun alone can bring to the nodes: it would hide a run that is missing.
	meddled bool

	commits sync.Mutex      // one commit at a time, each seen by the oracle
	lone    bool            // there is one daemon at a time; else several work at once
	roll    map[*daemon]int // who may write, by when it came
	count   int             // commits, all told
	cut     int             // the one at which a daemon is killed; 0 = none
	cutLate bool            // it is made nevertheless

	mu       sync.Mutex
	machines map[string]*machine
	log, bad []string
	begun    map[attempt]bool
	ended    map[attempt]bool
	gone     map[crowbar.ID]bool // node-roles that were dropped
	sure     map[string]known    // role@node -> bound?
	values   map[string][]any    // attrib, or attrib@node -> what it may be
	secrets  map[string]string   // attrib of deployment -> what a role was given
	lives    int
}

// attempt names one run.
type attempt struct {
	id crowbar.ID
	n  uint64
}

// known is what the driver was told about a binding.
type known int

const (
	maybe known = iota
	bound
	unbound
)

func newWorld(t *testing.T, seed uint64, bug string) *world {
	dir, err := os.MkdirTemp(memory(), "sim")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	keys, err := pki.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, pki: keys, seed: seed, bug: bug, lone: true, roll: map[*daemon]int{}, rng: rand.New(rand.NewPCG(seed, 1)), mem: storetest.NewMemory(), logDir: dir, began: time.Now(),
		machines: map[string]*machine{}, begun: map[attempt]bool{}, ended: map[attempt]bool{}, gone: map[crowbar.ID]bool{}, sure: map[string]known{}, values: map[string][]any{}, secrets: map[string]string{}}
}

// memory is a folder that is no disk, if there is one: every run writes a log.
func memory() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// dice throws a number below n that depends on the seed and on what is asked, not on when.
func (w *world) dice(n int, about ...any) int {
	h := fnv.New64a()
	fmt.Fprint(h, w.seed, w.salt, about)
	x := h.Sum64()
	x ^= x >> 31
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	return int(x % uint64(n))
}

func (w *world) note(format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%10.3f ", time.Since(w.began).Seconds())+fmt.Sprintf(format, a...))
}

// wrong is what the oracle has to say; the first words are what counts, the rest often follows from it.
func (w *world) wrong(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	w.note("VIOLATION %s", text)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.bad) < 5 {
		w.bad = append(w.bad, fmt.Sprintf("seed %d after %s: %s", w.seed, time.Since(w.began).Round(time.Millisecond), text))
	}
}

func (w *world) spoiled() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.bad) > 0
}

// catalog is a random barclamp: every role asks for and preceeds only such as make no circle.
func (w *world) catalog() *crowbar.Catalog {
	c := &crowbar.Catalog{Barclamp: crowbar.Barclamp{Name: "random"},
		Jigs: []crowbar.Jig{{Name: "ssh", Active: true}, {Name: "noop", Active: true}}}
	chance := func(percent int) bool { return w.rng.IntN(100) < percent }
	c.Attribs = append(c.Attribs, crowbar.CatalogAttrib{Attrib: attribOf("zone")})
	n := 3 + w.rng.IntN(5)
	var services, others, found []string
	for i := range n {
		r := crowbar.Role{Name: fmt.Sprintf("r%d", i), Jig: "ssh", Timeout: crowbar.Duration(time.Minute)}
		var from []string
		switch {
		case i > 0 && chance(15):
			r.Flags.Service, r.Jig, from = true, "noop", services
		case i == 0 || chance(20):
			r.Flags.Implicit, from = true, others
		case chance(12):
			r.Flags.Discovery, from = true, found
		default:
			from = slices.Concat(others, services)
			r.Flags.Cluster, r.Flags.Destructive = chance(40), chance(12)
			if chance(40) {
				r.Exclusive = []crowbar.Exclusive{{Name: fmt.Sprintf("lock%d", w.rng.IntN(2)), Limit: 1 + w.rng.IntN(2)}}
				if chance(60) {
					r.Exclusive[0].Gate = "peers-active"
				}
			}
		}
		if chance(30) {
			r.Retry = crowbar.Retry{Times: 1 + w.rng.IntN(3), Backoff: crowbar.Duration(time.Duration(1+w.rng.IntN(8)) * time.Second), Limit: crowbar.Duration(10 * time.Second)}
		}
		if len(others) > 1 && chance(8) && !r.Flags.Discovery {
			r.Conflicts = []string{others[w.rng.IntN(len(others))]}
		}
		for range min(len(from), 1+w.rng.IntN(2)) {
			if p := from[w.rng.IntN(len(from))]; !slices.Contains(r.Requires, p) {
				r.Requires = append(r.Requires, p)
			}
		}
		if len(from) > 0 && chance(30) {
			r.Wants = append(r.Wants, "of-"+from[w.rng.IntN(len(from))])
		}
		if !r.Flags.Service && chance(30) {
			r.Wants = append(r.Wants, "zone")
		}
		switch {
		case r.Flags.Service:
			services = append(services, r.Name)
		case r.Flags.Discovery:
			found = append(found, r.Name)
		default:
			others = append(others, r.Name)
		}
		if !r.Flags.Service && chance(20) {
			c.Attribs = append(c.Attribs, secretOf(r.Name))
		}
		c.Attribs = append(c.Attribs, crowbar.CatalogAttrib{RoleName: r.Name, Attrib: attribOf("of-" + r.Name)})
		c.Roles = append(c.Roles, r)
	}
	for i := range c.Roles {
		if later := i + 1 + w.rng.IntN(n); later < n && chance(35) && !c.Roles[i].Flags.Service && !c.Roles[later].Flags.Service && !c.Roles[later].Flags.Discovery {
			c.Roles[i].Preceeds = []string{c.Roles[later].Name}
		}
	}
	for _, r := range c.Roles {
		w.note("role %s %+v jig %s requires %v preceeds %v wants %v conflicts %v exclusive %v retry %v", r.Name, r.Flags, r.Jig, r.Requires, r.Preceeds, r.Wants, r.Conflicts, r.Exclusive, r.Retry)
	}
	return c
}

func secretOf(role string) crowbar.CatalogAttrib {
	return crowbar.CatalogAttrib{RoleName: role, Attrib: crowbar.Attrib{Name: "secret-" + role, Map: "secret/" + role, Generate: "random-32", Secret: true, Schema: crowbar.Data{"type": "str"}}}
}

func attribOf(name string) crowbar.Attrib {
	return crowbar.Attrib{Name: name, Map: name, Default: 0.0, Writable: true, Schema: crowbar.Data{"type": "int"}}
}

func (w *world) called() int { return int(w.calls.Load()) }

// label names a node-role: "r3@n1".
func label(s *crowbar.Snapshot, nr *crowbar.NodeRole) string {
	if nr == nil {
		return "nothing"
	}
	r, n := s.Role(nr.Role), s.Node(nr.Node)
	if r == nil || n == nil {
		return nr.ID.String()
	}
	return r.Name + "@" + n.Short()
}

func states(s *crowbar.Snapshot) string {
	var out []string
	for nr := range s.NodeRoles() {
		text := label(s, nr) + ":" + nr.State.String()
		if nr.Removing {
			text += "(removing)"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}
