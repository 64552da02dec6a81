package graph

import (
	"fmt"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// cause names a root cause, and says what to do about it. The key is the same for all that have the same cause.
func (r *Reasons) cause(x *reason) (c crowbar.Cause, key string) {
	s, nr := r.v.s, x.nr
	node, dep := nodeName(s, nr.Node), deploymentName(s, nr.Deployment)
	own := func(text, remedy string) (crowbar.Cause, string) {
		return crowbar.Cause{Kind: x.kind, Cause: place(s, nr) + " " + text, Remedy: remedy, NodeRole: nr.ID, Place: node + "/" + roleName(s, nr.Role)}, "node-role " + nr.ID.String()
	}
	shared := func(key, text, remedy string) (crowbar.Cause, string) {
		return crowbar.Cause{Kind: x.kind, Cause: text, Remedy: remedy}, key
	}
	switch nr.State {
	case crowbar.Error:
		if x.kind == crowbar.CauseRetry {
			return own("is in error"+since(nr)+colon(nr.Status)+retried(s, nr), "wait, or at once: kubeclamp noderoles retry "+node+"/"+roleName(s, nr.Role))
		}
		return own("is in error"+since(nr)+colon(nr.Status), "mend that, then: kubeclamp noderoles retry "+node+"/"+roleName(s, nr.Role))
	case crowbar.Transition:
		return own("runs"+since(nr)+colon(nr.Status)+stopping(nr), "wait for its end: kubeclamp logs -f "+node+"/"+roleName(s, nr.Role))
	case crowbar.Proposed:
		return shared("proposed "+dep, "deployment "+dep+" has something proposed", "kubeclamp deployments commit "+dep)
	case crowbar.Blocked:
		return own("is blocked, and its parents are all active", "kubeclamp noderoles retry "+node+"/"+roleName(s, nr.Role))
	}
	switch h := x.h; h.what {
	case proposed:
		return shared("proposed "+dep, "deployment "+dep+" is proposed", "kubeclamp deployments commit "+dep)
	case paused:
		return shared("paused "+dep, "deployment "+dep+" is paused", "kubeclamp deployments resume "+dep)
	case unplanned:
		return shared("plan "+dep, fmt.Sprintf("deployment %s carries out the plan of %s, and nothing else", dep, planTime(s.Deployment(nr.Deployment))),
			"kubeclamp plan -d "+dep+" shows what is left; kubeclamp deployments release "+dep+" lets it begin")
	case untargeted:
		return shared("target "+node, "node "+node+" has a target role, and runs nothing beyond it", "clear its target role")
	case jigless:
		return shared("jig "+s.Role(nr.Role).Jig, "there is no jig "+s.Role(nr.Role).Jig, "import the barclamp that has it")
	case addressless:
		return shared("address "+node, "node "+node+" has no address yet", "kubeclamp nodes update "+node+" --address IP")
	case dead:
		return shared("dead "+node, "node "+node+" is not alive", "bring it back, then: kubeclamp nodes update "+node+" --alive=true")
	case unavailable:
		return shared("unavailable "+node, "node "+node+" is not available", "kubeclamp nodes update "+node+" --available=true")
	case lost:
		return own("has lost its deployment, node or role", "kubeclamp noderoles destroy "+nr.ID.String())
	case above:
		return own("is to be removed, and "+place(s, h.by)+" needs it", "take that one off first: kubeclamp noderoles destroy "+nodeName(s, h.by.Node)+"/"+roleName(s, h.by.Role))
	}
	return shared("next", "nothing is in the way", "wait: the annealer takes them in turn")
}
