package k8smaster

import (
	"encoding/json"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// rule is the name of the binding that lets the API servers speak to kubelets.
const rule = "kubeclamp:kubelet-api-admins"

const rules = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"

// ask reads one path of the API through the administrator's kubeconfig, if both are there already.
const ask = `[ -x "$1" ] && [ -f "$2" ] || exit 1
exec "$1" --kubeconfig "$2" --request-timeout 5s get --raw "$3" 2>&1`

func probes() []linux.Probe {
	probe := func(name, path string) linux.Probe {
		return linux.Probe{Name: name, Script: ask, Args: []string{bin + "kubectl", etc + "/admin.conf", path}}
	}
	return []linux.Probe{probe("ready", "/readyz"), probe("rule", rules+"/"+rule)}
}

// serves says whether the API server on the node answered that it is ready when the facts were read.
func serves(have linux.Facts) bool {
	return have.ProbeCode["ready"] == 0 && strings.TrimSpace(have.Probe["ready"]) == "ok"
}

// granted says whether the binding was there, and as it has to be.
func granted(have linux.Facts) bool {
	var b binding
	return have.ProbeCode["rule"] == 0 && json.Unmarshal([]byte(have.Probe["rule"]), &b) == nil && b.right()
}
