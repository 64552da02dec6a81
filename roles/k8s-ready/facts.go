package k8sready

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// factsText reads, in one Exec, the last proof and which nodes are Ready. $1 namespace and $2 name of the record.
const factsText = `
record=$(k -n "$1" get configmap "$2" --ignore-not-found -o json) || exit 1
echo "record $(printf '%s' "$record" | tr -d '\n')"
nodes=$(k get nodes -o json) || exit 1
echo "nodes $(printf '%s' "$nodes" | tr -d '\n')"
`

// facts is what the cluster says.
type facts struct {
	Ready   []string     // nodes that can run pods, in order
	Subject string       // of the last proof; "" = none
	Proof   crowbar.Data // the last proof
}

func readFacts(text string) (facts, error) {
	var f facts
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		var err error
		switch {
		case rest == "":
		case word == "record":
			err = f.record(rest)
		case word == "nodes":
			err = f.nodes(rest)
		}
		if err != nil {
			return f, fmt.Errorf("kubectl's %s: %w", word, err)
		}
	}
	return f, nil
}

func (f *facts) record(text string) error {
	var doc struct{ Data map[string]string }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	f.Subject = doc.Data["subject"]
	if json.Unmarshal([]byte(doc.Data["proof"]), &f.Proof) != nil {
		f.Subject = "" // changed by hand: prove again
	}
	return nil
}

func (f *facts) nodes(text string) error {
	var doc struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Unschedulable bool }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	for _, n := range doc.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				f.Ready = append(f.Ready, n.Metadata.Name)
			}
		}
	}
	slices.Sort(f.Ready)
	return nil
}

// lacking is which of the workers are not Ready.
func (f facts) lacking(workers []string) []string {
	var out []string
	for _, w := range workers {
		if !slices.Contains(f.Ready, w) {
			out = append(out, w)
		}
	}
	return out
}

// proves says that the last proof is of just what there is now.
func (f facts) proves(c config) bool {
	return len(f.Ready) > 0 && f.Subject == c.subject(f.Ready) && len(f.lacking(c.Workers)) == 0
}

// pod is one test server.
type pod struct{ Name, Node, IP string }

// readPods gives the pods that are ready, one a node, in order of their nodes; and why others are not.
func readPods(list []byte) (ready []pod, why []string, err error) {
	var doc struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ NodeName string }
			Status   struct {
				PodIP      string
				Reason     string
				Message    string
				Conditions []struct{ Type, Status, Reason, Message string }
				Containers []struct {
					State struct {
						Waiting *struct{ Reason, Message string }
					}
				} `json:"containerStatuses"`
			}
		}
	}
	if err := json.Unmarshal(list, &doc); err != nil {
		return nil, nil, fmt.Errorf("kubectl's pods: %w", err)
	}
	for _, i := range doc.Items {
		said := "not ready"
		if i.Status.Reason != "" { // such as Evicted
			said = strings.TrimSpace(i.Status.Reason + " " + i.Status.Message)
		}
		for _, c := range i.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				ready = append(ready, pod{i.Metadata.Name, i.Spec.NodeName, i.Status.PodIP})
				said = ""
			} else if c.Type == "PodScheduled" && c.Status == "False" {
				said = c.Reason + " " + c.Message
			}
		}
		for _, c := range i.Status.Containers {
			if c.State.Waiting != nil && said != "" {
				said = c.State.Waiting.Reason + " " + c.State.Waiting.Message
			}
		}
		if said != "" {
			why = append(why, strings.TrimSpace(fmt.Sprintf("pod on node %q: %s", i.Spec.NodeName, said)))
		}
	}
	slices.SortFunc(ready, func(a, b pod) int { return strings.Compare(a.Node, b.Node) })
	return ready, why, nil
}
