package engine

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/attrib"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

// CarryOut does what a plan says, and nothing else: until the deployment is released, no node-role of it begins that the
// plan does not foresee. Where the plan would be another one by now it is a Conflict that says what moved, and nothing is
// done. document is what the plan was made for, where secrets in it were left out of the plan; else it may be nil.
func (e *Engine) CarryOut(ctx context.Context, p *crowbar.Plan, document *crowbar.Cluster) error {
	err := e.carryOut(ctx, p, document)
	if err != nil {
		return fmt.Errorf("carry out the plan of %s for deployment %q: %w", p.Made.UTC().Format("2006-01-02 15:04 UTC"), p.Deployment, err)
	}
	return nil
}

func (e *Engine) carryOut(ctx context.Context, p *crowbar.Plan, document *crowbar.Cluster) error {
	if err := e.genuine(p); err != nil {
		return err
	}
	document, err := whole(p, document)
	if err != nil {
		return err
	}
	want := crowbar.PlanFor{Deployment: p.Deployment, Document: document, Rerun: p.Rerun, Force: p.Force}
	return e.change(ctx, func(d *draft) error {
		if document != nil {
			if _, hidden := withoutSecrets(d.s, *document); !slices.Equal(hidden, p.Hidden) {
				return crowbar.Errorf(crowbar.Conflict, "other attribs are secret by now than when it was made: plan anew")
			}
		}
		dep, _, err := e.wanted(d, want, false)
		if err != nil {
			return err
		}
		steps, err := graph.Plan(d.s, dep.ID)
		if err != nil {
			return err
		}
		if err := e.give(d.s, steps); err != nil {
			return err
		}
		if moved := moved(p.Steps, steps); len(moved) > 0 {
			return crowbar.Errorf(crowbar.Conflict, "it does not hold any more, nothing was done:\n  %s\nplan anew and look at it: kubeclamp plan --out FILE", strings.Join(moved, "\n  "))
		}
		ids := make([]crowbar.ID, len(steps))
		for i, st := range steps {
			ids[i] = st.NodeRole
		}
		return d.add(graph.Hold(d.s, dep.ID, ids, p.Made))
	})
}

// genuine says that the plan is as this daemon's key sealed it.
func (e *Engine) genuine(p *crowbar.Plan) error {
	switch {
	case p.Format != crowbar.PlanFormat:
		return crowbar.Errorf(crowbar.Invalid, "its format is %d, and this daemon reads %d: is the file a plan? make one with 'kubeclamp plan --out FILE'", p.Format, crowbar.PlanFormat)
	case p.Seal == "":
		return crowbar.Errorf(crowbar.Invalid, "it was made to be read only: make one that can be carried out with 'kubeclamp plan --out FILE'")
	case e.Mac == nil:
		return crowbar.Errorf(crowbar.Unavailable, "this daemon has no key for plans")
	}
	want, err := e.sealOf(*p)
	if err != nil {
		return err
	}
	if !hmac.Equal([]byte(want), []byte(p.Seal)) {
		return crowbar.Errorf(crowbar.Invalid, "it is not as it was made: it was edited, or comes from a daemon with another key; plan anew: kubeclamp plan --out FILE")
	}
	return nil
}

// whole is the plan's document with its secrets.
func whole(p *crowbar.Plan, given *crowbar.Cluster) (*crowbar.Cluster, error) {
	switch {
	case p.Document == nil && given != nil:
		return nil, crowbar.Errorf(crowbar.Invalid, "it was not made for a document: leave -f out")
	case given == nil && len(p.Hidden) > 0:
		return nil, crowbar.Errorf(crowbar.Invalid, "the document that it was made for has secrets (%s), which a plan does not hold: give the document too, with -f", strings.Join(p.Hidden, ", "))
	case given == nil:
		return p.Document, nil
	}
	shown := hide(*given, p.Hidden)
	if !same(shown, p.Document) {
		return nil, crowbar.Errorf(crowbar.Conflict, "the document is not the one that it was made for: plan anew")
	}
	return given, nil
}

