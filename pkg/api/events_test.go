package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// heard is what one request for events gives, up to its end.
func (w *world) heard(auth, query string) (events []crowbar.Event, last string) {
	w.t.Helper()
	a := w.ask(auth, "GET /api/v2/events?"+query, "")
	if a.code != http.StatusOK {
		w.t.Fatalf("%s: %d %s", query, a.code, a.text)
	}
	for _, block := range strings.Split(a.text, "\n\n") {
		for _, line := range strings.Split(block, "\n") {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				last = id
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var e crowbar.Event
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					w.t.Fatalf("%s: %v", data, err)
				}
				events = append(events, e)
			}
		}
	}
	return events, last
}

func idsOf(events []crowbar.Event) []string {
	out := []string{}
	for _, e := range events {
		out = append(out, e.ID.String())
	}
	return out
}

// TestEventsTellTheWholeStory: what a cluster goes through comes in order, each event once, with its reason.
func TestEventsTellTheWholeStory(t *testing.T) {
	w := build(t)
	_, start := w.heard("Bearer "+token, "follow=false")
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	w.drain()
	all, _ := w.heard("Bearer "+token, "since="+start+"&follow=false")
	types := map[string]int{}
	for i, e := range all {
		types[e.Type]++
		if i > 0 && !e.ID.After(all[i-1].ID) {
			t.Errorf("%s comes after %s", e.ID, all[i-1].ID)
		}
		if e.SpecVersion != "1.0" || e.Source != "/kubeclamp" || e.ContentType != "application/json" || e.Subject == "" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
		if e.Type == "kubeclamp.node_role.blocked" && !strings.Contains(fmt.Sprint(e.Data["why"]), "waits for") {
			t.Errorf("it does not say why: %v", e.Data)
		}
	}
	s := w.engine.View()
	n := s.Count(crowbar.KindNodeRole)
	if types["kubeclamp.node_role.active"] != n || types["kubeclamp.node_role.transition"] != n || types["kubeclamp.run.begun"] != n || types["kubeclamp.run.ended"] != n ||
		types["kubeclamp.deployment.created"] != 1 || types["kubeclamp.node.created"] != 5 {
		t.Errorf("of %d node-roles: %v", n, types)
	}
	// Whoever comes again hears the rest: nothing twice, nothing missing.
	for i := 0; i < len(all); i += 7 {
		rest, _ := w.heard("Bearer "+token, "since="+all[i].ID.String()+"&follow=false")
		if got, want := idsOf(rest), idsOf(all[i+1:]); !slices.Equal(got, want) {
			t.Fatalf("since %s: %d events, want %d", all[i].ID, len(got), len(want))
		}
	}
}

func TestEventsAreFiltered(t *testing.T) {
	w := build(t)
	_, start := w.heard("Bearer "+token, "follow=false")
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	w.drain()
	w.user("developer", "Cr0wbar!!", nil)
	_, viewer, err := w.engine.CreateToken(t.Context(), crowbar.Token{Name: "viewer", Right: crowbar.RightViewer}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, auth, query string
		some              bool
		right             func(crowbar.Event) bool
	}{
		{"one type", token, "type=node_role.active", true, func(e crowbar.Event) bool { return e.Type == "kubeclamp.node_role.active" }},
		{"whole type", token, "type=kubeclamp.run.ended", true, func(e crowbar.Event) bool { return e.Data["outcome"] == "changed" }},
		{"types", token, "type=run.*,node.created", true, func(e crowbar.Event) bool {
			return strings.HasPrefix(e.Type, "kubeclamp.run.") || e.Type == "kubeclamp.node.created"
		}},
		{"node", token, "node=n2", true, func(e crowbar.Event) bool { return e.Node == "n2.example.org" }},
		{"deployment", token, "deployment=k8s", true, func(e crowbar.Event) bool { return e.Deployment == "k8s" }},
		{"another deployment", token, "deployment=other", false, nil},
		{"users, an administrator", token, "type=user.*", true, func(e crowbar.Event) bool { return e.Data["username"] == "developer" }},
		{"users, a viewer", viewer, "type=user.*,token.*", false, nil},
		{"a viewer", viewer, "", true, func(e crowbar.Event) bool { return !strings.HasPrefix(e.Type, "kubeclamp.user.") }},
	} {
		all, _ := w.heard("Bearer "+c.auth, "since="+start+"&follow=false&"+c.query)
		if (len(all) > 0) != c.some {
			t.Errorf("%s: %d events", c.name, len(all))
		}
		for _, e := range all {
			if c.right != nil && !c.right(e) {
				t.Errorf("%s: %+v", c.name, e)
			}
		}
	}
	if a := w.admin("GET /api/v2/events?since=yesterday", ""); a.code != 422 || !strings.Contains(a.message(), "REVISION-INDEX") {
		t.Errorf("%d %s", a.code, a.text)
	}
}

// TestEventsThatAreForgotten: whoever comes from too long ago, or from another state, is told that there is a hole.
func TestEventsThatAreForgotten(t *testing.T) {
	w := converged(t)
	for _, since := range []string{"0-0", "900000-1"} {
		all, last := w.heard("Bearer "+token, "since="+since+"&follow=false&type=nothing")
		if len(all) != 1 || all[0].Type != crowbar.EventsLost {
			t.Errorf("since %s: %v", since, all)
		}
		if all, _ := w.heard("Bearer "+token, "since="+last+"&follow=false"); len(all) != 0 {
			t.Errorf("it is told twice: %v", all)
		}
	}
}

// TestHear follows with our own client while things happen.
func TestHear(t *testing.T) {
	w := converged(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	here := make(chan struct{})
	go func() {
		defer close(here)
		for w.api.Listeners() == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		if err := w.Do(t.Context(), crowbar.KindDeployment, "k8s", "pause", nil); err != nil {
			t.Error(err)
		}
	}()
	err := w.Hear(ctx, client.Events{Follow: true, Types: []string{"deployment.changed"}}, func(e crowbar.Event) error {
		if fmt.Sprint(e.Data["changes"]) != "map[paused:[false true]]" {
			t.Errorf("%v", e.Data)
		}
		cancel()
		return nil
	})
	if ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded {
		t.Errorf("nothing came: %v", err)
	}
	<-here
}

// TestSlowListenerIsCut: one who does not read is cut off and told where to go on; nobody waits for it.
func TestSlowListenerIsCut(t *testing.T) {
	w := build(t)
	few := w.another(func(c *apiConfig) { c.KeepEvents = 10 })
	req, err := http.NewRequestWithContext(t.Context(), "GET", few.url+"/api/v2/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := few.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	if line, err := in.ReadString('\n'); err != nil || line != "retry: 2000\n" {
		t.Fatalf("%q, %v", line, err)
	}
	// One commit that makes more events than are kept is more than any listener can follow.
	if err := w.Apply(t.Context(), cluster(), false); err != nil {
		t.Fatal(err)
	}
	var last, cut string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			last = strings.TrimSpace(id)
		}
		if strings.HasPrefix(line, "event: cut") {
			cut = "cut"
		}
	}
	if cut == "" {
		t.Fatal("it was not cut off")
	}
	// With what it was told it goes on where it was, out of the state's own past.
	all, _ := few.heard("Bearer "+token, "since="+last+"&follow=false&type=deployment.created")
	if len(all) != 1 {
		t.Errorf("since %s: %v", last, all)
	}
}
