package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/graph"
)

func TestLook(t *testing.T) {
	r, end, err := rehearse("/tmp/w/K.tmp/look.json", func(h http.Handler) http.Handler { return h })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	stop := time.After(150 * time.Second)
	for {
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		for _, nr := range graph.Runnable(r.engine.View()) {
			work, err := r.engine.Begin(r.ctx, nr.ID)
			if err != nil {
				continue
			}
			go func() {
				time.Sleep(time.Duration(800+200*(int(nr.ID)%7)) * time.Millisecond)
				out := crowbar.Outcome{Given: "x"}
				if work.Role.Name == "docker" && work.Node.Short() == "w2" {
					out.Failure = "no space left on /var: 12 MiB free, 4 GiB wanted"
				}
				_ = r.engine.Finish(r.ctx, nr.ID, work.Attempt, out)
			}()
		}
	}
}