// moved says what of a plan is otherwise by now, at most ten things.
func moved(was, is []crowbar.Step) []string {
	key := func(st crowbar.Step) string { return st.Do + " " + st.Place() }
	old := map[string]crowbar.Step{}
	for _, st := range was {
		old[key(st)] = st
	}
	var out []string
	for _, st := range is {
		planned, ok := old[key(st)]
		delete(old, key(st))
		switch {
		case !ok:
			out = append(out, fmt.Sprintf("%s: it would be run as well (%s)", st.Place(), st.Why))
		case planned.Given != st.Given:
			out = append(out, fmt.Sprintf("%s: its run would be given other values: %s", st.Place(), strings.Join(differing(planned.Given, st.Given), ", ")))
		}
	}
	for _, st := range was {
		if _, left := old[key(st)]; left {
			out = append(out, fmt.Sprintf("%s: there is nothing to run any more", st.Place()))
		}
	}
	if n := len(out) - 10; n > 0 {
		out = append(out[:10], fmt.Sprintf("and %d more", n))
	}
	return out
}

// parts names the digests of Step.Given, in order.
var parts = []string{"attribs", "the node", "the role", "walls and addresses of its peers"}

func differing(was, is string) []string {
	a, b := strings.Split(was, "."), strings.Split(is, ".")
	var out []string
	for i, name := range parts {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			out = append(out, name)
		}
	}
	return out
}

// seal notes what every step's run is given, and seals the whole.
func (e *Engine) seal(s *crowbar.Snapshot, p *crowbar.Plan) (err error) {
	if e.Mac == nil {
		return crowbar.Errorf(crowbar.Unavailable, "plan deployment %q: this daemon has no key for plans", p.Deployment)
	}
	if err := e.give(s, p.Steps); err != nil {
		return err
	}
	p.Seal, err = e.sealOf(*p)
	return err
}

func (e *Engine) sealOf(p crowbar.Plan) (string, error) {
	p.Seal = ""
	b, err := json.Marshal(p)
	return e.digest("seal", b), err
}

// give notes with every step keyed digests of what its run is given.
func (e *Engine) give(s *crowbar.Snapshot, steps []crowbar.Step) error {
	for i := range steps {
		nr := s.NodeRole(steps[i].NodeRole)
		if nr == nil {
			continue
		}
		given, err := e.given(s, nr)
		if err != nil {
			return fmt.Errorf("%s: %w", steps[i].Place(), err)
		}
		steps[i].Given = given
	}
	return nil
}

// given is a digest of each of parts.
func (e *Engine) given(s *crowbar.Snapshot, nr *crowbar.NodeRole) (string, error) {
	in, err := attrib.Collect(s, nr)
	if err != nil {
		return "", err
	}
	if err := e.open(&in); err != nil {
		return "", err
	}
	for i := range in.Computed {
		in.Computed[i].Deployment = 0 // it may be made when the plan is carried out
	}
	n, r := *s.Node(nr.Node), *s.Role(nr.Role)
	r.Stamps, r.ID, r.Barclamp = crowbar.Stamps{}, 0, 0
	type peer struct {
		Role, Node, Address string
		Wall                crowbar.Data
	}
	var peers []peer
	seen, _, err := e.openPeers(graph.Peers(s, nr), nil)
	if err != nil {
		return "", err
	}
	for _, p := range seen {
		peers = append(peers, peer{p.Role, p.Node, p.Address, p.Wall})
	}
	var out []string
	for i, part := range []any{
		[]any{in.Attribs, in.Computed},
		[]any{n.Name, n.Address, n.Jig, n.SSH, n.Arch, n.Admin},
		[]any{r, nr.RunCount > 0},
		peers,
	} {
		b, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		out = append(out, e.digest(parts[i], b)[:12])
	}
	return strings.Join(out, "."), nil
}

// closed is a digest that may be stored: what it is of, and that may be secret, cannot be guessed and tried.
func (e *Engine) closed(given string) string {
	if given == "" || e.Mac == nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(e.Mac([]byte("given: " + given))[:15])
}

func (e *Engine) digest(what string, b []byte) string {
	return base64.RawURLEncoding.EncodeToString(e.Mac(append([]byte("plan: "+what+"\x00"), b...)))
}
