package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// big is a plan for three masters and five workers that are alike.
func big() crowbar.Plan {
	sec := func(s float64) crowbar.Duration { return crowbar.Duration(s * float64(time.Second)) }
	p := crowbar.Plan{Expected: sec(95), Low: sec(80), High: sec(140), Unrecorded: 1, Outlook: crowbar.WillChange, Critical: []string{"m1/etcd", "m2/etcd", "m3/etcd"}}
	for i := range 3 {
		n := fmt.Sprintf("m%d", i+1)
		p.Touches = append(p.Touches, n)
		p.Steps = append(p.Steps, crowbar.Step{Node: n, Role: "node-prep", Do: "apply", Why: "rerun", Outlook: crowbar.WillNot, Expected: sec(0.31), Low: sec(0.2), High: sec(0.4), History: 5},
			crowbar.Step{Node: n, Role: "etcd", Do: "apply", Why: "attribs changed", Outlook: crowbar.WillChange, Expected: sec(30 + float64(i)), Low: sec(25), High: sec(45), History: 4,
				Differences: []crowbar.Difference{{What: "file", Name: "/etc/etcd/etcd.env", Do: "change", Diff: "content"}, {What: "unit", Name: "etcd.service", Do: "restart"}}})
	}
	for i := range 5 {
		n := fmt.Sprintf("w%d", i+1)
		p.Steps = append(p.Steps, crowbar.Step{Node: n, Role: "flannel", Do: "apply", Why: "rerun", Outlook: crowbar.WillNot, Before: "m3/etcd", Expected: sec(1), Low: sec(1), High: sec(1), History: 1})
	}
	p.Touches = append(p.Touches, "w6")
	p.Steps = append(p.Steps, crowbar.Step{Node: "w6", Role: "flannel", Do: "remove", Why: "unbound", Outlook: crowbar.WillChange, Differences: []crowbar.Difference{{What: "role", Name: "flannel", Do: "remove"}}})
	return p
}

func TestDrawPlan(t *testing.T) {
	want := `m1, m2, m3 (3 nodes, each)
  = node-prep  nothing to do                          rerun            about 310ms (200ms to 400ms)
  ~ etcd       2 changes                              attribs changed  about 30s (25s to 45s)
      ~ change file /etc/etcd/etcd.env (content)
      ~ restart unit etcd.service

w1, w2, w3, w4, w5 (5 nodes, each)
  = flannel    nothing to do, as seen before m3/etcd  rerun            about 1s

w6
  - flannel    is taken off                           unbound          unknown

12 runs on 9 nodes: 4 change something, 8 have nothing to do
may be changed: m1, m2, m3, w6; no other node
time: about 1m35s (1m20s to 2m20s) and what 1 run without history takes
critical path: m1/etcd -> m2/etcd -> m3/etcd`
	if d := cmp.Diff(want, strings.Join(drawPlan(big(), nil), "\n")); d != "" {
		t.Error(d)
	}
}

func TestDrawTheLinesThatChange(t *testing.T) {
	p := crowbar.Plan{Outlook: crowbar.WillChange, Touches: []string{"m1", "m2"}}
	for _, n := range []string{"m1", "m2"} {
		p.Steps = append(p.Steps, crowbar.Step{Node: n, Role: "etcd", Do: "apply", Why: "rerun", Outlook: crowbar.WillChange, Differences: []crowbar.Difference{
			{What: "file", Name: "/etc/etcd/etcd.env", Do: "change", Diff: "content", Unified: "@@ -1,3 +1,3 @@\n a\n-b\n+" + n + "\n \n", More: 1}}})
	}
	want := `m1
  ~ etcd  1 change  rerun  unknown
      ~ change file /etc/etcd/etcd.env (content)
          @@ -1,3 +1,3 @@
           a
          -b
          +m1

          and 1 more line

m2
`
	drawn := strings.Join(drawPlan(p, nil), "\n")
	if d := cmp.Diff(want, drawn[:min(len(want), len(drawn))]); d != "" {
		t.Error(d)
	}
	for i := range p.Steps {
		p.Steps[i].Differences = unlined(p.Steps[i].Differences)
	}
	if brief := strings.Join(drawPlan(p, nil), "\n"); !strings.HasPrefix(brief, "m1, m2 (2 nodes, each)\n") || strings.Contains(brief, "+m1") {
		t.Error(brief)
	}
}

func TestColoursCarryNoMeaning(t *testing.T) {
	p := paint{"~": "<", "=": "<", "-": "<", "": ">"}
	plain := strings.NewReplacer("<", "", ">", "").Replace(strings.Join(drawPlan(big(), p), "\n"))
	want := strings.ReplaceAll(strings.Join(drawPlan(big(), nil), "\n"), ">", "")
	if d := cmp.Diff(want, plain); d != "" {
		t.Error(d)
	}
	if paints(&strings.Builder{}) != nil {
		t.Error("there are colours where there is no terminal")
	}
}
