package k8saddons

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// factsText compares both forms of the manifest with the cluster, so that one Exec is enough whichever holds: $1 is the
// one for nodes that have a resolver, $2 the other. Frames are "NAME" lines.
const factsText = `
resolv=/etc/resolv.conf
[ -r /run/systemd/resolve/resolv.conf ] && resolv=/run/systemd/resolve/resolv.conf
text=$2
if grep -E '^[[:space:]]*nameserver[[:space:]]' "$resolv" 2>/dev/null | grep -qvE 'nameserver[[:space:]]+(127\.|::1)'; then
	text=$1
	echo "resolver yes"
fi
diff=$(printf '%s' "$text" | KUBECTL_EXTERNAL_DIFF='diff -u -N' k diff --server-side --force-conflicts --field-manager=kubeclamp -f - 2>&1)
code=$?
[ $code -gt 1 ] && printf '%s\n' "$diff" >&2 && exit $code
printf '%s\n' "$diff" | sed 's/^/diff /'
deployment=$(k -n kube-system get deployment coredns --ignore-not-found -o json) || exit 1
echo "deployment $(printf '%s' "$deployment" | tr -d '\n')"
`

// facts is what the cluster says.
type facts struct {
	Resolver   bool // the node has a resolver
	Diff       []role.Change
	Deployment rollout
}

func readFacts(text string) (facts, error) {
	var f facts
	var diff []string
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		switch word {
		case "resolver":
			f.Resolver = true
		case "diff":
			diff = append(diff, rest)
		case "deployment":
			if rest == "" {
				continue
			}
			if err := json.Unmarshal([]byte(rest), &f.Deployment); err != nil {
				return f, fmt.Errorf("kubectl's deployment: %w", err)
			}
		}
	}
	f.Diff = changes(diff)
	return f, nil
}

// changes names the objects of a unified diff, whose files are called GROUP.VERSION.KIND.NAMESPACE.NAME.
func changes(diff []string) []role.Change {
	var out []role.Change
	for i, line := range diff {
		file, ok := strings.CutPrefix(line, "+++ ")
		if !ok || i == 0 || !strings.HasPrefix(diff[i-1], "--- ") {
			continue
		}
		file, _, _ = strings.Cut(file, "\t")
		do := "change"
		if i+1 < len(diff) && strings.HasPrefix(diff[i+1], "@@ -0,0 ") {
			do = "create"
		}
		c := role.Change{What: "object", Name: file[strings.LastIndexByte(file, '/')+1:], Do: do}
		c.Unified, c.More = linux.Clip(body(diff[i+1:]))
		out = append(out, c)
	}
	return out
}

// body is the lines of one file of a unified diff.
func body(diff []string) string {
	end := slices.IndexFunc(diff, func(l string) bool { return l == "" || !strings.Contains("@+- \\", l[:1]) })
	if end < 0 {
		end = len(diff)
	}
	return strings.Join(diff[:end], "\n") + "\n"
}

// objects names all objects of a manifest, in kubectl diff's words and order.
func objects(manifest string) []role.Change {
	var out []role.Change
	for doc := range strings.SplitSeq(manifest, "\n---\n") {
		field := map[string]string{}
		for line := range strings.Lines(doc) {
			key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			if _, seen := field[key]; !seen {
				field[key] = strings.Trim(value, `"`)
			}
		}
		name := strings.ReplaceAll(field["apiVersion"], "/", ".") + "." + field["kind"] + "." + field["  namespace"] + "." + field["  name"]
		out = append(out, role.Change{What: "object", Name: name, Do: "create"})
	}
	slices.SortFunc(out, func(a, b role.Change) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// rollout is what a Deployment says of its progress.
type rollout struct {
	Metadata struct{ Generation int64 }
	Spec     struct{ Replicas int }
	Status   struct {
		ObservedGeneration                                          int64
		Replicas, UpdatedReplicas, AvailableReplicas, ReadyReplicas int
	}
}

// done says that every pod is of the newest form and available.
func (r rollout) done() bool {
	s := r.Status
	return r.Metadata.Generation > 0 && s.ObservedGeneration >= r.Metadata.Generation &&
		s.UpdatedReplicas == r.Spec.Replicas && s.Replicas == r.Spec.Replicas && s.AvailableReplicas == r.Spec.Replicas
}

func (r rollout) String() string {
	return fmt.Sprintf("%d of %d pods are available, %d are of the newest form", r.Status.AvailableReplicas, r.Spec.Replicas, r.Status.UpdatedReplicas)
}
