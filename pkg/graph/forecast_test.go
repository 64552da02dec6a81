package graph

import (
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// foresee plans all that is left, with so many seconds for each role, and half and twice of it at the edges.
func (w *world) foresee(seconds map[string]int, parallel int) (Times, string) {
	w.t.Helper()
	steps, err := Plan(w.s, w.dep.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range steps {
		d := crowbar.Duration(time.Duration(seconds[steps[i].Role]) * time.Second)
		steps[i].Expected, steps[i].Low, steps[i].High = d, d/2, 2*d
	}
	total, path := Forecast(w.s, steps, parallel)
	var names []string
	for _, i := range path {
		if steps[i].Expected > 0 {
			names = append(names, steps[i].Place())
		}
	}
	return total, strings.Join(names, " ")
}

func TestForecast(t *testing.T) {
	for _, c := range []struct {
		name, bind string
		seconds    map[string]int
		parallel   int
		total      int // seconds
		path       string
	}{
		{"nothing", "", nil, 30, 0, ""},
		{"one after the other on a node", "minion@d", map[string]int{"prep": 1, "proxy": 2, "docker": 4}, 30, 7, "d/prep d/proxy d/docker"},
		{"nodes beside each other", "docker@a docker@b docker@c", map[string]int{"docker": 5}, 30, 5, "a/docker"},
		{"fewer places than nodes", "docker@a docker@b docker@c", map[string]int{"docker": 5}, 2, 10, "a/docker c/docker"},
		{"an exclusive lets one in", "etcd@a etcd@b etcd@c", map[string]int{"etcd": 3}, 30, 9, "a/etcd b/etcd c/etcd"},
		{"a child elsewhere waits for all members", "etcd@a etcd@b flannel@d", map[string]int{"etcd": 3, "flannel": 4, "docker": 1}, 30, 10, "a/etcd b/etcd d/flannel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, cluster()...)
			w.bind(c.bind)
			w.commit()
			total, path := w.foresee(c.seconds, c.parallel)
			want := time.Duration(c.total) * time.Second
			if total != (Times{want, want / 2, 2 * want}) || path != c.path {
				t.Errorf("%v by %q, want %v by %q", total, path, want, c.path)
			}
		})
	}
}
