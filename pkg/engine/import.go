package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// hostSecrets are those that the daemons of one state have in common among themselves: they stay as they are here.
var hostSecrets = []string{"host/token", "host/authority"}

// importTries bounds how often an import is computed anew because somebody else was faster.
const importTries = 10

// ImportState makes the state what an export says, all of it or nothing: only where nothing has been made yet, or with replace
// in place of what there is, while nothing runs. What is secret stays sealed, and this daemon must have the keys.
func (e *Engine) ImportState(ctx context.Context, r io.Reader, replace bool) (crowbar.StateCopy, error) {
	head, in, err := readCopy(r)
	if err == nil {
		err = coherent(in)
	}
	if err == nil {
		err = e.opens(in)
	}
	if err == nil {
		in = in.Apply(0, leapt(in)...)
		err = e.replace(ctx, in, replace)
	}
	if err != nil {
		return head, fmt.Errorf("import the state: %w", err)
	}
	return head, nil
}

func (e *Engine) replace(ctx context.Context, in *crowbar.Snapshot, force bool) error {
	for try := 1; ; try++ {
		at := e.View()
		if err := vacant(at, force); err != nil {
			return err
		}
		changes, err := e.instead(at, in)
		if err != nil {
			return err
		}
		err = e.Store.Commit(ctx, at.Rev(), changes...)
		if err == nil || crowbar.KindOf(err) != crowbar.Conflict {
			return err
		}
		if try == importTries {
			return crowbar.Errorf(crowbar.Unavailable, "the state changes all the time: %w", err)
		}
	}
}

// vacant says whether a state may go.
func vacant(s *crowbar.Snapshot, force bool) error {
	if !force {
		for n := range s.Nodes() {
			if !n.System {
				return crowbar.Errorf(crowbar.Conflict, "the state here is not empty: it has node %s; with replace it would be lost", n.Name)
			}
		}
		for d := range s.Deployments() {
			if !d.System {
				return crowbar.Errorf(crowbar.Conflict, "the state here is not empty: it has deployment %s; with replace it would be lost", d.Name)
			}
		}
	}
	for nr := range s.NodeRoles() {
		if nr.State == crowbar.Transition {
			return crowbar.Errorf(crowbar.Conflict, "%s runs at this moment: pause the deployments, and import when nothing runs", place(s, nr))
		}
	}
	return nil
}

// instead is the changes from one state to another.
func (e *Engine) instead(at, in *crowbar.Snapshot) ([]crowbar.Change, error) {
	next := max(at.Next(), in.Next())
	for _, name := range hostSecrets {
		mine, theirs := at.SecretNamed(0, name), in.SecretNamed(0, name)
		if mine == nil {
			continue
		}
		kept := *mine
		kept.ID = next
		next++
		if theirs != nil {
			in = in.Apply(0, crowbar.Change{Drop: theirs})
		}
		in = in.Apply(0, crowbar.Change{Put: &kept})
	}
	var changes []crowbar.Change
	for _, k := range crowbar.Kinds {
		if k == crowbar.KindAudit || k == crowbar.KindAuditHead {
			continue // what was done here stays on record, and that somebody imported is the newest of it
		}
		for o := range at.All(k) {
			if in.Get(k, o.Key()) == nil {
				changes = append(changes, crowbar.Change{Drop: o})
			}
		}
		for o := range in.All(k) {
			changes = append(changes, crowbar.Change{Put: o})
		}
	}
	// The ids that were given there are not given again here.
	changes = append(changes, crowbar.Change{Drop: &crowbar.Run{ID: next}})
	return e.sealed(crowbar.NewSnapshot(), in, changes)
}

// opens says whether this daemon can open what is sealed in an export.
func (e *Engine) opens(in *crowbar.Snapshot) error {
	if e.Ring == nil {
		return nil
	}
	err := e.lackless(in)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "it has secrets that this daemon cannot open: put the key file of the daemon that it comes from beside this one's, line by line: %w", err)
	}
	return nil
}

