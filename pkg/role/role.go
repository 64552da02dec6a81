// Package role is the contract that a role author writes to: bring one node to a desired state, again and again.
// It does not know the store, the API, the graph, or how the node is reached.
package role

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// Role is one deployment step.
type Role interface {
	// Describe is compared with barclamp.yaml when the daemon starts; a mismatch stops the start.
	Describe() Info
	// Apply brings one node to the desired state. It is idempotent, may be killed between any two instructions and run
	// again, makes no change when on.DryRun, and does exactly one Exec and no write when nothing has to change. What it does
	// depends on nothing but the Target and that Exec's answer: where both are as they were when there was nothing to do, it
	// is not called.
	Apply(ctx context.Context, on Target) (Result, error)
}

// Checker says what Apply would find changed by hand, and changes nothing.
type Checker interface {
	Check(ctx context.Context, on Target) (Drift, error)
}

// Remover takes the role off a node when it is unbound: the cluster is left clean and Apply can be run again.
type Remover interface {
	Remove(ctx context.Context, on Target) error
}

// Actor does what is neither a state to bring about nor a removal, such as taking a copy of what only the node has, or bringing
// back what was lost. An action is one of those in Info.Actions. Nothing runs beside one that changes the node: who asks for it
// sees to that.
type Actor interface {
	// Act does one action. What it gives back is not a secret; what it writes to do.Out may be.
	Act(ctx context.Context, on Target, do Action) (crowbar.Data, error)
}

// Forget is the action of a role whose barclamp.yaml says forgets: a peer takes out what a node was that is gone for good. Its
// Args are "node", a short host name, and "address". It is done again after a crash, and what is not there any more is as good.
const Forget = "forget"

// Hold and Release are the actions of a role whose programs write into a store that another role keeps, which it requires: on one
// node they wait, HoldLimit at the most whatever becomes of the daemon, so that the store can do what would cost it a write that is
// under way. What does not run there is as good. See Target.Hold.
const (
	Hold    = "hold"
	Release = "release"
)

// HoldLimit is shorter than what watches those programs takes for a failure.
const HoldLimit = 700 * time.Millisecond

// Gone is the node that an action Forget is about.
func (a Action) Gone() (node, address string, err error) {
	node, _ = a.Args["node"].(string)
	address, _ = a.Args["address"].(string)
	if node == "" {
		return "", "", crowbar.Errorf(crowbar.Invalid, "action %s: say which node is gone", a.Name)
	}
	return node, address, nil
}

// Action is one action that somebody asks for.
type Action struct {
	Name string
	Args crowbar.Data
	Out  io.Writer // takes what comes out of it, such as a copy; never nil
}

// Info is what a role says of itself.
type Info struct {
	Name    string   // as in barclamp.yaml
	Version string   // of this code
	Wants   []string // attribs that it reads: its own and wanted ones; must all be declared in barclamp.yaml
	Actions []string // that an Actor knows
}

// Target is one node for one run.
type Target struct {
	Node       string                        // short host name
	Address    string                        // the node's IP
	Deployment string                        // name
	Arch       string                        // GOARCH of the node
	Attribs    crowbar.Data                  // attrib name -> value, exactly what barclamp.yaml says this role has and wants; frozen
	Peers      []Peer                        // what it sees of others: see graph.Peers, and peers in barclamp.yaml
	First      bool                          // this node-role is the founder of its role in the deployment
	Again      bool                          // it has been applied here before
	Last       bool                          // in Remove: no other node-role of its role serves, what they shared goes with it
	Conn       jig.Conn                      // the only way to touch the node
	Artifacts  Artifacts                     // the host's catalogue of binaries and images
	DryRun     bool                          // answer with the changes, make none; what does not say that it reads is refused
	Log        func(format string, a ...any) // a line for the run log and the status; no secrets
	// Hold has the programs that write into what this role keeps wait, on all nodes, until release or for HoldLimit. It is asked
	// of the roles that require this one and have the actions Hold and Release. An error says which nodes do not wait; release is
	// never nil. nil = nobody can be asked.
	Hold func(ctx context.Context) (release func(), err error)

	// What OpenCrowbar's jigs are given of the same: crowbar.Work. Only for roles of jig script, which are no plugins.
	Tree crowbar.Data
	Maps map[string]string
}

