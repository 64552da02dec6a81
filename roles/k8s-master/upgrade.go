package k8smaster

import (
	"context"
	"fmt"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

const (
	wallServer = "k8s-version"         // of the API server, in the wall
	wallFollow = "k8s-control-version" // of the controller manager and the scheduler
)

// versions finds out which version of each program the node is to have. API servers come first: the controller manager and the
// scheduler stay what they are until every API server that is alive has the new version. It gives the API server's.
func (s *settings) versions(ctx context.Context, on role.Target) (string, error) {
	a, err := on.Artifacts.Stat(ctx, role.At("kubernetes/kube-apiserver", s.Version))
	if err != nil {
		return "", fmt.Errorf("attrib kubernetes-version: %w", err)
	}
	s.Follow = s.Version
	now := ""
	for _, p := range on.PeersOf("k8s-master") {
		if p.Node == on.Node {
			now, _ = p.Wall[wallFollow].(string)
		}
	}
	if now == "" || now == a.Version || !behind(on, a.Version) {
		return a.Version, nil
	}
	switch _, err := on.Artifacts.Stat(ctx, role.At("kubernetes/kube-scheduler", now)); crowbar.KindOf(err) {
	case crowbar.NotFound: // this host's catalogue has it no more
	default:
		if err != nil {
			return "", err
		}
		s.Follow = now
	}
	return a.Version, nil
}

// behind says that some other master that is alive has an API server of another version.
func behind(on role.Target, version string) bool {
	for _, p := range on.PeersOf("k8s-master") {
		if has, _ := p.Wall[wallServer].(string); p.Node != on.Node && p.Alive && p.Settled && has != version {
			return true
		}
	}
	return false
}

// followed is the version of the controller manager and the scheduler that the node has now.
func followed(have linux.Facts, s settings) string {
	return have.Artifacts[role.At("kubernetes/kube-scheduler", s.Follow)].Version
}

// back puts the previous version in the place of one that does not serve, waits until that serves again, and tells what happened.
func back(ctx context.Context, on role.Target, s settings, todo linux.Todo, api *kube.Client, version string, why error) error {
	why = linux.Explain(ctx, on.Conn, why, apiserver, manager, scheduler)
	on.Logf("version %s does not serve: put the previous one back", version)
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer stop()
	units := desired(s).Units
	err := linux.Back(ctx, on, todo, units...)
	if err == nil {
		err = awaitAll(ctx, on, s, api)
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "Kubernetes %s does not serve on %s, and neither does the version before it, which was put back (%w): the other masters were left alone; look at the node. Why the new one did not: %w",
			version, on.Node, err, why)
	}
	return crowbar.Errorf(crowbar.Invalid, "Kubernetes %s does not serve on %s: its version before that was put back there and serves, and no other master was touched. Set kubernetes-version to another version, or mend the cause and retry. Why it did not: %w",
		version, on.Node, why)
}
