package k8saddons

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// rolledOut waits until every pod of cluster DNS is available, and says of those that are not why.
func rolledOut(ctx context.Context, on role.Target) error {
	err := role.Await(ctx, "the pods of cluster DNS", rolloutLimit, func(ctx context.Context) (bool, error) {
		out, err := kube.KubectlGet(ctx, on.Conn, "-n", "kube-system", "deployments,pods", "-l", "k8s-app=kube-dns", "-o", "json")
		if err != nil {
			return false, err
		}
		r, why, err := readRollout([]byte(out))
		if err != nil || r.done() {
			return err == nil, err
		}
		return false, fmt.Errorf("%s%s", r, why)
	})
	if err != nil {
		return kube.NoPods(ctx, on.Conn, err)
	}
	return nil
}

// pod is why a pod does not serve.
type pod struct {
	Metadata struct{ Name string }
	Spec     struct{ NodeName string }
	Status   struct {
		Phase      string
		Reason     string // such as Evicted
		Message    string
		Conditions []struct{ Type, Status, Reason, Message string }
		Containers []struct {
			Ready bool
			State struct {
				Waiting, Terminated *struct{ Reason, Message string }
			}
			Last struct {
				Terminated *struct{ Reason, Message string }
			} `json:"lastState"`
		} `json:"containerStatuses"`
	}
}

func readRollout(list []byte) (r rollout, why string, err error) {
	var doc struct{ Items []json.RawMessage }
	if err := json.Unmarshal(list, &doc); err != nil {
		return r, "", fmt.Errorf("kubectl's list: %w", err)
	}
	for _, item := range doc.Items {
		var kind struct{ Kind string }
		if err := json.Unmarshal(item, &kind); err != nil {
			return r, "", err
		}
		if kind.Kind == "Deployment" {
			err = json.Unmarshal(item, &r)
		} else {
			var p pod
			err = json.Unmarshal(item, &p)
			why += p.trouble()
		}
		if err != nil {
			return r, "", fmt.Errorf("kubectl's %s: %w", kind.Kind, err)
		}
	}
	return r, why, nil
}

// trouble is "" for a pod that serves.
func (p pod) trouble() string {
	var said []string
	for _, c := range p.Status.Containers {
		switch {
		case c.Ready:
		case c.State.Waiting != nil:
			said = append(said, c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil:
			said = append(said, c.State.Terminated.Reason, c.State.Terminated.Message)
		}
		if !c.Ready && c.Last.Terminated != nil {
			said = append(said, "before that "+c.Last.Terminated.Reason, c.Last.Terminated.Message)
		}
	}
	if p.Status.Reason != "" {
		said = append(said, p.Status.Reason, p.Status.Message)
	}
	for _, c := range p.Status.Conditions {
		if c.Type != "Ready" && c.Status == "False" && len(said) == 0 {
			said = append(said, c.Reason, c.Message)
		}
	}
	if len(said) == 0 {
		return ""
	}
	return fmt.Sprintf("; pod %s on node %q: %s", p.Metadata.Name, p.Spec.NodeName, strings.Join(strings.Fields(strings.Join(said, " ")), " "))
}
