package k8sready

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

const (
	space       = "kubeclamp-ready" // namespace of the test servers
	recordSpace = "kube-system"
	recordName  = "kubeclamp-ready" // ConfigMap that holds the last proof

	nodesLimit = 3 * time.Minute
	podsLimit  = 3 * time.Minute
	proofLimit = time.Minute
)

// run is one Apply or Remove under way.
type run struct {
	on      role.Target
	c       config
	facts   facts
	pods    []pod
	from    pod // the pod that asks
	proof   crowbar.Data
	changes []role.Change
	done    bool
}

// read asks the cluster, in one Exec if the last proof holds; else it waits until all workers are Ready.
func (r *run) read(ctx context.Context) error {
	err := role.Await(ctx, "the nodes to be Ready", nodesLimit, func(ctx context.Context) (bool, error) {
		out, err := jig.Run(ctx, r.on.Conn, kube.KubectlLook(factsText, recordSpace, recordName))
		if err != nil {
			return r.on.DryRun, err
		}
		if r.facts, err = readFacts(out); err != nil {
			return false, err
		}
		if bad := r.facts.lacking(r.c.Workers); len(bad) > 0 || len(r.facts.Ready) == 0 {
			return r.on.DryRun, fmt.Errorf("nodes that are Ready: %s; not Ready: %s: see `kubeclamp why` of their k8s-minion, or `kubectl describe node`", some(r.facts.Ready), some(bad))
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if r.done = r.facts.proves(r.c); r.done {
		r.proof = r.facts.Proof
		return nil
	}
	r.proof = nil
	r.changes = []role.Change{{What: "proof", Name: recordName, Do: "create", Diff: "nodes " + some(r.subjects())}}
	r.done = r.on.DryRun
	return nil
}

// subjects is the nodes that the proof will be of; in a dry run before there is a cluster, the workers to come.
func (r *run) subjects() []string {
	if len(r.facts.Ready) == 0 {
		return r.c.Workers
	}
	return r.facts.Ready
}

func some(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