// Peer is a node-role beside this one.
type Peer = crowbar.Peer

// Result is what a run did and gives back.
type Result struct {
	Changes []Change
	Wall    crowbar.Data // attrib name -> value; children read it in Peers, and as attribs where they want them
}

// Change is one thing made, or that a dry run would make.
type Change = crowbar.Difference

// Drift is what was changed by hand since the last Apply.
type Drift struct{ Changes []Change }

// Artifacts streams files of the host's catalogue straight to the node: the bytes do not pass through the plugin.
type Artifacts interface {
	// Stat finds an artifact by "component/file", such as "kubernetes/kubelet", or "kubernetes/kubelet@v1.36.3" for another version than the
	// catalogue's default, for the node's architecture.
	Stat(ctx context.Context, name string) (Artifact, error)
	// Put writes it to path on the node, atomically, after checking its sha256. The parent folder must exist.
	Put(ctx context.Context, name, path string, mode fs.FileMode) error
}

// At is the name of an artifact in a version; "" is the catalogue's default.
func At(artifact, version string) string {
	if version == "" {
		return artifact
	}
	return artifact + "@" + version
}

// Artifact is one file of the catalogue.
type Artifact = crowbar.Artifact

// Logf logs if the target has a log.
func (t Target) Logf(format string, a ...any) {
	if t.Log != nil {
		t.Log(format, a...)
	}
}

// Held calls do while the programs that write into what this role keeps wait, as far as they can be asked to.
func (t Target) Held(ctx context.Context, do func()) {
	if t.Hold != nil {
		release, err := t.Hold(ctx)
		defer release()
		if err != nil {
			t.Logf("not all that write wait: %v", err)
		}
	}
	do()
}

// PeersOf is the peers that hold a role.
func (t Target) PeersOf(role string) []Peer {
	var out []Peer
	for _, p := range t.Peers {
		if p.Role == role {
			out = append(out, p)
		}
	}
	return out
}

// Beside is an error unless another role is on this node as well, which this one needs.
func (t Target) Beside(role, why string) error {
	for _, p := range t.PeersOf(role) {
		if p.Node == t.Node {
			return nil
		}
	}
	return crowbar.Errorf(crowbar.Invalid, "there is no %s on %s, %s: unbind this role here and bind it to a node that has %s", role, t.Node, why, role)
}

// ErrDied is in the error of a call that was cut off because the role's process ended: nobody knows how far it came, and it
// can be done again.
var ErrDied = errors.New("the role's process ended")

// kinds names what an attrib should have been.
var kinds = map[reflect.Kind]string{reflect.String: "a text", reflect.Int: "a whole number", reflect.Bool: "true or false",
	reflect.Slice: "a list", reflect.Struct: "a map", reflect.Map: "a map"}

// Decode fills a struct from attribs by its json tags (tag = attrib name). A value of the wrong type is an error that names the attrib.
func Decode(d crowbar.Data, into any) error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	err = json.Unmarshal(b, into)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field != "" {
		return crowbar.Errorf(crowbar.Invalid, "attrib %s is a JSON %s: want %s", wrong.Field, wrong.Value, kinds[wrong.Type.Kind()])
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "attribs: %w", err)
	}
	return nil
}

// Await polls until done says true, an error that is final, or the deadline; it says what it waited for and the last reason.
func Await(ctx context.Context, what string, limit time.Duration, done func(ctx context.Context) (ok bool, why error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	var last error // what it still waited for, rather than that its last question was cut short
	for pause := 50 * time.Millisecond; ; pause = min(pause*3/2, 2*time.Second) {
		ok, why := done(ctx)
		if ok {
			return nil
		}
		if why != nil && (last == nil || ctx.Err() == nil) {
			last = why
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s: %w", time.Since(start).Round(time.Second), what, firstOf(last, ctx.Err()))
		case <-time.After(pause):
		}
	}
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
