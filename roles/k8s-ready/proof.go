package k8sready

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// deploy puts a test server on every node.
func (r *run) deploy(ctx context.Context) error {
	text, err := r.c.manifest()
	if err != nil {
		return err
	}
	return role.Await(ctx, "namespace "+space+" to take the test servers", podsLimit, func(ctx context.Context) (bool, error) {
		err := kube.KubectlApply(ctx, r.on.Conn, text)
		return err == nil, err // refused while an earlier namespace is still being deleted
	})
}

// await waits for a ready pod on every node that is Ready.
func (r *run) await(ctx context.Context) error {
	err := role.Await(ctx, "a test server on "+some(r.facts.Ready), podsLimit, func(ctx context.Context) (bool, error) {
		out, err := kube.KubectlGet(ctx, r.on.Conn, "-n", space, "pods", "-l", "app=testserver", "-o", "json")
		if err != nil {
			return false, err
		}
		pods, why, err := readPods([]byte(out))
		if err != nil {
			return false, err
		}
		r.pods = pods
		for _, n := range r.facts.Ready {
			if !slices.ContainsFunc(pods, func(p pod) bool { return p.Node == n }) {
				return false, fmt.Errorf("none is ready on %s: %s", n, strings.Join(why, "; "))
			}
		}
		return true, nil
	})
	if err != nil {
		return kube.NoPods(ctx, r.on.Conn, err)
	}
	r.from = r.pods[0]
	for _, p := range r.pods {
		if p.Node == r.on.Node {
			r.from = p // its packets leave through this node's interface, where they can be counted
		}
	}
	return nil
}

// ask runs the test server's own client in a pod, until it succeeds and its answer is right.
func (r *run) ask(ctx context.Context, from pod, what string, right func(string) error, args ...string) error {
	return role.Await(ctx, what, proofLimit, func(ctx context.Context) (bool, error) {
		out, err := kube.Kubectl(ctx, r.on.Conn, "", append([]string{"-n", space, "exec", from.Name, "--", "testserver"}, args...)...)
		if err == nil {
			err = right(strings.TrimSpace(out))
		}
		return err == nil, err
	})
}

func url(host string) string { return "http://" + host + "/hostname" }

// overlay has every pod fetch from the pod of the next node, directly by its address: a ring over all nodes.
func (r *run) overlay(ctx context.Context) error {
	r.proof = crowbar.Data{}
	if len(r.pods) == 1 {
		r.proof["pods"] = []any{r.pods[0].data()}
		r.proof["overlay"] = "not proven: the cluster has one node, " + r.pods[0].Node
		return nil
	}
	before := r.counters(ctx)
	var pairs []any
	for i, p := range r.pods {
		to := r.pods[(i+1)%len(r.pods)]
		what := fmt.Sprintf("pod %s on %s to reach pod %s on %s", p.IP, p.Node, to.IP, to.Node)
		if err := r.ask(ctx, p, what, is(to.Name), "get", url(to.IP+":8080")); err != nil {
			return fmt.Errorf("%w\nDo packets of the overlay (%s) pass from %s to %s? See README.md of roles/flannel for its ports", err, r.c.Backend, p.Node, to.Node)
		}
		d := p.data()
		d["reaches"] = to.data()
		pairs = append(pairs, d)
	}
	after := r.counters(ctx)
	if err := before.convince(r.device(), after); err != nil {
		return err
	}
	r.proof["pods"] = pairs
	r.proof["overlay"] = before.path(r.c.Backend, after)
	return nil
}

// device is the one that flannel said it uses on this node; "" if it did not say.
func (r *run) device() string {
	for _, p := range r.on.PeersOf("flannel") {
		if dev, ok := p.Wall["flannel-interface"].(string); ok && p.Node == r.on.Node {
			return dev
		}
	}
	return ""
}

// convince checks that the packets went through the overlay's device.
func (c counts) convince(device string, after counts) error {
	switch {
	case c.Device == "" || device == "":
		return nil
	case c.Device != device:
		return crowbar.Errorf(crowbar.Conflict, "pods reach each other, but not through the overlay: the way is %s, and flannel's device is %s: look for foreign routes to the pods' network", c.Route, device)
	case after.Sent <= c.Sent:
		return crowbar.Errorf(crowbar.Conflict, "pods reach each other, but %s sent no packet meanwhile (%d before and after): the way is %s: look for foreign routes to the pods' network", device, after.Sent, c.Route)
	}
	return nil
}

func (p pod) data() map[string]any { return map[string]any{"node": p.Node, "ip": p.IP} }

