package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// pressures is what a kubelet says that runs short of something; it then takes no pods and ends some that it has.
var pressures = map[string]string{
	"node.kubernetes.io/disk-pressure":   "its disk is nearly full",
	"node.kubernetes.io/memory-pressure": "its memory is nearly used up",
	"node.kubernetes.io/pid-pressure":    "its process numbers are nearly used up",
}

// lastQuestion is how long a node may take to answer what goes into an error.
const lastQuestion = 10 * time.Second

// NoPods adds to an error which nodes take no pods and why, as far as the API server can be asked: the scheduler and a
// pod's own state only say how many they are. It works for a context that has ended, too.
func NoPods(ctx context.Context, on jig.Conn, err error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lastQuestion)
	defer stop()
	out, bad := KubectlGet(ctx, on, "nodes", "-o", "json")
	if bad != nil {
		return err
	}
	if said := taints([]byte(out)); said != "" {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return err
}

func taints(list []byte) string {
	var doc struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct {
				Taints []struct{ Key, Effect string }
			}
		}
	}
	if json.Unmarshal(list, &doc) != nil {
		return ""
	}
	var lines []string
	for _, n := range doc.Items {
		for _, t := range n.Spec.Taints {
			if t.Effect != "NoSchedule" && t.Effect != "NoExecute" {
				continue
			}
			line := fmt.Sprintf("node %s takes no pods: taint %s", n.Metadata.Name, t.Key)
			if why := pressures[t.Key]; why != "" {
				line += " (" + why + ": make room, or lower attrib k8s-minion-eviction)"
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
