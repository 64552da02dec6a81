package engine

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// sumOf is what the API looks a token up by.
func sumOf(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// TestWhatATokenMayDo: never more than it says, and never more than its user may.
func TestWhatATokenMayDo(t *testing.T) {
	w := build(t)
	for name, parent := range map[string]string{"a": "", "b": ""} {
		if _, err := w.CreateDeployment(t.Context(), name, "", w.id(parent)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.CreateDeployment(t.Context(), "below-a", "", w.id("a")); err != nil {
		t.Fatal(err)
	}
	for _, u := range []crowbar.User{
		{Username: "boss", Admin: true}, {Username: "op"}, {Username: "reader", Right: crowbar.RightViewer},
		{Username: "op-a", Deployments: []string{"a"}}, {Username: "op-below", Deployments: []string{"below-a"}},
	} {
		if _, err := w.Make(t.Context(), &u); err != nil {
			t.Fatal(err)
		}
	}
	admin, operator, viewer := crowbar.RightAdmin, crowbar.RightOperator, crowbar.RightViewer
	for _, c := range []struct {
		name, user string
		right      crowbar.Right
		in         string // deployments, by commas
		want       crowbar.Right
		wantIn     string // "all", or deployments by commas
	}{
		{"free", "", admin, "", admin, "all"},
		{"free-in-a", "", operator, "a", operator, "a"},
		{"boss-reads", "boss", viewer, "", viewer, "all"},
		{"boss-in-a", "boss", admin, "a", admin, "a"},
		{"op-works", "op", operator, "", operator, "all"},
		{"op-a-works", "op-a", operator, "", operator, "a"},
		{"op-a-in-a", "op-a", operator, "a", operator, "a"},
		{"op-a-in-below", "op-a", operator, "below-a", operator, "below-a"},
		{"op-a-in-b", "op-a", operator, "b", operator, ""},
		{"op-a-in-both", "op-a", operator, "a,b", operator, "a"},
		{"op-below-in-a", "op-below", operator, "a", operator, "below-a"},
	} {
		tok := crowbar.Token{Name: c.name, Username: c.user, Right: c.right}
		if c.in != "" {
			tok.Deployments = strings.Split(c.in, ",")
		}
		_, text, err := w.CreateToken(t.Context(), tok, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := w.Token(sumOf(text))
		in := strings.Join(got.Deployments, ",")
		if got.Deployments == nil {
			in = "all"
		}
		if !ok || got.Right != c.want || in != c.wantIn {
			t.Errorf("%s: %t, %s in %q, want %s in %q", c.name, ok, got.Right, in, c.want, c.wantIn)
		}
	}
	if _, _, err := w.CreateToken(t.Context(), crowbar.Token{Name: "more", Username: "reader", Right: operator}, 0); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("more than its user may: %v", err)
	}
}

// id is that of a deployment; 0 for no name.
func (w *world) id(deployment string) crowbar.ID {
	if d := w.View().DeploymentNamed(deployment); d != nil {
		return d.ID
	}
	return 0
}

// TestATokenEnds: when it expires, when its user is locked, may less, or is gone.
func TestATokenEnds(t *testing.T) {
	w := build(t)
	u, err := w.Make(t.Context(), &crowbar.User{Username: "op"})
	if err != nil {
		t.Fatal(err)
	}
	_, text, err := w.CreateToken(t.Context(), crowbar.Token{Name: "works", Username: "op", Right: crowbar.RightOperator}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func(*crowbar.User)) {
		t.Helper()
		if _, err := w.Edit(t.Context(), crowbar.KindUser, u.Key(), func(o crowbar.Object) error { f(o.(*crowbar.User)); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	is := func(when string, want crowbar.Right) {
		t.Helper()
		if c, ok := w.Token(sumOf(text)); ok != (want != "") || c.Right != want {
			t.Errorf("%s: %t, %q, want %q", when, ok, c.Right, want)
		}
	}
	is("at first", crowbar.RightOperator)
	edit(func(u *crowbar.User) { u.Right = crowbar.RightViewer })
	is("its user may less", crowbar.RightViewer)
	edit(func(u *crowbar.User) { u.Right = ""; u.LockedAt = w.clock })
	is("its user is locked", "")
	edit(func(u *crowbar.User) { u.LockedAt = time.Time{} })
	is("its user is let in again", crowbar.RightOperator)
	w.clock = w.clock.Add(2 * time.Hour)
	is("it has expired", "")
	w.clock = w.clock.Add(-2 * time.Hour)
	if err := w.Destroy(t.Context(), crowbar.KindUser, u.Key()); err != nil {
		t.Fatal(err)
	}
	is("its user is gone", "")
	if c, ok := w.Token(sumOf("kc_nonsense")); ok {
		t.Errorf("nonsense: %+v", c)
	}
}

// TestUsesAreNoted at most every ten minutes, and by nothing but the loop.
func TestUsesAreNoted(t *testing.T) {
	w := build(t)
	var now atomic.Int64
	w.Now = func() time.Time { return time.Unix(now.Load(), 0).UTC() }
	now.Store(1e9)
	made, text, err := w.CreateToken(t.Context(), crowbar.Token{Name: "robot", Right: crowbar.RightViewer}, 0)
	if err != nil {
		t.Fatal(err)
	}
	before := w.View().Rev()
	for range 3 {
		w.Token(sumOf(text))
	}
	if w.View().Rev() != before {
		t.Error("a look at a token changes the state")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.NoteUses(ctx) }()
	used := func(want int64) {
		t.Helper()
		for s := range w.Watch(t.Context()) {
			if s.Token(made.ID).Used.Unix() == want {
				return
			}
		}
	}
	used(1e9)
	now.Add(9 * 60)
	w.Token(sumOf(text))
	w.uses.mu.Lock()
	if len(w.uses.when) > 0 {
		t.Error("nine minutes later it is noted again")
	}
	w.uses.mu.Unlock()
	now.Add(2 * 60)
	w.Token(sumOf(text))
	used(1e9 + 11*60)
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("it ended with %v", err)
	}
}

// TestManySignOuts: what a user keeps of sessions that signed out is bounded, and none of them comes back by that.
func TestManySignOuts(t *testing.T) {
	w := build(t)
	if _, err := w.Make(t.Context(), &crowbar.User{Username: "ann"}); err != nil {
		t.Fatal(err)
	}
	tie, _ := w.Session("Ann", "x")
	for i := range mostSignedOut + 1 {
		if err := w.SignOut(t.Context(), "ann", string(rune('A'+i)), w.clock.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if u := w.View().UserNamed("ann"); len(u.SignedOut) > mostSignedOut {
		t.Errorf("%d are kept", len(u.SignedOut))
	}
	if now, over := w.Session("ann", "A"); !over && now == tie {
		t.Error("the first one that signed out is back")
	}
	// Those that nobody can come with any more are forgotten.
	if err := w.SignOut(t.Context(), "ann", "old", w.clock.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Hour)
	if err := w.SignOut(t.Context(), "ann", "new", w.clock.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if u := w.View().UserNamed("ann"); len(u.SignedOut) != 1 {
		t.Errorf("kept: %v", u.SignedOut)
	}
	if _, over := w.Session("nobody", "x"); !over {
		t.Error("nobody has a session")
	}
}