func is(want string) func(string) error {
	return func(got string) error {
		if got != want {
			return fmt.Errorf("the answer is %q and should be %q", got, want)
		}
		return nil
	}
}

// service has a pod fetch through the Service's address.
func (r *run) service(ctx context.Context) error {
	ip, err := kube.KubectlGet(ctx, r.on.Conn, "-n", space, "service", "testserver", "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	ip = strings.TrimSpace(ip)
	var by string
	known := func(got string) error {
		for _, p := range r.pods {
			if p.Name == got {
				by = p.Node
				return nil
			}
		}
		return fmt.Errorf("the answer %q is of no pod", got)
	}
	what := fmt.Sprintf("pod %s on %s to reach Service %s", r.from.IP, r.from.Node, ip)
	if err := r.ask(ctx, r.from, what, known, "get", url(ip)); err != nil {
		return err
	}
	r.proof["service"] = fmt.Sprintf("%s answered by the pod on %s", ip, by)
	r.proof["service-ip"] = ip
	return nil
}

// dns has a pod resolve the Service's name, and fetch by it.
func (r *run) dns(ctx context.Context) error {
	name, ip := r.c.service(), fmt.Sprint(r.proof["service-ip"])
	if err := r.ask(ctx, r.from, "cluster DNS to resolve "+name, is(ip), "resolve", name); err != nil {
		return err
	}
	r.proof["dns"] = fmt.Sprintf("%s is %s, by %s", name, ip, r.c.DNS)
	return nil
}

// record keeps the proof in the cluster, where the next run finds it.
func (r *run) record(ctx context.Context) error {
	proof, err := json.Marshal(r.proof)
	if err != nil {
		return err
	}
	doc, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": recordName, "namespace": recordSpace, "labels": map[string]any{"app.kubernetes.io/managed-by": "kubeclamp"}},
		"data":     map[string]any{"subject": r.c.subject(r.facts.Ready), "proof": string(proof)}})
	if err != nil {
		return err
	}
	return kube.KubectlApply(ctx, r.on.Conn, string(doc))
}

// tidy takes the test servers away. After a failed proof they stay, for a look.
func (r *run) tidy(ctx context.Context) error {
	_, err := kube.Kubectl(ctx, r.on.Conn, "", "delete", "namespace", space, "--ignore-not-found", "--wait=false")
	return err
}

// counts is what this node's kernel says of the way to another pod.
type counts struct {
	Device string // "" = this node has no way of its own to pods
	Detail string // "vxlan id 1 local 192.0.2.1 dev eth0 ..."
	Route  string
	Sent   int64
}

// countText prints the route to a pod's address ($1), and of its device the kind and how many packets it has sent.
const countText = `
route=$(ip -4 route get "$1" 2>/dev/null | head -n 1) || exit 0
dev=$(printf '%s\n' "$route" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
[ -n "$dev" ] || exit 0
kind=$(ip -d -o link show dev "$dev" | sed -n 's/.*\(vxlan id [0-9]* local [^ ]* dev [^ ]*\).* dstport \([0-9]*\).*/\1 port \2/p; s/.*\(tun type [a-z]*\).*/\1/p; s/.*\(wireguard\) .*/\1/p' | head -n 1)
printf '{"Device":"%s","Detail":"%s","Route":"%s","Sent":%s}\n' "$dev" "$kind" "$(printf '%s' "$route" | tr -s ' "\\' ' ')" "$(cat "/sys/class/net/$dev/statistics/tx_packets")"
`

// counters looks at the way from this node to the pod that its own pod reaches; nothing where it has no pod.
func (r *run) counters(ctx context.Context) counts {
	var c counts
	i := slices.Index(r.pods, r.from)
	if r.from.Node != r.on.Node || len(r.pods) < 2 {
		return c
	}
	out, err := jig.Run(ctx, r.on.Conn, jig.Look(countText, r.pods[(i+1)%len(r.pods)].IP))
	if err = errors.Join(err, json.Unmarshal([]byte(out), &c)); err != nil {
		r.on.Logf("the way to other pods cannot be shown: %v", err)
	}
	return c
}

// path tells the overlay from the two counts.
func (c counts) path(backend string, after counts) string {
	if c.Device == "" {
		return backend + "; the node that ran the proof has no pod, so that its packets were not counted"
	}
	detail := ""
	if c.Detail != "" {
		detail = " (" + c.Detail + ")"
	}
	return fmt.Sprintf("%s via %s%s, route %s, packets sent %d -> %d", backend, c.Device, detail, strings.TrimSpace(c.Route), c.Sent, after.Sent)
}
