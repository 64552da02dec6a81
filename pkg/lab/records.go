package lab

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func (rec record) node(name string) (nodeRecord, error) {
	for _, n := range rec.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return nodeRecord{}, crowbar.Errorf(crowbar.NotFound, "no node %q in the lab: `kubeclamp lab status` lists them", name)
}

// merge adds the wanted nodes that the lab does not have yet, each with the lowest free index.
func (rec *record) merge(want []NodeSpec, max int) error {
	used := map[int]bool{}
	have := map[string]nodeRecord{}
	for _, n := range rec.Nodes {
		used[n.Index], have[n.Name] = true, n
	}
	next := 1
	for _, w := range want {
		if w.Suite == "" {
			w.Suite = DefaultSuite
		}
		if err := checkSpec(w); err != nil {
			return err
		}
		if old, ok := have[w.Name]; ok {
			if old.Suite != w.Suite {
				return crowbar.Errorf(crowbar.Conflict, "node %q is of %s already, not %s: use another name, or `kubeclamp lab down` first", w.Name, old.Suite, w.Suite)
			}
			continue
		}
		for used[next] {
			next++
		}
		if next > max {
			return crowbar.Errorf(crowbar.Invalid, "node %q: the lab's network has room for %d nodes only: choose a wider one", w.Name, max)
		}
		used[next] = true
		n := nodeRecord{NodeSpec: w, Index: next}
		have[w.Name] = n
		rec.Nodes = append(rec.Nodes, n)
	}
	return nil
}

func checkSpec(w NodeSpec) error {
	if !nodeNameRE.MatchString(w.Name) {
		return crowbar.Errorf(crowbar.Invalid, "node name %q: 1 to 40 lower-case letters, digits and inner dashes", w.Name)
	}
	for _, s := range suites() {
		if s == w.Suite {
			return nil
		}
	}
	return crowbar.Errorf(crowbar.Invalid, "node %q: suite %q is not one of %v", w.Name, w.Suite, suites())
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return writeFile(path, append(b, '\n'), 0o600)
}

// writeFile replaces a file in one step, so that a reader or a crash never sees half of it.
func writeFile(path string, b []byte, mode os.FileMode) error {
	tmp := fmt.Sprintf("%s.%d.new", path, os.Getpid())
	if err := os.WriteFile(tmp, b, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