// coherent says whether what objects refer to is there.
func coherent(s *crowbar.Snapshot) error {
	var bad []error
	want := func(o crowbar.Object, k crowbar.Kind, id crowbar.ID) {
		if id != 0 && s.Get(k, id) == nil && len(bad) < 10 {
			bad = append(bad, crowbar.Errorf(crowbar.Invalid, "%s %d refers to %s %d, which is not in it", o.Kind(), o.Key(), k, id))
		}
	}
	if s.DeploymentNamed(System) == nil {
		bad = append(bad, crowbar.Errorf(crowbar.Invalid, "it has no deployment %q", System))
	}
	for d := range s.Deployments() {
		want(d, crowbar.KindDeployment, d.Parent)
		want(d, crowbar.KindNode, d.Phantom)
	}
	for n := range s.Nodes() {
		want(n, crowbar.KindDeployment, n.Deployment)
	}
	for dr := range s.DeploymentRoles() {
		want(dr, crowbar.KindDeployment, dr.Deployment)
		want(dr, crowbar.KindRole, dr.Role)
	}
	for nr := range s.NodeRoles() {
		want(nr, crowbar.KindDeployment, nr.Deployment)
		want(nr, crowbar.KindNode, nr.Node)
		want(nr, crowbar.KindRole, nr.Role)
		for _, p := range nr.Parents {
			want(nr, crowbar.KindNodeRole, p.ID)
		}
	}
	return errors.Join(bad...)
}

// copyReader reads an export line by line.
type copyReader struct {
	from *bufio.Reader
	line int
	sum  hash.Hash
	head *crowbar.StateCopy
	had  int // objects
	put  []crowbar.Change
	seen map[name]bool
}

// readCopy reads an export to its end, in the form that this program knows.
func readCopy(r io.Reader) (crowbar.StateCopy, *crowbar.Snapshot, error) {
	c := &copyReader{from: bufio.NewReaderSize(r, 1<<16), sum: sha256.New(), seen: map[name]bool{}}
	for {
		text, err := c.from.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return crowbar.StateCopy{}, nil, err
		}
		c.line++
		if len(bytes.TrimSpace(text)) == 0 && err != nil {
			return crowbar.StateCopy{}, nil, crowbar.Errorf(crowbar.Invalid, "line %d: it breaks off here: an export has a last line that says so", c.line)
		}
		done, bad := c.take(text)
		if bad != nil {
			return crowbar.StateCopy{}, nil, crowbar.Errorf(crowbar.Invalid, "line %d: %w", c.line, bad)
		}
		if done {
			in := crowbar.NewSnapshot().Apply(0, c.put...).Skip(c.head.Next)
			return *c.head, in, nil
		}
	}
}

// take takes a line in; done after the last.
func (c *copyReader) take(text []byte) (done bool, err error) {
	var l copied
	if err := json.Unmarshal(text, &l); err != nil {
		return false, err
	}
	switch {
	case c.head == nil && l.State == nil:
		return false, errors.New("this is no export of a kubeclamp state")
	case c.head == nil:
		c.head = l.State
		if l.State.Schema < 1 || l.State.Schema > crowbar.Schema {
			return false, fmt.Errorf("it has the form of version %d, and this kubeclampd knows forms up to %d: import it into one of that version, or of a newer one", l.State.Schema, crowbar.Schema)
		}
	case l.End != nil:
		if sum := hex.EncodeToString(c.sum.Sum(nil)); l.Sum != "" && l.Sum != sum {
			return false, errors.New("its sum is another: it was damaged; where it was changed on purpose, take sha256 out of this line")
		}
		if *l.End != c.had && l.Sum != "" {
			return false, fmt.Errorf("it has %d objects, and this line says %d", c.had, *l.End)
		}
		return true, nil
	default:
		o, err := c.object(l)
		if err != nil {
			return false, err
		}
		c.had++
		if o != nil {
			c.put = append(c.put, crowbar.Change{Put: o})
		}
	}
	c.sum.Write(text)
	return false, nil
}

// object decodes one, after bringing it to the form that this program knows; nil for one that this has no use for.
func (c *copyReader) object(l copied) (crowbar.Object, error) {
	value := []byte(l.Object)
	for _, r := range crowbar.Reforms()[c.head.Schema-1:] {
		if r.Up == nil {
			continue
		}
		var err error
		if value, err = r.Up(l.Kind, value); err != nil {
			return nil, err
		}
		if value == nil {
			return nil, nil
		}
	}
	o := crowbar.New(l.Kind)
	if o == nil {
		return nil, fmt.Errorf("there is no kind %q", l.Kind)
	}
	if err := json.Unmarshal(value, o); err != nil {
		return nil, err
	}
	at := name{l.Kind, o.Key()}
	if o.Key() == 0 || c.seen[at] {
		return nil, fmt.Errorf("%s %d: ids are above 0, and each is there once", l.Kind, o.Key())
	}
	c.seen[at] = true
	return o, nil
}
